package chunked

import (
	"fmt"

	"chunkah/format"
	"chunkah/lib/compress"
)

// version is the version of our blobs. Increase it whenever the cuts or the tables change.
const version = 1

// Key identifies the bytes that a [Writer] produces, like [compress.Settings.Key].
func Key(s compress.Settings) string {
	return fmt.Sprintf("%s-chunked%d", s.FramesKey(), version)
}

// frameCost is the largest size of a frame's header plus the header of its first block, in bytes
// (RFC 8878, sections 3.1.1.1 and 3.1.1.2).
const frameCost = 14 + 3

// MaxSize returns the maximum size of a layer's blob. n is the size of the layer's tar.
func MaxSize(n int64, files []*format.File) int64 {
	var toc, contents int64 // bytes
	for _, f := range files {
		toc += entrySize(f.Path, f.Target, f.Xattrs)
		contents += max(f.Size, 0)
	}
	// Chunks are added until the TOC is full. After that, each file adds at most one.
	toc = 3*toc + 2*fullTOC
	frames := 2*int64(len(files)) + toc/entryText + n/(512<<10) + 2
	split := 2*(n-contents) + toc
	return compress.MaxSize(n) + frames*frameCost + compress.MaxSize(toc) + compress.MaxSize(split)
}
