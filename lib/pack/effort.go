package pack

import (
	"fmt"

	"chunkah/format"
)

// A directory is in the fingerprint of each component with files below it, in each of their layers,
// and is counted for each possible part. With thousands of components in thousands of nested
// directories, that is far more work than the size of the stream. So it is limited to freeEffort,
// in bytes of records, plus effortTimes the records of all files. A Debian root needs less than the
// size of its files' records.
const (
	freeEffort  = 256 << 20
	effortTimes = 16
)

// recordFixed is the cost of a record besides its path, in bytes.
const recordFixed = 64

// recordCost is the cost of reading or writing a record.
func (t *tree) recordCost(i int) int64 { return recordFixed + int64(len(t.files[i].Path)) }

// lookCost is the cost of looking at a directory.
func lookCost(int) int64 { return 8 }

// nameCost is the cost of copying a name in a list of components.
const nameCost = 16

// effort is the remaining cost of directories as parts of components and layers.
type effort struct {
	left int64
	path string // the directory that exceeded the limit, if any
}

func newEffort(files []*format.File) *effort {
	e := &effort{left: freeEffort}
	for _, f := range files {
		e.left += effortTimes * (recordFixed + int64(len(f.Path)))
	}
	return e
}

// take subtracts a cost. It reports whether enough was left.
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
	return fmt.Errorf("packing what is below %.200q: too many components have deeply nested files: each repeats their parent directories, which takes more than %d times the size of the stream; "+
		"assign these files to fewer components, with --repos or --map of chunkah-assign", e.path, effortTimes)
}
