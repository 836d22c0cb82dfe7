package pack

import (
	"fmt"

	"chunkah/format"
)

// A directory is part of the fingerprint of each component with files below it, and is written to
// the layers of all these components. It is also counted for each part into which a component might
// be split. Thousands of components in thousands of nested directories would need far more work
// than the size of the stream suggests. So the work, measured in bytes of records, is limited to
// freeEffort plus effortTimes times the size of all file records. A Debian root needs less than the
// size of its file records.
const (
	freeEffort  = 256 << 20
	effortTimes = 16
)

// recordFixed is the cost of a record without its path, in bytes.
const recordFixed = 64

// recordCost is the cost of reading or writing a record.
func (t *tree) recordCost(i int) int64 { return recordFixed + int64(len(t.files[i].Path)) }

// lookCost is the cost of looking at a directory.
func lookCost(int) int64 { return 8 }

// nameCost is the cost of copying a name in a list of components.
const nameCost = 16

// effort is the remaining work allowed for directories in components and layers.
type effort struct {
	left int64
	path string // the directory at which the limit was exceeded, if any
}

func newEffort(files []*format.File) *effort {
	e := &effort{left: freeEffort}
	for _, f := range files {
		e.left += effortTimes * (recordFixed + int64(len(f.Path)))
	}
	return e
}

// take subtracts a cost from the remaining work. It reports whether enough work was left.
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
	return fmt.Errorf("packing the files below %.200q: too many components contain deeply nested files, and each component repeats their parent directories, which are larger than %d times the stream: "+
		"assign these files to fewer components, with --repos or --map of chunkah-assign", e.path, effortTimes)
}
