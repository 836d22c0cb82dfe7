package image

import (
	"archive/tar"
	"context"
	"fmt"
)

// Watcher observes what Flatten reads. With a watcher, Flatten does not stop at a fault in a layer,
// and reads everything that is readable. Calls for different layers are concurrent, and calls for
// one layer are sequential.
type Watcher interface {
	// Entry is called with each entry as it is in the layer's tar.
	Entry(layer int, h *tar.Header)
	// Note is called with oddities in a layer that clients accept.
	Note(layer int, what string)
	// Fault is called with each error in a layer. name is the entry with the error, or empty if the
	// error concerns no entry.
	Fault(layer int, name string, err error)
}

// observer passes the events of one layer to the watcher. Without a watcher it returns faults as
// errors.
type observer struct {
	ctx   context.Context // when it is done, errors are not faults
	watch Watcher
	layer int
}

func (e observer) entry(h *tar.Header) {
	if e.watch != nil {
		e.watch.Entry(e.layer, h)
	}
}

// fault reports a fault. It returns an error if reading must stop.
func (e observer) fault(name string, err error) error {
	switch {
	case err == nil || e.watch == nil:
		return err
	case e.ctx.Err() != nil:
		return context.Cause(e.ctx)
	}
	e.watch.Fault(e.layer, name, err)
	return nil
}

// packing reports a blob whose compression differs from its media type. The actual compression
// takes precedence, as it does in clients.
func (e observer) packing(mediaType string, is compression) {
	want, known := layerTypes[mediaType]
	if e.watch != nil && known && want != is {
		e.watch.Note(e.layer, fmt.Sprintf("is %s, but its media type is %q: clients use the blob's real compression", is, mediaType))
	}
}

// EntryPath returns the absolute path in the tree for a layer's entry, and whether the entry is a
// whiteout. For an opaque whiteout, the path is its directory. AUFS metadata is not passed to
// watchers.
func EntryPath(name string) (path string, whiteout bool, err error) {
	clean, err := cleanName(name)
	if err != nil {
		return "", false, err
	}
	kind, path, err := readWhiteout(clean)
	return "/" + path, kind != kindNode, err
}
