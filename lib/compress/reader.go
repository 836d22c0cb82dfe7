package compress

import (
	"bufio"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow is the largest window of a zstd decoder, in bytes. It is the default limit of the zstd
// command.
const maxWindow = 128 << 20

// NewReader returns a reader for the decompressed data. in can be the output of any compressor. The
// caller must close the reader.
func (a Algorithm) NewReader(in io.Reader) (io.ReadCloser, error) {
	in = bufio.NewReaderSize(in, 128<<10)
	switch a {
	case Gzip:
		return gzip.NewReader(in)
	case Zstd:
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}
	return nil, fmt.Errorf("%q is not compressed", a)
}
