package compress

import (
	"github.com/klauspost/compress/zstd"

	"chunkah/lib/compress/deflate"
)

// A codec compresses one block at a time. It is used by one goroutine, and keeps its tables from
// block to block; what it returns does not depend on the blocks before (TestReusedCodec).
type codec interface {
	// appendBlock appends the compressed form of buf[from:] to dst. Before that is the input just
	// before the block, at most as much as plan.dictSize asks for.
	appendBlock(dst, buf []byte, from int) ([]byte, error)
}

// A plan is what a writer and a worker must know about valid settings: how to cut the input, what
// stands before and behind the blocks, and which codec compresses them. It is comparable: workers
// keep one codec a plan.
type plan struct {
	algorithm Algorithm
	level     int // the library's, or of our own encoder
	blockSize int // bytes of input in each block but the last
	dictSize  int // bytes of input before a block that its codec wants to see
}

// deflateWindow is how far back deflate can point, in bytes.
const deflateWindow = 32 << 10

func (s Settings) plan() plan {
	if s.Algorithm == Zstd {
		return plan{algorithm: Zstd, level: int(s.zstdLevel()), blockSize: zstdBlockSize}
	}
	return plan{algorithm: Gzip, level: s.gzipLevel(), blockSize: gzipBlockSize, dictSize: deflateWindow}
}

// bufferSize is how many bytes hold a block with its dictionary, or any output for a block.
func (p plan) bufferSize() int {
	return p.dictSize + outputSize(p.blockSize)
}

// ahead is how many blocks of a writer may wait for a worker. Where all processors are busy, who
// fills the blocks gets one for a moment now and then, and then has to fill as many as the workers
// need until the next.
func (p plan) ahead() int { return max(1, aheadBytes/p.blockSize) }

// aheadBytes is how much input of a writer may wait, unless a block is larger: at gzip's default
// level some 50 ms of work for two workers, where a processor is handed over every 10 ms at the
// latest.
const aheadBytes = 4 << 20

// outputSize is what so many bytes of input become at most. Both formats add a few bytes for each
// 64 KiB that does not shrink.
func outputSize(n int) int {
	return n + n/512 + 128
}

// MaxSize returns what so many bytes become at most, with any settings: each block grows by less
// than a 256th, the last one and the rest of the format by a few bytes more.
func MaxSize(n int64) int64 { return n + n/256 + 1024 }

func (p plan) newCodec() (codec, error) {
	if p.algorithm == Zstd {
		return newZstdCodec(zstd.EncoderLevel(p.level))
	}
	if p.level >= deflate.First {
		return ownCodec{deflate.NewEncoder(p.level)}, nil
	}
	return newDeflateCodec(p.level)
}

// header is what a blob begins with, given how many bytes of input its first block has.
func (p plan) header(first int) []byte {
	if p.algorithm == Zstd {
		return zstdHeader(first)
	}
	return []byte(gzipHeader)
}
