package compress

import (
	"github.com/klauspost/compress/zstd"

	"chunkah/lib/compress/deflate"
)

// A codec compresses one block at a time, and only one goroutine can use it. It reuses its tables,
// but its output does not depend on earlier blocks (TestReusedCodec).
type codec interface {
	// appendBlock appends the compressed form of buf[from:] to dst. buf[:from] is the input just
	// before the block. It is at most plan.dictSize bytes long.
	appendBlock(dst, buf []byte, from int) ([]byte, error)
}

// A plan contains the parameters of a writer and a worker, as derived from valid settings: how to
// divide the input, the bytes before and after the blocks, and the codec. It is comparable, because
// workers keep one codec per plan.
type plan struct {
	algorithm Algorithm
	level     int // level in the library or in package deflate
	blockSize int // bytes of input in each block except the last
	dictSize  int // bytes of input before a block that the codec uses as a dictionary
	frames    bool
}

// deflateWindow is the maximum distance of a match in deflate, in bytes.
const deflateWindow = 32 << 10

func (s Settings) plan() plan {
	if s.Algorithm == Zstd {
		return plan{algorithm: Zstd, level: int(s.zstdLevel()), blockSize: zstdBlockSize}
	}
	return plan{algorithm: Gzip, level: s.gzipLevel(), blockSize: gzipBlockSize, dictSize: deflateWindow}
}

// bufferSize returns a buffer size that is enough for a block with its dictionary, or for the
// output of any block.
func (p plan) bufferSize() int {
	return p.dictSize + outputSize(p.blockSize)
}

// queueLength is the number of blocks per writer that can be queued. If all processors are busy,
// the goroutine that fills blocks runs only occasionally, and must fill enough blocks to occupy the
// workers until it runs again.
func (p plan) queueLength() int {
	if p.frames {
		return 2 // these blocks are half as large as other blocks, and zstd compresses one in 10 ms
	}
	return max(1, queuedBytes/p.blockSize)
}

// queuedBytes is the amount of input per writer that can be queued, unless a block is larger. It is
// about 50 ms of work for two workers at gzip's default level. The scheduler switches goroutines
// every 10 ms at the latest.
const queuedBytes = 4 << 20

// outputSize returns the maximum size of n bytes after compression. A stored deflate block adds 5
// bytes. It contains at least 1024 bytes of input, unless it is the last block of a piece.
func outputSize(n int) int {
	return n + n/128 + 128
}

// MaxSize returns the maximum size of n bytes after compression, with any settings. Each block
// grows by less than 1/128, and the last block and the format add a few bytes.
func MaxSize(n int64) int64 { return n + n/128 + 1024 }

func (p plan) newCodec() (codec, error) {
	if p.frames {
		return newFrameCodec(zstd.EncoderLevel(p.level))
	}
	if p.algorithm == Zstd {
		return newZstdCodec(zstd.EncoderLevel(p.level))
	}
	if p.level >= deflate.First {
		return ownCodec{deflate.NewEncoder(p.level)}, nil
	}
	return newDeflateCodec(p.level)
}

// header returns the first bytes of a blob. first is the number of input bytes in the first block.
func (p plan) header(first int) []byte {
	if p.frames {
		return nil
	}
	if p.algorithm == Zstd {
		return zstdHeader(first)
	}
	return []byte(gzipHeader)
}
