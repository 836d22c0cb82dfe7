package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
)

// The tags of an rpm header that describe the package and its files.
const (
	tagImmutable  = 63
	tagDigest     = 273 // SHA-256 of the immutable region, in hexadecimal
	tagName       = 1000
	tagBuildTime  = 1006
	tagSizes      = 1028
	tagStates     = 1029
	tagModes      = 1030
	tagTargets    = 1036
	tagFlags      = 1037
	tagDirIndexes = 1116
	tagBaseNames  = 1117
	tagDirNames   = 1118
)

// flagGhost marks a file that a package owns but does not contain.
const flagGhost = 1 << 6

var errHeader = errors.New("a package's header is damaged")

// A header is an rpm header. It consists of the number of index entries, the number of data bytes,
// the entries (tag, type, offset, count), and the data. All numbers are big-endian.
type header struct {
	offset, count map[uint32]int
	index, data   []byte
}

// entrySize is the size of an index entry in bytes.
const entrySize = 16

func parseHeader(blob []byte) (header, error) {
	if len(blob) < 8 {
		return header{}, errHeader
	}
	entries, size := int(binary.BigEndian.Uint32(blob)), int(binary.BigEndian.Uint32(blob[4:]))
	if len(blob) != 8+entries*entrySize+size {
		return header{}, errHeader
	}
	h := header{map[uint32]int{}, map[uint32]int{}, blob[8 : 8+entries*entrySize], blob[8+entries*entrySize:]}
	for index := h.index; len(index) > 0; index = index[entrySize:] {
		tag := binary.BigEndian.Uint32(index)
		h.offset[tag] = int(binary.BigEndian.Uint32(index[8:]))
		h.count[tag] = int(binary.BigEndian.Uint32(index[12:]))
		if h.offset[tag] > size || h.count[tag] > size {
			return header{}, errHeader
		}
	}
	return h, nil
}

// numbers returns the values of a tag with the given size in bytes.
func (h header) numbers(tag uint32, width int) []uint32 {
	data := h.data[h.offset[tag]:]
	values := make([]uint32, 0, h.count[tag])
	for range h.count[tag] {
		if len(data) < width {
			return nil
		}
		var padded [4]byte
		copy(padded[4-width:], data)
		values, data = append(values, binary.BigEndian.Uint32(padded[:])), data[width:]
	}
	return values
}

// texts returns the values of a tag, each of which ends with a NUL byte.
func (h header) texts(tag uint32) []string {
	data := h.data[h.offset[tag]:]
	values := make([]string, 0, h.count[tag])
	for range h.count[tag] {
		text, rest, ok := bytes.Cut(data, []byte{0})
		if !ok {
			return nil
		}
		values, data = append(values, string(text)), rest
	}
	return values
}

// name returns the name of the package. It returns "" if the header contains no name.
func (h header) name() string {
	if names := h.texts(tagName); len(names) > 0 {
		return names[0]
	}
	return ""
}

// setBuildTime changes the build time, in unix seconds, in place, and updates the digest of the
// region that contains it.
func (h header) setBuildTime(seconds uint32) error {
	trailer := h.offset[tagImmutable]
	if h.count[tagBuildTime] != 1 || h.count[tagImmutable] != entrySize || h.count[tagDigest] != 1 ||
		len(h.data) < max(h.offset[tagBuildTime]+4, trailer+entrySize, h.offset[tagDigest]+2*sha256.Size) {
		return errHeader
	}
	binary.BigEndian.PutUint32(h.data[h.offset[tagBuildTime]:], seconds)
	// The trailer is an entry whose negated offset is the size of the region's index.
	size := -int32(binary.BigEndian.Uint32(h.data[trailer+8:]))
	if size < 0 || int(size) > len(h.index) {
		return errHeader
	}
	region := []byte{0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0} // the magic number of headers
	region = binary.BigEndian.AppendUint32(region, uint32(size)/entrySize)
	region = binary.BigEndian.AppendUint32(region, uint32(trailer+entrySize))
	region = append(region, h.index[:size]...)
	region = append(region, h.data[:trailer+entrySize]...)
	sum := sha256.Sum256(region)
	hex.Encode(h.data[h.offset[tagDigest]:], sum[:])
	return nil
}

// packageFiles lists the files of one package that were installed.
func packageFiles(blob []byte) ([]file, error) {
	h, err := parseHeader(blob)
	if err != nil || h.count[tagBaseNames] == 0 {
		return nil, err
	}
	names, dirs, targets := h.texts(tagBaseNames), h.texts(tagDirNames), h.texts(tagTargets)
	indexes, sizes, flags := h.numbers(tagDirIndexes, 4), h.numbers(tagSizes, 4), h.numbers(tagFlags, 4)
	modes, states, built := h.numbers(tagModes, 2), h.numbers(tagStates, 1), h.numbers(tagBuildTime, 4)
	n := len(names)
	if len(targets) != n || len(indexes) != n || len(sizes) != n || len(flags) != n || len(modes) != n || len(states) != n || len(built) != 1 {
		return nil, errHeader
	}
	var files []file
	for i, name := range names {
		if int(indexes[i]) >= len(dirs) {
			return nil, errHeader
		}
		if states[i] != 0 || flags[i]&flagGhost != 0 {
			continue
		}
		files = append(files, file{dirs[indexes[i]] + name, uint16(modes[i]), int64(sizes[i]), targets[i], int64(built[0])})
	}
	return files, nil
}
