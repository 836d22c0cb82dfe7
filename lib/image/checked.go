package image

import (
	"crypto/sha256"
	"errors"
	"hash"
	"io"
)

// checked reads contents in place. The contents could have changed since the digest of the layer
// was verified, so they are hashed again when they are read from start to end. If the hash differs,
// the last read returns an error.
type checked struct {
	contents
	hash   hash.Hash
	hashed int64
	want   [sha256.Size]byte
}

// errOtherBytes means that an image has changed since it was opened.
var errOtherBytes = errors.New("the image changed while it was being read: do not write to it while chunkah reads it")

// ReadAt implements io.ReaderAt, for one goroutine at a time.
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
