package rpm

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
)

// The limits of one header, as in rpm itself (HEADER_TAGS_MAX and HEADER_DATA_MAX). Larger headers
// are treated as damaged.
const (
	maxTags   = 0xffff
	maxHeader = 256 << 20 // bytes
	// maxFiles is the largest number of files in one package. A kernel package contains 10,000.
	maxFiles = 1 << 22
)

// These are the tags that are read, with rpm's numbers, which never change.
const (
	tagImmutable       = 63
	tagSHA1Header      = 269
	tagSHA256Header    = 273
	tagName            = 1000
	tagVersion         = 1001
	tagRelease         = 1002
	tagEpoch           = 1003
	tagBuildTime       = 1006
	tagLicense         = 1014
	tagArch            = 1022
	tagOldFileNames    = 1027
	tagFileSizes       = 1028
	tagFileStates      = 1029
	tagFileModes       = 1030
	tagFileDigests     = 1035
	tagFileFlags       = 1037
	tagSourceRPM       = 1044
	tagChangelogTime   = 1080
	tagDirIndexes      = 1116
	tagBaseNames       = 1117
	tagDirNames        = 1118
	tagLongFileSizes   = 5008
	tagFileDigestAlgo  = 5011
	regionTrailerBytes = 16
	entryBytes         = 16
)

// These are the types of a tag's values.
const (
	typeChar        = 1
	typeInt8        = 2
	typeInt16       = 3
	typeInt32       = 4
	typeInt64       = 5
	typeString      = 6
	typeBin         = 7
	typeStringArray = 8
	typeI18NString  = 9
)

// widths contains the size of one value of each type, in bytes. The size is 0 for strings, which
// end with a NUL.
var widths = [...]uint64{0: 1, typeChar: 1, typeInt8: 1, typeInt16: 2, typeInt32: 4, typeInt64: 8, typeBin: 1, typeI18NString: 0}

// An entry is one tag in the index. Its count values of type kind begin at offset in the data.
type entry struct{ kind, offset, count uint32 }

// header is an rpm header. The index is checked against the data's length, so that reading a tag
// stays within the data.
type header struct {
	data string
	tags map[uint32]entry
}

var (
	errCutShort = errors.New("header is truncated")
	errRegion   = errors.New("header's region is damaged")
)

// parseHeader parses a header in the form in which databases store it: the number of tags, the
// number of data bytes, the index and the data. All numbers are 32-bit and big-endian. If the
// header contains its own digest, the digest is checked.
func parseHeader(blob []byte) (*header, error) {
	if len(blob) < 8 {
		return nil, errCutShort
	}
	tags, size := binary.BigEndian.Uint32(blob), binary.BigEndian.Uint32(blob[4:])
	switch want := 8 + entryBytes*uint64(tags) + uint64(size); {
	case tags == 0 || tags > maxTags:
		return nil, fmt.Errorf("invalid number of tags %d", tags)
	case size > maxHeader:
		return nil, fmt.Errorf("invalid header size %d", size)
	case want > uint64(len(blob)):
		return nil, errCutShort
	case want < uint64(len(blob)):
		return nil, fmt.Errorf("header of %d bytes is followed by %d more", want, uint64(len(blob))-want)
	}
	index, data := blob[8:8+entryBytes*tags], blob[8+entryBytes*tags:]
	h := &header{data: string(data), tags: make(map[uint32]entry, 32)}
	for at := 0; at < len(index); at += entryBytes {
		if err := h.add(index[at : at+entryBytes]); err != nil {
			return nil, err
		}
	}
	if err := h.verify(index, data); err != nil {
		return nil, err
	}
	return h, nil
}

// add checks an entry and stores it if its tag is used. If two entries have the same tag, the later
// one is used, because rpm appends its changes at installation.
func (h *header) add(raw []byte) error {
	tag := binary.BigEndian.Uint32(raw)
	e := entry{
		kind:   binary.BigEndian.Uint32(raw[4:]),
		offset: binary.BigEndian.Uint32(raw[8:]),
		count:  binary.BigEndian.Uint32(raw[12:]),
	}
	if e.kind > typeI18NString || e.count == 0 || uint64(e.offset) > uint64(len(h.data)) {
		return fmt.Errorf("tag %d is damaged", tag)
	}
	// A string needs at least one byte: its NUL.
	if uint64(e.count)*max(widths[e.kind], 1) > uint64(len(h.data))-uint64(e.offset) {
		return fmt.Errorf("tag %d has %d values, more than the data can contain", tag, e.count)
	}
	if wanted(tag) {
		h.tags[tag] = e
	}
	return nil
}

