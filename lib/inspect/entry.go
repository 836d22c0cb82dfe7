package inspect

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/image"
)

// NoComponent is that of an entry of which nobody knows which one it belongs to.
const NoComponent = -1

// Types of an entry that are no files: what they take away, a layer below has.
const (
	typeWhiteout = 'w'
	typeOpaque   = 'o' // all that is in a directory
)

// Entry is one entry of a layer's tar.
type Entry struct {
	Path string // in the tree: absolute; of a whiteout what it takes away
	Link string // target of a symlink or hard link
	// Size is that of a regular file, in bytes.
	Size, MTime int64
	UID, GID    uint32
	Mode        uint32 // permission bits
	// Component is an index into Image.Components, or NoComponent.
	Component int32
	// Content and Meta stand for what it holds, and for all else but its time: two entries of one
	// path that agree in both are the same but for that. They are parts of SHA-256 sums.
	Content [16]byte
	Meta    uint64

	flag byte // as tar has it
}

// newEntry describes an entry as it stands in a layer.
func newEntry(h *tar.Header, sum [sha256.Size]byte) (Entry, error) {
	path, whiteout, err := image.EntryPath(h.Name)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{
		Path: path, Mode: uint32(h.Mode & 0o7777), UID: uint32(h.Uid), GID: uint32(h.Gid), MTime: h.ModTime.Unix(),
		Component: NoComponent, Content: [16]byte(sum[:16]), flag: h.Typeflag,
	}
	switch {
	case whiteout && strings.HasSuffix(strings.TrimRight(h.Name, "/"), opaque):
		e.flag = typeOpaque
	case whiteout:
		e.flag = typeWhiteout
	case h.Typeflag == tar.TypeSymlink, h.Typeflag == tar.TypeLink:
		e.Link = strings.Clone(h.Linkname)
	case e.IsFile():
		e.Size = h.Size
	}
	e.Meta = meta(h, e.flag)
	return e, nil
}

// opaque is the last name of an entry that takes away all that is in a directory.
const opaque = ".wh..wh..opq"

// meta sums up what is neither contents nor time.
func meta(h *tar.Header, flag byte) uint64 {
	b := []byte{flag}
	for _, n := range []int64{h.Mode & 0o7777, int64(h.Uid), int64(h.Gid), h.Devmajor, h.Devminor} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	text := func(s string) { b = append(binary.BigEndian.AppendUint64(b, uint64(len(s))), s...) }
	text(h.Linkname)
	var keys []string
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "SCHILY.xattr.") {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		text(k)
		text(h.PAXRecords[k])
	}
	sum := sha256.Sum256(b)
	return binary.BigEndian.Uint64(sum[:8])
}

// IsDir tells whether it is a directory.
func (e *Entry) IsDir() bool { return e.flag == tar.TypeDir }

// IsFile tells whether it is a regular file, whose contents are in this entry.
func (e *Entry) IsFile() bool { return e.flag == tar.TypeReg || e.flag == tar.TypeGNUSparse }

// Takes tells whether it is a whiteout.
func (e *Entry) Takes() bool { return e.flag == typeWhiteout || e.flag == typeOpaque }

// Type is its type by name: those of the stream, and "hardlink" and "opaque".
func (e *Entry) Type() string {
	switch e.flag {
	case tar.TypeDir:
		return string(format.TypeDir)
	case tar.TypeSymlink:
		return string(format.TypeSymlink)
	case tar.TypeLink:
		return "hardlink"
	case tar.TypeChar:
		return string(format.TypeChar)
	case tar.TypeBlock:
		return string(format.TypeBlock)
	case tar.TypeFifo:
		return string(format.TypeFifo)
	case typeWhiteout:
		return string(format.TypeWhiteout)
	case typeOpaque:
		return "opaque"
	}
	return string(format.TypeFile)
}

// Weight is what an entry takes in a tar, in bytes, long names and xattrs aside. Blobs are shared
// out by it: how much of one an entry takes, compression does not tell.
func (e *Entry) Weight() int64 {
	const block = 512
	return block + (e.Size+block-1)/block*block
}
