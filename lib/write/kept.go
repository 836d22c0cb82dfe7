package write

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/format"
	"chunkah/lib/filelist"
	"chunkah/lib/layer"
	"chunkah/lib/patch"
	"chunkah/lib/plan"
)

// keptPrevious finds the layers that the stream keeps from the previous image. The caller closes
// the returned image.
func (o *Options) keptPrevious(ctx context.Context, img *image) ([]StoredLayer, io.Closer, error) {
	none := io.NopCloser(nil)
	if len(img.kept) == 0 {
		return nil, none, nil
	}
	name := img.header.Previous
	if name == "" || o.OpenPrevious == nil {
		return nil, none, errors.New("the stream keeps layers of a previous image, but its header does not contain the name of the image")
	}
	layers, closer, err := o.OpenPrevious(ctx, name)
	if err != nil {
		return nil, none, fmt.Errorf("opening the previous image: %w", err)
	}
	var kept []StoredLayer
	for _, l := range img.kept {
		k, found := layers[digest.Digest(l.record.DiffID)]
		if !found {
			return nil, none, errors.Join(fmt.Errorf("layer %d: the previous image %q contains no layer with the diffID %q", l.record.Index, name, l.record.DiffID), closer.Close())
		}
		kept = append(kept, k)
	}
	return kept, closer, nil
}

// outdates reports whether a record of the stream replaces a kept layer's record in the history:
// the new record describes the state of the same components in this image, or corrects a wrong
// digest of the entries.
func outdates(rec *format.Layer, h v1.History) bool {
	was, whole := plan.FromHistory(h)
	return was != nil && (was.Entries != rec.Entries || whole && slices.Equal(was.Components, rec.Components))
}

// countKept counts a layer that is kept from the previous image.
func (w *writer) countKept(l *keptFiles, k StoredLayer) {
	w.report.Layers++
	w.report.Bytes, w.report.BlobBytes = w.report.Bytes+layer.SizeOf(l.files.All()), w.report.BlobBytes+k.Descriptor.Size
	for _, name := range l.record.Components {
		w.report.In[name] = append(w.report.In[name], k.Descriptor.Digest)
	}
}

// countVisible counts the files and components of an image that keeps layers from the previous
// image. These numbers cannot be computed from the individual layers.
func (w *writer) countVisible() {
	if len(w.img.kept) == 0 {
		return
	}
	var layers []patch.Layer
	for _, l := range w.img.kept {
		layers = append(layers, patch.Layer{Files: l.files})
	}
	for _, l := range w.img.layers {
		layers = append(layers, patch.Layer{Files: filelist.Of(l.files...)})
	}
	w.report.Files = 0
	for f := range patch.Visible(layers) {
		if f.Type != format.TypeDir {
			w.report.Files++
		}
	}
	if w.report.Components = w.img.components; w.report.Components == 0 { // no component records
		w.report.Components = len(w.report.In)
	}
}

// forget removes the digest of a layer's entries, because the entries have changed.
func (l *layerFiles) forget() {
	rec := *l.record
	rec.Entries = ""
	l.record = &rec
}

// files returns a function that writes the files of the image, or nil if the files of a layer are
// unknown.
func (w *writer) files() func(io.Writer) error {
	type listed struct {
		record *format.Layer
		files  iter.Seq[*format.File]
	}
	var layers []listed
	for _, l := range w.img.kept {
		layers = append(layers, listed{l.record, l.files.All()})
	}
	for _, l := range w.img.layers {
		layers = append(layers, listed{l.record, slices.Values(l.files)})
	}
	if w.report.BaseLayers > 0 || slices.ContainsFunc(layers, func(l listed) bool { return l.record.Entries == "" }) {
		return nil
	}
	return func(out io.Writer) error {
		f, err := plan.NewFilesWriter(out)
		if err != nil {
			return err
		}
		for i, l := range layers {
			rec := *l.record
			rec.Index = int64(i)
			if err := f.Layer(&rec); err != nil {
				return err
			}
			for file := range l.files {
				if err := f.File(file); err != nil {
					return err
				}
			}
		}
		return f.Close()
	}
}
