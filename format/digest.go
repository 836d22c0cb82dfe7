package format

import (
	"crypto/sha256"
	"encoding/hex"
)

// Digest is the SHA-256 of a file's contents. The zero value means that the digest is unknown.
// Digests can be compared with ==.
type Digest struct {
	sum string // the bytes of the SHA-256, or empty; the text would take twice the memory
}

// EmptyDigest is the digest of an empty file.
var EmptyDigest = NewDigest(sha256.Sum256(nil))

// NewDigest returns a SHA-256 as a digest.
func NewDigest(sum [sha256.Size]byte) Digest { return Digest{string(sum[:])} }

// ParseDigest parses the only valid form of a digest: sha256: and 64 lower-case hex digits.
func ParseDigest(text string) (d Digest, valid bool) {
	if !isDigest([]byte(text)) {
		return Digest{}, false
	}
	var sum [sha256.Size]byte
	_, err := hex.Decode(sum[:], []byte(text[len(digestPrefix):]))
	return NewDigest(sum), err == nil
}

// Known reports whether the digest is known.
func (d Digest) Known() bool { return d.sum != "" }

// Sum returns the bytes of the SHA-256. They are zero if the digest is unknown.
func (d Digest) Sum() (sum [sha256.Size]byte) {
	copy(sum[:], d.sum)
	return sum
}

// String returns the digest as text, or "" if it is unknown.
func (d Digest) String() string {
	if !d.Known() {
		return ""
	}
	var text [len(digestPrefix) + 2*sha256.Size]byte
	sum := d.Sum()
	hex.Encode(text[copy(text[:], digestPrefix):], sum[:])
	return string(text[:])
}
