// Package contentid identifies the contents of a component with a short string, its ID. If the ID
// is the same in the next image, the files of the component keep their times.
//
// An ID consists of two parts: the attributes of the component's tar entries, and a hash of its
// files. Package pack computes the attributes. It reads the files only if the component's ID could
// be the same as in the previous image. Otherwise package write completes the ID while it writes
// the files, so that the files are read only once.
//
// The hash of files is not cryptographic, because XXH3 takes only 2 % of the time of SHA-256 on
// amd64. With a collision, an attacker can only make a changed file keep its old time. Anyone who
// can change a file can set its time anyway. The image always contains the actual bytes of the
// file. Layers, and files that are compared with a kept layer, have SHA-256 digests.
package contentid

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"io"
	"strings"

	"github.com/zeebo/xxh3"
)

// size is the number of bytes in a hash. A hash is only compared with the hash of the same
// component in the previous image, so 64 bits are enough. A component that changes daily would be
// mistaken for an unchanged one once in 10^16 years. It would then keep its times, but the contents
// of its files would still be correct.
const size = 8

// Attributes are a hash over everything in the entries of a component's tar except times.
type Attributes [size]byte

// shownAttributes is the number of attribute bytes in an ID. If these bytes differ, the contents
// differ, and no file need be read.
const shownAttributes = size / 2

// incomplete ends the ID of a component whose files are not hashed yet. It is also the fingerprint
// of such a component.
const incomplete = "+"

// Incomplete returns the ID of a component whose files are not hashed yet. It differs from all
// complete IDs.
func (a Attributes) Incomplete() string { return hex.EncodeToString(a[:]) + incomplete }

// CanBe reports whether a component with these attributes could have the given ID.
func (a Attributes) CanBe(id string) bool {
	return strings.HasPrefix(id, hex.EncodeToString(a[:shownAttributes]))
}

// parse returns the attributes in an incomplete ID.
func parse(id string) (a Attributes, ok bool) {
	digits, ok := strings.CutSuffix(id, incomplete)
	if !ok || len(digits) != 2*size {
		return a, false
	}
	_, err := hex.Decode(a[:], []byte(digits))
	return a, err == nil
}

// Component computes the ID of a component.
type Component struct {
	attributes Attributes
	files      hash.Hash
}

// New returns a component without files.
func New(a Attributes) *Component {
	c := &Component{attributes: a, files: sha256.New()}
	c.files.Write(a[:])
	return c
}

// Add adds the hash of a file. Add the non-empty files in order, and hard links only once.
func (c *Component) Add(sum uint64) {
	c.files.Write(binary.BigEndian.AppendUint64(nil, sum))
}

// ID returns the ID.
func (c *Component) ID() string {
	return hex.EncodeToString(c.attributes[:shownAttributes]) + hex.EncodeToString(c.files.Sum(nil)[:size])
}

// Fingerprint returns the fingerprint for a component's time and contents. The fingerprint of an
// incomplete ID is incomplete.
func Fingerprint(time int64, id string) string {
	if _, partial := parse(id); partial {
		return incomplete
	}
	buf := binary.AppendVarint(nil, time)
	buf = append(binary.AppendUvarint(buf, uint64(len(id))), id...)
	sum := sha256.Sum256(buf)
	return hex.EncodeToString(sum[:size])
}

// File hashes files, one at a time, while they are written to another writer.
type File struct {
	to   io.Writer
	hash xxh3.Hasher
}

// To starts a file. The returned writer passes everything on to w.
func (f *File) To(w io.Writer) io.Writer {
	f.to = w
	f.hash.Reset()
	return f
}

func (f *File) Write(p []byte) (int, error) {
	_, _ = f.hash.Write(p) // it never fails
	return f.to.Write(p)
}

// Sum returns the hash of the file.
func (f *File) Sum() uint64 { return f.hash.Sum64() }
