package contentid

import (
	"context"
	"io"

	"chunkah/format"
	"chunkah/lib/layer"
)

// Completer completes the record of a layer while its files are written, in order.
type Completer struct {
	record *format.Layer
	of     map[string]*Component
	file   File
}

// Complete returns the completer for a layer. It is nil if the record is already complete.
func Complete(rec *format.Layer) *Completer {
	var c *Completer
	for i, id := range rec.Contents {
		a, partial := parse(id)
		if !partial || len(rec.Times) == 0 {
			continue
		}
		if c == nil {
			c = &Completer{record: rec, of: make(map[string]*Component)}
		}
		c.of[rec.Components[i]] = New(a)
	}
	return c
}

// Content wraps a layer.Content. The result writes the same contents and also hashes the files that
// the completer needs.
func (c *Completer) Content(of layer.Content) layer.Content {
	if c == nil {
		return of
	}
	return &hashing{of, c}
}

// Done sets the IDs in the record, and the fingerprints that contain them. All files must have been
// written.
func (c *Completer) Done() {
	if c == nil {
		return
	}
	for i, name := range c.record.Components {
		of := c.of[name]
		if of == nil {
			continue
		}
		id := of.ID()
		c.record.Contents[i] = id
		if len(c.record.Fingerprints) > 0 && c.record.Fingerprints[i] == incomplete {
			c.record.Fingerprints[i] = Fingerprint(c.record.Times[i], id)
		}
	}
}

// hashing hashes the files that a completer needs.
type hashing struct {
	layer.Content
	*Completer
}

// WriteFile implements layer.Content.
func (h *hashing) WriteFile(ctx context.Context, w io.Writer, f *format.File) (int64, error) {
	if f.Size == 0 || len(f.Components) == 0 || h.of[f.Components[0]] == nil {
		return h.Content.WriteFile(ctx, w, f)
	}
	n, err := h.Content.WriteFile(ctx, h.file.To(w), f)
	h.of[f.Components[0]].Add(h.file.Sum())
	return n, err
}
