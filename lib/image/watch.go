package image

import (
	"archive/tar"
	"context"
	"fmt"
)

// Watcher observes what Flatten reads. With a watcher, a fault in a layer does not end the reading:
// everything readable is read. Methods are called concurrently for different layers, and
// sequentially for one layer.
type Watcher interface {
	// Entry is called with each entry as it is in the layer's tar.
	Entry(layer int, h *tar.Header)
	// Note is called with oddities of a layer that clients accept.
	Note(layer int, what string)
	// Fault is called with each error in a layer. name is empty or the entry with the error.
	Fault(layer int, name string, err error)
}

// observer passes events of one layer to the watcher. Without a watcher it returns faults as
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

// fault reports a fault, and returns an error if the reading must end.
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

// packing reports a blob whose compression differs from its media type. Clients go by the blob, and
// so does chunkah.
func (e observer) packing(mediaType string, is compression) {
	want, known := layerTypes[mediaType]
	if e.watch != nil && known && want != is {
		e.watch.Note(e.layer, fmt.Sprintf("is %s, but its media type is %q: clients use the blob's real compression", is, mediaType))
	}
}

// EntryPath returns the absolute path of a layer's entry in the tree, and whether the entry is a
// whiteout. The path of an opaque whiteout is its directory. AUFS metadata is not passed to
// watchers.
func EntryPath(name string) (path string, whiteout bool, err error) {
	clean, err := cleanName(name)
	if err != nil {
		return "", false, err
	}
	kind, path, err := readWhiteout(clean)
	return "/" + path, kind != kindNode, err
}
