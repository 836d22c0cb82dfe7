package chunked

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
)

// The layer annotations.
const (
	annotationChecksum = "io.github.containers.zstd-chunked.manifest-checksum"
	annotationTOC      = "io.github.containers.zstd-chunked.manifest-position"
	annotationSplit    = "io.github.containers.zstd-chunked.tarsplit-position"
)

// tocType is the only type of table that clients support.
const tocType = 1

// A skippable frame (RFC 8878, section 3.1.2) starts with this magic number, followed by the size
// of its contents in four bytes.
const (
	skippableMagic = "\x50\x2a\x4d\x18"
	skippableSize  = 8
)

// The footer consists of seven 8-byte numbers and this magic number.
const (
	footerMagic = "GNUlInUx"
	footerSize  = 64
)

// A region is the position of a compressed table in a blob.
type region struct {
	offset, size int64
	unpacked     int64 // size after decompression
}

// Positions are the positions of a blob's tables.
type Positions struct {
	// Digest is the SHA-256 of the compressed table of contents.
	Digest digest.Digest
	toc    region
	split  region
}

// Fetched returns the number of table bytes that clients fetch. They do not fetch the footer.
func (p *Positions) Fetched() int64 { return p.toc.size + p.split.size }

// Start returns the offset at which the tables start. The tar ends there.
func (p *Positions) Start() int64 { return p.toc.offset - skippableSize }

// Annotations returns the annotations for the layer.
func (p *Positions) Annotations() map[string]string {
	return map[string]string{
		annotationChecksum: p.Digest.String(),
		annotationTOC:      fmt.Sprintf("%d:%d:%d:%d", p.toc.offset, p.toc.size, p.toc.unpacked, tocType),
		annotationSplit:    fmt.Sprintf("%d:%d:%d", p.split.offset, p.split.size, p.split.unpacked),
	}
}

// Marked reports whether the annotations mark a layer as zstd:chunked.
func Marked(annotations map[string]string) bool { return annotations[annotationChecksum] != "" }

// Of returns the annotations that belong to zstd:chunked, or nil if there are none.
func Of(annotations map[string]string) map[string]string {
	if !Marked(annotations) {
		return nil
	}
	own := map[string]string{}
	for _, key := range []string{annotationChecksum, annotationTOC, annotationSplit} {
		if value, has := annotations[key]; has {
			own[key] = value
		}
	}
	return own
}

// FromAnnotations reads the positions from a layer's annotations. size is the size of the blob.
func FromAnnotations(annotations map[string]string, size int64) (*Positions, error) {
	p := &Positions{Digest: digest.Digest(annotations[annotationChecksum])}
	if err := p.Digest.Validate(); err != nil {
		return nil, fmt.Errorf("annotation %q: %q is not a digest", annotationChecksum, annotations[annotationChecksum])
	}
	toc, err := numbers(annotations, annotationTOC, 4)
	if err != nil {
		return nil, err
	}
	split, err := numbers(annotations, annotationSplit, 3)
	if err != nil {
		return nil, err
	}
	if toc[3] != tocType {
		return nil, fmt.Errorf("annotation %q: the table has type %d, but clients support only type %d", annotationTOC, toc[3], tocType)
	}
	p.toc, p.split = region{toc[0], toc[1], toc[2]}, region{split[0], split[1], split[2]}
	return p, p.check(size)
}

// numbers reads an annotation that consists of n numbers.
func numbers(annotations map[string]string, key string, n int) ([]int64, error) {
	parts := strings.Split(annotations[key], ":")
	list := make([]int64, n)
	wrong := len(parts) != n
	for i := 0; i < n && !wrong; i++ {
		var err error
		list[i], err = strconv.ParseInt(parts[i], 10, 64)
		wrong = err != nil || list[i] < 0
	}
	if wrong {
		return nil, fmt.Errorf("annotation %q: expected %[3]d numbers, found %[2]q", key, annotations[key], n)
	}
	return list, nil
}

// Limits for the decompressed size of tables, in bytes. Clients refuse a larger TOC, and write a
// larger tar-split to a file.
const (
	maxTOC   = 150 << 20
	maxSplit = 16 << 30
)

// check checks that the tables fill the end of a blob of the given size.
func (p *Positions) check(size int64) error {
	footer := size - footerSize - skippableSize
	switch {
	case p.toc.unpacked > maxTOC || p.toc.size > maxTOC:
		return fmt.Errorf("the table of contents is %d bytes, above the limit of %d that clients read", max(p.toc.unpacked, p.toc.size), maxTOC)
	case p.split.unpacked > maxSplit:
		return fmt.Errorf("the tar-split is %d bytes, above the limit of %d", p.split.unpacked, int64(maxSplit))
	case p.toc.offset < skippableSize || p.toc.size > footer || p.split.size > footer,
		p.toc.offset > footer-p.toc.size, p.split.offset != p.toc.offset+p.toc.size+skippableSize,
		p.split.offset+p.split.size != footer:
		return fmt.Errorf("the tables at offsets %d and %d, with %d and %d bytes, do not end at the footer of the %d-byte blob",
			p.toc.offset, p.split.offset, p.toc.size, p.split.size, size)
	}
	return nil
}

// footer returns the contents of the last frame.
func (p *Positions) footer() []byte {
	var b []byte
	for _, n := range []int64{p.toc.offset, p.toc.size, p.toc.unpacked, tocType, p.split.offset, p.split.size, p.split.unpacked} {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	return append(b, footerMagic...)
}

// errNoFooter means that a blob is not zstd:chunked.
var errNoFooter = errors.New("no zstd:chunked footer found")

// parseFooter reads the last frame of a blob of the given size. The frame does not contain the
// digest.
func parseFooter(frame []byte, size int64) (*Positions, error) {
	if len(frame) != skippableSize+footerSize || string(frame[:skippableSize]) != skippableHeader(footerSize) ||
		string(frame[len(frame)-len(footerMagic):]) != footerMagic {
		return nil, errNoFooter
	}
	var n [7]int64
	for i := range n {
		n[i] = int64(binary.LittleEndian.Uint64(frame[skippableSize+8*i:]))
		if n[i] < 0 {
			return nil, fmt.Errorf("the footer contains the invalid number %d", uint64(n[i]))
		}
	}
	if n[3] != tocType {
		return nil, fmt.Errorf("the footer contains the table type %d, but clients support only type %d", n[3], tocType)
	}
	p := &Positions{toc: region{n[0], n[1], n[2]}, split: region{n[4], n[5], n[6]}}
	return p, p.check(size)
}

// skippableHeader returns the header of a skippable frame.
func skippableHeader(n int64) string {
	return string(binary.LittleEndian.AppendUint32([]byte(skippableMagic), uint32(n)))
}
