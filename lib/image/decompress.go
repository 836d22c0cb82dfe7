package image

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"
)

// readBuffer is the size of one read of a blob, in bytes.
const readBuffer = 128 << 10

// compression is how the bytes of a blob are packed.
type compression int

const (
	plain compression = iota
	packedGzip
	packedZstd
	packedXz
	packedBzip2
)

func (c compression) String() string { return [...]string{"plain", "gzip", "zstd", "xz", "bzip2"}[c] }

// magics are what packed blobs start with. Clients go by them as well, and not by
// the media type; the diffID proves the outcome.
var magics = []struct {
	magic []byte
	is    compression
}{
	{[]byte{0x1f, 0x8b}, packedGzip},
	{[]byte{0x28, 0xb5, 0x2f, 0xfd}, packedZstd},
	{[]byte{0xfd, '7', 'z', 'X', 'Z', 0}, packedXz},
	{[]byte("BZh"), packedBzip2},
}

// detect looks at the first bytes.
func detect(in *bufio.Reader) (compression, error) {
	head, err := in.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return plain, err
	}
	for _, m := range magics {
		if bytes.HasPrefix(head, m.magic) {
			return m.is, nil
		}
	}
	// A zstd stream may begin with a frame to be skipped: 0x184d2a50 to …5f.
	if len(head) >= 4 && head[0]&0xf0 == 0x50 && head[1] == 0x2a && head[2] == 0x4d && head[3] == 0x18 {
		return packedZstd, nil
	}
	return plain, nil
}

// unpacker decompresses one stream after the other, those of zstd with the memory of
// the first. The zero value is ready.
//
// A gzip.Reader is not used again: where a block has no codes, klauspost's keeps those
// of the stream before, so that what becomes of it would depend on the order of layers.
type unpacker struct {
	zstd *zstd.Decoder
}

// open returns the bytes that in holds, until the next call. Streams of gzip may have
// several members, those of zstd several frames, and xz and bzip2 several streams.
func (u *unpacker) open(in *bufio.Reader, is compression) (_ io.Reader, err error) {
	switch {
	case is == packedGzip:
		return gzip.NewReader(in)
	case is == packedZstd && u.zstd == nil:
		// One goroutine: the other core is busy with digests and with other layers.
		u.zstd, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		return u.zstd, err
	case is == packedZstd:
		return u.zstd, u.zstd.Reset(in)
	case is == packedXz:
		return xz.NewReader(in, maxWindow)
	case is == packedBzip2:
		return bzip2.NewReader(in), nil
	}
	return in, nil
}

func (u *unpacker) close() {
	if u.zstd != nil {
		u.zstd.Close()
	}
}
