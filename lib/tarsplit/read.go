// Package tarsplit reads and writes tar-split, which describes a tar without the contents of its
// files, in lines of JSON (github.com/vbatts/tar-split, tar/storage). containers-storage keeps a
// tar-split for each layer, and each zstd:chunked blob contains one.
package tarsplit

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// maxLine is the largest size of a line, in bytes. A line contains the headers of one entry, mostly
// xattrs.
const maxLine = 16 << 20

// The types of lines.
const (
	File    = 1 // an entry, with the size and CRC-64 of its contents
	Segment = 2 // bytes of the tar: padding and headers
)

// Line is one line of a tar-split.
type Line struct {
	Type    int    `json:"type"`
	Name    string `json:"name"`
	NameRaw []byte `json:"name_raw"`
	Size    int64  `json:"size"`
	Payload []byte `json:"payload"`
}

// Path returns the name of the entry.
func (l *Line) Path() string {
	if len(l.NameRaw) > 0 {
		return string(l.NameRaw)
	}
	return l.Name
}

// Reader reads lines.
type Reader struct{ lines *bufio.Scanner }

// NewReader returns a reader of the lines in r.
func NewReader(r io.Reader) *Reader {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	return &Reader{lines}
}

// Next returns the next line, or io.EOF after the last.
func (r *Reader) Next() (l Line, err error) {
	if !r.lines.Scan() {
		if err := r.lines.Err(); err != nil {
			return l, err
		}
		return l, io.EOF
	}
	if err := json.Unmarshal(r.lines.Bytes(), &l); err != nil {
		return l, err
	}
	if l.Type != Segment && (l.Type != File || l.Size < 0) {
		return l, fmt.Errorf("unexpected line with type %d and size %d", l.Type, l.Size)
	}
	return l, nil
}
