package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/format"
	"chunkah/lib/image"
	"chunkah/lib/oci"
	"chunkah/lib/pack"
	"chunkah/lib/plan"
	"chunkah/lib/previous"
	"chunkah/lib/registry"
	"chunkah/lib/transport"
	"chunkah/lib/write"
)

// percentDigits is the number of decimals in --max-stale. With four decimals, the percentage is a
// whole number of parts per million.
const percentDigits = 4

// maxStale parses --max-stale and returns parts per million.
func (f *packFlags) maxStale(output *image.Location) (int64, error) {
	if f.MaxStale == "" {
		if f.TrustPrevious {
			return 0, usagef("--trust-previous has no effect without --max-stale")
		}
		return 0, nil
	}
	whole, part, _ := strings.Cut(strings.TrimSuffix(f.MaxStale, "%"), ".")
	if len(part) > percentDigits {
		return 0, usagef("--max-stale %q has more than %d decimals", f.MaxStale, percentDigits)
	}
	n, err := strconv.ParseUint(whole+part+strings.Repeat("0", percentDigits-len(part)), 10, 32)
	if err != nil || whole == "" || n > 1_000_000 {
		return 0, usagef("--max-stale %q is not a percentage from 0 to 100, such as 5%% or 2.5", f.MaxStale)
	}
	if n == 0 {
		return 0, nil
	}
	if f.FreshTimes {
		return 0, usagef("--max-stale and --fresh-times cannot be used together, because patch layers need the contents of files")
	}
	src, err := previousLocation(f.Previous, output)
	switch {
	case err != nil || src != nil:
	case f.Previous != previousAuto:
		err = usagef("--max-stale keeps layers of a previous image: use it with --previous")
	case output == nil:
		err = errNoPlace()
	}
	return int64(n), err
}

// openPatched opens the image of --previous and finds its files, if --max-stale needs them. The
// image is nil if they are not needed or the image cannot be opened. Otherwise the caller must
// close it.
func (f *packFlags) openPatched(ctx context.Context, env *Env, images image.Options, output *image.Location, opt *pack.Options) (*image.Image, error) {
	if opt.MaxStale == 0 {
		return nil, nil
	}
	src, err := previousLocation(f.Previous, output)
	if err != nil || src == nil {
		return nil, err
	}
	from := images
	from.Direct = f.Previous == previousAuto
	img, err := image.Open(ctx, *src, from)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if !errors.Is(err, fs.ErrNotExist) || f.Previous != previousAuto { // reported by grouping
			env.warn("not keeping layers of the previous image: %w", err)
		}
		return nil, nil
	}
	setImageGC()
	if opt.PreviousImage, err = previous.Files(ctx, img, previous.Options{Image: images, Plan: f.Plan, Trust: f.TrustPrevious, Log: env.console()}); err != nil {
		closeImage(img)
		return nil, err
	}
	return img, nil
}

// openPrevious returns a function that opens the image whose layers a stream keeps. patched is that
// image if it is already open. packed is what pack knows about that image, or nil.
func (f *outputFlags) openPrevious(images image.Options, patched *image.Image, packed *pack.Image) func(context.Context, string) (map[digest.Digest]write.StoredLayer, io.Closer, error) {
	return func(ctx context.Context, name string) (map[digest.Digest]write.StoredLayer, io.Closer, error) {
		if patched != nil {
			layers, err := f.storedLayers(patched)
			setVerified(layers, packed)
			return layers, io.NopCloser(nil), err
		}
		src, err := transport.ParseSource(name)
		if err != nil {
			return nil, nil, err
		}
		again := images
		again.Again = true
		img, err := image.Open(ctx, src, again)
		if err != nil {
			return nil, nil, err
		}
		layers, err := f.storedLayers(img)
		if err != nil {
			return nil, nil, errors.Join(err, img.Close())
		}
		return layers, img, nil
	}
}

// setVerified adds which blobs pack has hashed.
func setVerified(layers map[digest.Digest]write.StoredLayer, packed *pack.Image) {
	for _, l := range packed.Layers {
		if stored, found := layers[digest.Digest(l.DiffID)]; found {
			stored.Verified = l.Verified
			layers[digest.Digest(l.DiffID)] = stored
		}
	}
}

// storedLayers returns the layers of an image by their diffIDs, if all outputs can contain them.
func (f *outputFlags) storedLayers(img *image.Image) (map[digest.Digest]write.StoredLayer, error) {
	layers := make(map[digest.Digest]write.StoredLayer)
	for _, l := range img.Layers {
		if err := f.checkLayer(l.Descriptor); err != nil {
			return nil, fmt.Errorf("keeping layers of the previous image: %w (oci-archive: allows them)", err)
		}
		layers[l.DiffID] = storedLayer(img, l)
	}
	return layers, nil
}

// storedLayer returns a layer of an image whose blob is copied.
func storedLayer(img *image.Image, l image.Layer) write.StoredLayer {
	return write.StoredLayer{
		Layer: oci.Layer{Descriptor: l.Descriptor, DiffID: l.DiffID, History: l.History},
		Image: img.Source.InRegistry(),
		Open:  func(ctx context.Context) (io.ReadCloser, error) { return img.Blob(ctx, l.Descriptor) },
	}
}

// planFiles returns a sink that also writes the plan of an image with patch layers, if the plan is
// requested. It writes the plan while it passes the stream on.
func (f *packFlags) planFiles(ctx context.Context, env *Env, to *pendingPlan, maxStale int64, out format.Sink) format.Sink {
	if f.Plan == "" || maxStale == 0 {
		return out
	}
	return plan.NewFilesSink(out, func(list io.WriterTo) error { return f.writePlan(ctx, env, to, list) })
}

// attachFiles attaches the list of an image's files to the image in its registries, so that the
// next build need not read its layers. Without the list that build is slower, so an error is only a
// warning.
func (f *writeFlags) attachFiles(ctx context.Context, env *Env, images image.Options, r *write.Report) {
	if r == nil || r.WriteFiles == nil {
		return
	}
	for _, place := range f.registryPlaces() {
		if err := attachFiles(ctx, env, images, r, place); err != nil {
			env.warn("attaching the list of files to the image: %w; the next build will read the image's layers instead", err)
		}
	}
}

func attachFiles(ctx context.Context, env *Env, images image.Options, r *write.Report, place registryPlace) error {
	var data bytes.Buffer
	if err := r.WriteFiles(&data); err != nil {
		return err
	}
	repo, err := transport.Repository(place.InRegistry(), images.Registry)
	if err != nil {
		return err
	}
	d := r.Manifests[place.output]
	raw, mediaType, err := repo.Manifest(ctx, d.String())
	if err != nil {
		return err
	}
	subject := v1.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(raw))}
	made, err := repo.Attach(ctx, subject, registry.Attachment{Type: plan.FilesType, Title: "files.msgpack.zst", Data: data.Bytes()})
	if err == nil {
		env.info("attached the list of files (%s) to the image: %s", bytesText(int64(data.Len())), made.Digest)
	}
	return err
}
