package metrics

import (
	"sync/atomic"

	"chunkah/format"
)

// counts are the files of a stream and the bytes that they hold. One goroutine
// adds; any may load.
type counts struct {
	files atomic.Int64
	bytes atomic.Int64
	links map[int64]bool // hard-link groups that were met
}

// add counts a record: directories not as files, the bytes of an inode once.
func (c *counts) add(rec format.Record) {
	f, ok := rec.(*format.File)
	if !ok || f.Type == format.TypeDir {
		return
	}
	c.files.Add(1)
	if f.Size <= 0 {
		return // it may be unknown
	}
	if f.Hardlink != 0 {
		if c.links[f.Hardlink] {
			return
		}
		if c.links == nil {
			c.links = make(map[int64]bool)
		}
		c.links[f.Hardlink] = true
	}
	c.bytes.Add(f.Size)
}

type countedSource struct {
	format.Source
	counts *counts
}

func (c countedSource) Next() (format.Record, error) {
	rec, err := c.Source.Next()
	if err == nil {
		c.counts.add(rec)
	}
	return rec, err
}

type countedSink struct {
	format.Sink
	counts *counts
}

func (c countedSink) Write(rec format.Record) error {
	c.counts.add(rec) // which is the sink's after that
	return c.Sink.Write(rec)
}
