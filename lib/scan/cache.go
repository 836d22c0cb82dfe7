package scan

import (
	"bytes"
	"io"
	"slices"

	"chunkah/lib/rootfs"
)

// cacheTag is the first line of a CACHEDIR.TAG (Cache Directory Tagging Specification).
const cacheTag = "Signature: 8a477f597d28d172789f06886806bc55"

func isCache(d *rootfs.Dir, names []string) bool {
	const tag = "CACHEDIR.TAG"
	if _, found := slices.BinarySearch(names, tag); !found {
		return false
	}
	f, err := d.OpenFile(tag)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len(cacheTag))
	if _, err := io.ReadFull(f, head); err != nil {
		return false
	}
	return bytes.Equal(head, []byte(cacheTag))
}
