package metrics

import (
	"sync/atomic"

	"chunkah/format"
)

// publishEvery is the number of files between updates of the published counts. One atomic addition
// per file would cost more than everything else in counting.
const publishEvery = 256

// counts contains the number of files in a stream and their total size in bytes. Only one goroutine
// calls add. Any goroutine can load the published counts.
type counts struct {
	files    atomic.Int64
	bytes    atomic.Int64
	ownFiles int64
	ownBytes int64
	links    map[int64]bool // hard-link groups seen so far
}

// add counts a record. Directories are not counted as files, and the bytes of a hard-linked file
// are counted once.
func (c *counts) add(rec format.Record) {
	f, ok := rec.(*format.File)
	if !ok || f.Type == format.TypeDir {
		return
	}
	if c.ownFiles++; c.ownFiles%publishEvery == 0 {
		c.publish()
	}
	if f.Size <= 0 {
		return // the size can be unknown
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
	c.ownBytes += f.Size
}

func (c *counts) publish() {
	c.files.Store(c.ownFiles)
	c.bytes.Store(c.ownBytes)
}

type countedSource struct {
	format.Source
	counts *counts
}

func (c countedSource) Next() (format.Record, error) {
	rec, err := c.Source.Next()
	if err != nil {
		c.counts.publish()
		return nil, err
	}
	c.counts.add(rec)
	return rec, nil
}

type countedSink struct {
	format.Sink
	counts *counts
}

func (c countedSink) Write(rec format.Record) error {
	c.counts.add(rec) // before the sink owns the record
	return c.Sink.Write(rec)
}

func (c countedSink) Finish() error {
	c.counts.publish()
	return c.Sink.Finish()
}
