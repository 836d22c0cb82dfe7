package image

import (
	"crypto/sha256"
	"errors"
	"hash"
	"io"
)

// checked is contents that are read in place. Somebody may have written there since the
// digest of the layer was compared, so they are hashed once more by whoever reads them
// from their start to their end, and the end is an error where they are others.
type checked struct {
	contents
	hash   hash.Hash
	hashed int64
	want   [sha256.Size]byte
}

// errOtherBytes says that an image is not what it was when it was opened.
var errOtherBytes = errors.New("it changed since the digest of its layer was compared: nothing may write to the image while it is read")

// ReadAt reads as io.ReaderAt, for one goroutine at a time.
func (c *checked) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.contents.ReadAt(p, off)
	if off != c.hashed || n == 0 {
		return n, err
	}
	c.hash.Write(p[:n])
	if c.hashed += int64(n); c.hashed == c.size && (err == nil || errors.Is(err, io.EOF)) {
		if [sha256.Size]byte(c.hash.Sum(nil)) != c.want {
			return 0, errOtherBytes
		}
	}
	return n, err
}
