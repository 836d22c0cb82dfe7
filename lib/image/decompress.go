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
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/oci"
)

// readBuffer is the number of bytes per read of a blob.
const readBuffer = 128 << 10

// compression is the format in which a blob is compressed.
type compression int

const (
	plain compression = iota
	packedGzip
	packedZstd
	packedXz
	packedBzip2
)

func (c compression) String() string { return [...]string{"plain", "gzip", "zstd", "xz", "bzip2"}[c] }

// layerTypes are the media types of OCI and Docker layers.
var layerTypes = map[string]compression{
	v1.MediaTypeImageLayer: plain, v1.MediaTypeImageLayerGzip: packedGzip, v1.MediaTypeImageLayerZstd: packedZstd,
	oci.MediaTypeDockerLayer: plain, oci.MediaTypeDockerLayerGzip: packedGzip, oci.MediaTypeDockerLayerZstd: packedZstd,
}

// magics are the first bytes of compressed blobs. If they differ from the media type, chunkah
// ignores the media type, as clients do. The result is verified with the diffID.
var magics = []struct {
	magic []byte
	is    compression
}{
	{[]byte{0x1f, 0x8b}, packedGzip},
	{[]byte{0x28, 0xb5, 0x2f, 0xfd}, packedZstd},
	{[]byte{0xfd, '7', 'z', 'X', 'Z', 0}, packedXz},
	{[]byte("BZh"), packedBzip2},
}

// detect determines the compression from the first bytes.
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
	// A zstd stream can begin with a skippable frame, whose magic number is 0x184d2a50 to
	// 0x184d2a5f.
	if len(head) >= 4 && head[0]&0xf0 == 0x50 && head[1] == 0x2a && head[2] == 0x4d && head[3] == 0x18 {
		return packedZstd, nil
	}
	return plain, nil
}

// unpacker decompresses one stream at a time and reuses the zstd decoder. The zero value is ready
// to use.
//
// A gzip.Reader is not reused. If a block defines no codes, klauspost's reader uses the codes of
// the previous stream, so the result would depend on the order of layers.
type unpacker struct {
	zstd *zstd.Decoder
}

// open returns a reader for the decompressed bytes of in. The reader is valid until the next call.
// Streams can consist of several gzip members, zstd frames, or xz and bzip2 streams.
func (u *unpacker) open(in *bufio.Reader, is compression) (_ io.Reader, err error) {
	switch {
	case is == packedGzip:
		return gzip.NewReader(in)
	case is == packedZstd && u.zstd == nil:
		// One goroutine is enough, because the other cores compute digests and read other layers.
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