func wanted(tag uint32) bool {
	switch tag {
	case tagImmutable, tagSHA1Header, tagSHA256Header, tagName, tagVersion, tagRelease, tagEpoch,
		tagBuildTime, tagLicense, tagArch, tagOldFileNames, tagFileSizes, tagFileStates, tagFileModes,
		tagFileDigests, tagFileFlags, tagSourceRPM, tagChangelogTime, tagDirIndexes, tagBaseNames,
		tagDirNames, tagLongFileSizes, tagFileDigestAlgo:
		return true
	}
	return false
}

// verify compares the immutable region, the part that was built and signed, with the digest in the
// package. rpm's own additions, such as file states, are outside this region. Public keys, which
// old versions of rpm store as packages, and packages built before rpm 4.0 contain no digest.
func (h *header) verify(index, data []byte) error {
	want, sum, err := h.ownDigest()
	if err != nil || sum == nil {
		return err
	}
	// The trailer is an entry with a negative offset, whose absolute value is the length of the
	// region's index.
	region, ok := h.tags[tagImmutable]
	if !ok || region.kind != typeBin || region.count != regionTrailerBytes {
		return errRegion
	}
	end := region.offset + regionTrailerBytes
	span := -binary.BigEndian.Uint32(data[region.offset+8:])
	if span == 0 || span%entryBytes != 0 || uint64(span) > uint64(len(index)) {
		return errRegion
	}
	start := []byte{0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0}
	start = binary.BigEndian.AppendUint32(start, span/entryBytes)
	start = binary.BigEndian.AppendUint32(start, end)
	sum.Write(start)
	sum.Write(index[:span])
	sum.Write(data[:end])
	if hex.EncodeToString(sum.Sum(nil)) != want {
		return errors.New("header does not match its digest")
	}
	return nil
}

// ownDigest returns the header's own digest and its hash function. The function is nil if the
// header contains no digest.
func (h *header) ownDigest() (string, hash.Hash, error) {
	for _, d := range []struct {
		tag  uint32
		make func() hash.Hash
	}{{tagSHA256Header, sha256.New}, {tagSHA1Header, sha1.New}} {
		if _, ok := h.tags[d.tag]; !ok {
			continue
		}
		text, err := h.text(d.tag)
		return text, d.make(), err
	}
	return "", nil, nil
}

// text returns a tag's first string, or "" if the tag is missing.
func (h *header) text(tag uint32) (string, error) {
	list, err := h.texts(tag)
	if err != nil || list.count == 0 {
		return "", err
	}
	s, ok := list.next()
	if !ok {
		return "", fmt.Errorf("tag %d does not end", tag)
	}
	return s, nil
}

// texts returns a tag's strings, to be read in order.
func (h *header) texts(tag uint32) (texts, error) {
	e, ok := h.tags[tag]
	if !ok {
		return texts{}, nil
	}
	switch {
	case e.kind != typeString && e.kind != typeStringArray && e.kind != typeI18NString:
		return texts{}, fmt.Errorf("tag %d has type %d, expected a string type", tag, e.kind)
	case e.count > maxFiles:
		return texts{}, fmt.Errorf("tag %d has too many values: %d", tag, e.count)
	}
	return texts{rest: h.data[e.offset:], count: int(e.count)}, nil
}

// texts iterates over strings that end with NUL, without copying.
type texts struct {
	rest  string
	count int
}

// next returns the next string, or false at the end of the data.
func (t *texts) next() (string, bool) {
	s, rest, ok := strings.Cut(t.rest, "\x00")
	t.rest = rest
	return s, ok
}

// numbers returns a tag's integers, which must have the given type.
func (h *header) numbers(tag, kind uint32) (numbers, error) {
	e, ok := h.tags[tag]
	if !ok {
		return numbers{}, nil
	}
	if e.kind != kind {
		return numbers{}, fmt.Errorf("tag %d has type %d, expected %d", tag, e.kind, kind)
	}
	width := int(widths[kind])
	return numbers{raw: h.data[e.offset : uint64(e.offset)+uint64(width)*uint64(e.count)], width: width, count: int(e.count)}, nil
}

// number returns a tag's first 32-bit integer, or 0 if the tag is missing.
func (h *header) number(tag uint32) (uint64, error) {
	n, err := h.numbers(tag, typeInt32)
	if err != nil || n.count == 0 {
		return 0, err
	}
	return n.at(0), nil
}

// numbers are unsigned integers of the same width in bytes.
type numbers struct {
	raw          string
	width, count int
}

func (n numbers) at(i int) (v uint64) {
	for _, b := range []byte(n.raw[i*n.width : (i+1)*n.width]) {
		v = v<<8 | uint64(b)
	}
	return v
}
