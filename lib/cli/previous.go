package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/opencontainers/go-digest"

	"chunkah/lib/compress"
	"chunkah/lib/image"
	"chunkah/lib/previous"
	"chunkah/lib/transport"
	"chunkah/lib/write"
)

// reusableLayers opens the image that --previous refers to, and returns its layers with the same
// compression, which the new image can reuse. A plan contains no layers. The image is nil if there
// is no previous image or if it cannot be opened. Otherwise the caller must close it. Grouping
// reports files that are not images.
func reusableLayers(ctx context.Context, env *Env, images image.Options, name string, output *image.Location, algorithm compress.Algorithm) (map[digest.Digest]write.StoredLayer, *image.Image, error) {
	src, err := previousLocation(name, output)
	if src == nil || err != nil || algorithm == compress.None && src.DockerFormat {
		return nil, nil, err // opening a docker archive can require decompressing it
	}
	images.Direct = name == previousAuto
	img, err := image.Open(ctx, *src, images)
	switch {
	case ctx.Err() != nil:
		return nil, nil, context.Cause(ctx)
	case errors.Is(err, fs.ErrNotExist) && name == previousAuto:
		return nil, nil, nil // reported by grouping
	case err != nil && algorithm != compress.None:
		env.info("not reusing layers of the previous image: %w", err)
		return nil, nil, nil
	case err != nil:
		return nil, nil, nil //nolint:nilerr // the image is only compared with the new one
	case algorithm == compress.None:
		return nil, img, nil
	}
	layers := make(map[digest.Digest]write.StoredLayer)
	for _, l := range img.Layers {
		if !strings.HasSuffix(l.Descriptor.MediaType, string(algorithm)) {
			continue
		}
		layers[l.DiffID] = storedLayer(img, l)
	}
	return layers, img, nil
}

// closeImage closes an image that was only read. The image can be nil.
func closeImage(img *image.Image) {
	if img != nil {
		_ = img.Close()
	}
}

// previousLocation returns the image that --previous refers to, or nil.
func previousLocation(name string, output *image.Location) (*image.Location, error) {
	switch name {
	case "":
		return nil, nil
	case previousAuto:
		return output, nil
	}
	src, err := transport.ParseSource(name)
	if err != nil {
		return nil, &usageError{err}
	}
	src, err = previous.Resolve(src)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("opening the previous image: %w", err)
	}
	if err != nil || !src.IsImage() {
		return nil, err
	}
	return &src, nil
}
