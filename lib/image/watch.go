package image

import (
	"archive/tar"
	"context"
	"fmt"
	"strings"
)

// Watcher sees what Flatten reads. What is wrong with a layer then does not end the
// reading: it is passed on, and all that can be read is read. Methods are called by
// several goroutines at once, those about one layer by one at a time.
type Watcher interface {
	// Entry sees an entry as it stands in a layer's tar.
	Entry(layer int, h *tar.Header)
	// Note hears what is odd about a layer, and what clients take all the same.
	Note(layer int, what string)
	// Fault hears what is wrong with a layer, or with the entry name in it.
	Fault(layer int, name string, err error)
}

// eye watches one layer. Without a watcher it sees nothing, and faults are errors.
type observer struct {
	ctx   context.Context // of the reading: what ends it is no fault
	watch Watcher
	layer int
}

func (e observer) entry(h *tar.Header) {
	if e.watch != nil {
		e.watch.Entry(e.layer, h)
	}
}

// fault passes a fault on, and returns what is to end the reading.
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

// packing tells a watcher of a blob that is not packed as its media type says. Clients
// look at the blob, and so does chunkah.
func (e observer) packing(mediaType string, is compression) {
	want, known := plain, true
	switch {
	case strings.HasSuffix(mediaType, "+gzip"), strings.HasSuffix(mediaType, ".gzip"):
		want = packedGzip
	case strings.HasSuffix(mediaType, "+zstd"), strings.HasSuffix(mediaType, ".zstd"):
		want = packedZstd
	case !strings.HasSuffix(mediaType, "tar"):
		known = false
	}
	if e.watch != nil && known && want != is {
		e.watch.Note(e.layer, fmt.Sprintf("it is %s, and its media type is %q: clients look at the blob", is, mediaType))
	}
}

// EntryPath tells what the name of a layer's entry is about: an absolute path in the
// tree, and whether the entry takes away what is there. The path of an opaque
// whiteout is that of its directory. Who sees entries sees none of AUFS metadata.
func EntryPath(name string) (path string, whiteout bool, err error) {
	clean, err := cleanName(name)
	if err != nil {
		return "", false, err
	}
	kind, path, err := readWhiteout(clean)
	return "/" + path, kind != kindNode, err
}
