package pack

import (
	"fmt"

	"chunkah/format"
)

// A directory is in the fingerprint of each component that has something below it, in each
// of their layers, and is counted for each part that may be cut. Where thousands of
// components lie thousands of directories deep, that is work far beyond the stream: so it
// may take freeEffort, in bytes of records, and effortTimes those of all files. A Debian
// root takes less than its files once.
const (
	freeEffort  = 256 << 20
	effortTimes = 16
)

// recordFixed is what a record takes beside its path, in bytes.
const recordFixed = 64

// recordCost is what a record takes of the effort where it is read or written.
func (t *tree) recordCost(i int) int64 { return recordFixed + int64(len(t.files[i].Path)) }

// lookCost is what a look at a directory takes of it.
func lookCost(int) int64 { return 8 }

// nameCost is what each name in a list of components takes where that is copied.
const nameCost = 16

// effort is what directories may still cost as parts of components and layers.
type effort struct {
	left int64
	path string // of the directory that was too much, if one was
}

func newEffort(files []*format.File) *effort {
	e := &effort{left: freeEffort}
	for _, f := range files {
		e.left += effortTimes * (recordFixed + int64(len(f.Path)))
	}
	return e
}

// take takes a cost. It reports whether there was as much left.
func (e *effort) take(cost int64, path string) bool {
	if e.left -= cost; e.left < 0 && e.path == "" {
		e.path = path
	}
	return e.path == ""
}

func (e *effort) err() error {
	if e.path == "" {
		return nil
	}
	return fmt.Errorf("packing what is below %.200q: too many components lie too deep: each repeats the directories above its files, which takes more than %d times the stream; "+
		"give what lies deep to fewer components, with --repos or --map of chunkah-assign", e.path, effortTimes)
}
