package image

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// readBuffer is the size of one read of a blob, in bytes.
const readBuffer = 128 << 10

// compression is how the bytes of a blob are packed.
type compression int

const (
	plain compression = iota
	packedGzip
	packedZstd
)

// magics are what packed blobs start with. Clients go by them as well, and not by
// the media type; the diffID proves the outcome.
var magics = []struct {
	name  string
	magic []byte
	is    compression
}{
	{"gzip", []byte{0x1f, 0x8b}, packedGzip},
	{"zstd", []byte{0x28, 0xb5, 0x2f, 0xfd}, packedZstd},
	{"bzip2", []byte("BZh"), -1},
	{"xz", []byte{0xfd, '7', 'z', 'X', 'Z', 0}, -1},
}

// detect looks at the first bytes.
func detect(in *bufio.Reader) (compression, error) {
	head, err := in.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return plain, err
	}
	for _, m := range magics {
		if bytes.HasPrefix(head, m.magic) {
			if m.is < 0 {
				return plain, fmt.Errorf("it is packed with %s: want gzip, zstd or plain", m.name)
			}
			return m.is, nil
		}
	}
	// A zstd stream may begin with a frame to be skipped: 0x184d2a50 to …5f.
	if len(head) >= 4 && head[0]&0xf0 == 0x50 && head[1] == 0x2a && head[2] == 0x4d && head[3] == 0x18 {
		return packedZstd, nil
	}
	return plain, nil
}

// unpack returns the bytes that in holds. Streams of gzip may have several members,
// those of zstd several frames.
func unpack(in *bufio.Reader, is compression) (io.ReadCloser, error) {
	switch is {
	case packedGzip:
		return gzip.NewReader(in)
	case packedZstd:
		// One goroutine: the other core is busy with digests and with other layers.
		d, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}
	return io.NopCloser(in), nil
}
