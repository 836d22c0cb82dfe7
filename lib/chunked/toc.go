package chunked

import (
	"archive/tar"
	"encoding/base64"
	"encoding/json"
	"io"
	"time"

	"github.com/opencontainers/go-digest"

	"chunkah/format"
	"chunkah/lib/layer"
)

// An Entry in the TOC describes a tar entry, or a further chunk of the file before it. The fields'
// names and order are taken from go.podman.io/storage.
type Entry struct {
	Type     string            `json:"type"`
	Name     string            `json:"name"`
	Linkname string            `json:"linkName,omitempty"`
	Mode     int64             `json:"mode,omitempty"`
	Size     int64             `json:"size,omitempty"`
	UID      int64             `json:"uid,omitempty"`
	GID      int64             `json:"gid,omitempty"`
	ModTime  *time.Time        `json:"modtime,omitempty"`
	Devmajor int64             `json:"devMajor,omitempty"`
	Devminor int64             `json:"devMinor,omitempty"`
	Xattrs   map[string]string `json:"xattrs,omitempty"` // values in base64
	Digest   digest.Digest     `json:"digest,omitempty"` // digest of the contents; empty if there are none

	Offset    int64 `json:"offset,omitempty"`    // offset of the first byte in the blob
	EndOffset int64 `json:"endOffset,omitempty"` // end offset in the blob; only in the last entry of a file

	ChunkSize   int64         `json:"chunkSize,omitempty"`
	ChunkOffset int64         `json:"chunkOffset,omitempty"` // offset in the file
	ChunkDigest digest.Digest `json:"chunkDigest,omitempty"`
	ChunkType   string        `json:"chunkType,omitempty"`
}

// The types of an Entry.
const (
	typeFile    = "reg"
	typeLink    = "hardlink"
	typeSymlink = "symlink"
	typeDir     = "dir"
	typeChar    = "char"
	typeBlock   = "block"
	typeFifo    = "fifo"
	typeChunk   = "chunk"
)

// zeros is the chunkType of a hole.
const zeros = "zeros"

// tocVersion is the only version that clients support.
const tocVersion = 1

// typeOf returns the type of an entry for a tar type flag, or "" if the TOC has no such type.
func typeOf(flag byte) string {
	switch flag {
	case tar.TypeReg:
		return typeFile
	case tar.TypeLink:
		return typeLink
	case tar.TypeSymlink:
		return typeSymlink
	case tar.TypeDir:
		return typeDir
	case tar.TypeChar:
		return typeChar
	case tar.TypeBlock:
		return typeBlock
	case tar.TypeFifo:
		return typeFifo
	}
	return ""
}

// item is an entry whose position is not known yet.
type item struct {
	layer.Entry
	first  int // number of frames before its contents
	sum    [32]byte
	chunks []chunk
}

// chunk is a piece of a file.
type chunk struct {
	size  int64
	last  int // number of frames up to its end
	sum   [32]byte
	zeros bool
}

// entries returns the TOC entries for an item. at contains the end offsets of all frames.
func (i *item) entries(at []int64) []Entry {
	f := i.File
	modified := time.Unix(f.MTime, 0).UTC()
	e := Entry{
		Type: typeOf(i.Type), Name: i.Name, Linkname: i.Link, Mode: int64(f.Mode), Size: i.Size,
		UID: int64(f.UID), GID: int64(f.GID), ModTime: &modified,
		Devmajor: int64(f.DevMajor), Devminor: int64(f.DevMinor), Xattrs: xattrsOf(i.Xattrs),
	}
	list := []Entry{e}
	if len(i.chunks) == 0 {
		return list
	}
	list[0].Digest = digest.NewDigestFromBytes(digest.SHA256, i.sum[:])
	for range i.chunks[1:] {
		list = append(list, Entry{Type: typeChunk, Name: i.Name})
	}
	first, offset := i.first, int64(0)
	for n, c := range i.chunks {
		list[n].Offset = at[first-1] // tar headers come before it
		if len(i.chunks) > 1 {
			list[n].ChunkSize, list[n].ChunkOffset = c.size, offset
			list[n].ChunkDigest = digest.NewDigestFromBytes(digest.SHA256, c.sum[:])
			if c.zeros {
				list[n].ChunkType = zeros
			}
		}
		first, offset = c.last, offset+c.size
	}
	list[len(list)-1].EndOffset = at[first-1]
	return list
}

func xattrsOf(list []format.Xattr) map[string]string {
	if len(list) == 0 {
		return nil
	}
	m := make(map[string]string, len(list))
	for _, x := range list {
		m[x.Name] = base64.StdEncoding.EncodeToString(x.Value)
	}
	return m
}

// writeTOC writes the TOC as JSON.
func writeTOC(w io.Writer, items []item, at []int64, split digest.Digest) error {
	if _, err := io.WriteString(w, `{"version":1,"entries":[`); err != nil {
		return err
	}
	comma := false
	for i := range items {
		for _, e := range items[i].entries(at) {
			line, err := json.Marshal(e)
			if err != nil {
				return err
			}
			if comma {
				line = append([]byte{','}, line...)
			}
			if _, err := w.Write(line); err != nil {
				return err
			}
			comma = true
		}
	}
	_, err := io.WriteString(w, `],"tarSplitDigest":"`+split.String()+`"}`)
	return err
}
