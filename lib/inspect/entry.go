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

// NoComponent marks an entry whose component is unknown.
const NoComponent = -1

// Types of whiteout entries, which remove entries in the layers below.
const (
	typeWhiteout = 'w'
	typeOpaque   = 'o' // everything in a directory
)

// Entry is an entry in a layer's tar.
type Entry struct {
	Path string // absolute path in the tree; for a whiteout, the removed path
	Link string // target of a symlink or hard link
	// Size is the size of a regular file, in bytes.
	Size, MTime int64
	UID, GID    uint32
	Mode        uint32 // permission bits
	// Component is an index into Image.Components, or NoComponent.
	Component int32
	// Content and Meta are parts of SHA-256 sums. Content covers the contents, and Meta covers all
	// metadata except the time. If both are equal for two entries with the same path, only the
	// times of the entries can differ.
	Content [16]byte
	Meta    uint64

	flag byte // tar's type flag, or one of the types above
}

// newEntry describes an entry in a layer.
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
	case whiteout && strings.HasSuffix(strings.TrimRight(h.Name, "/"), format.OpaqueWhiteout):
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

// meta returns a checksum of all metadata except the time.
func meta(h *tar.Header, flag byte) uint64 {
	b := []byte{flag}
	for _, n := range []int64{h.Mode & 0o7777, int64(h.Uid), int64(h.Gid), h.Devmajor, h.Devminor} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	text := func(s string) { b = append(binary.BigEndian.AppendUint64(b, uint64(len(s))), s...) }
	text(h.Linkname)
	var keys []string
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, format.XattrKey) {
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

// IsDir reports whether the entry is a directory.
func (e *Entry) IsDir() bool { return e.flag == tar.TypeDir }

// IsFile reports whether the entry is a regular file with contents.
func (e *Entry) IsFile() bool { return e.flag == tar.TypeReg || e.flag == tar.TypeGNUSparse }

// IsWhiteout reports whether the entry is a whiteout.
func (e *Entry) IsWhiteout() bool { return e.flag == typeWhiteout || e.flag == typeOpaque }

// Type returns the type as in the stream, or "hardlink", "whiteout" or "opaque".
func (e *Entry) Type() string {
	switch e.flag {
	case tar.TypeDir:
		return format.TypeDir.String()
	case tar.TypeSymlink:
		return format.TypeSymlink.String()
	case tar.TypeLink:
		return "hardlink"
	case tar.TypeChar:
		return format.TypeChar.String()
	case tar.TypeBlock:
		return format.TypeBlock.String()
	case tar.TypeFifo:
		return format.TypeFifo.String()
	case typeWhiteout:
		return format.TypeWhiteout.String()
	case typeOpaque:
		return "opaque"
	}
	return format.TypeFile.String()
}

// Weight is an entry's approximate size in the tar, in bytes, without long names and xattrs. A
// blob's size is divided among its entries by weight, because the actual shares are unknown after
// compression.
func (e *Entry) Weight() int64 {
	const block = 512
	return block + (e.Size+block-1)/block*block
}
