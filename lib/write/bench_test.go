package write

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"chunkah/format"
	"chunkah/lib/compress"
)

// forest creates n files of equal size in 16 components, with 100 files per directory, and returns
// the packed stream.
func forest(b *testing.B, n, size int) []format.Record {
	b.Helper()
	root := b.TempDir()
	content := []byte(bulk(size/2, 3) + string(make([]byte, size-size/2)))
	for i := range n {
		dir := filepath.Join(root, fmt.Sprintf("c%02d/d%04d", i*16/n, i/100))
		if i%100 == 0 || i*16/n != (i-1)*16/n {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				b.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file%06d", i)), content, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	return packed(b, root)
}

func BenchmarkRun(b *testing.B) {
	for _, bench := range []struct {
		n, size   int
		algorithm compress.Algorithm
		discard   bool
	}{
		{20_000, 2 << 10, compress.None, true},
		{20_000, 2 << 10, compress.None, false},
		{16, 16 << 20, compress.None, true},
		{16, 16 << 20, compress.None, false},
		{16, 16 << 20, compress.Zstd, true},
	} {
		output := "file"
		if bench.discard {
			output = "discard"
		}
		b.Run(fmt.Sprintf("%dx%d/%s/%s", bench.n, bench.size, bench.algorithm, output), func(b *testing.B) {
			stream := forest(b, bench.n, bench.size)
			opt := toWriter(io.Discard)
			if !bench.discard {
				opt = to(filepath.Join(b.TempDir(), "out"))
			}
			opt.Compression.Algorithm, opt.SpoolDir = bench.algorithm, b.TempDir()
			b.SetBytes(int64(bench.n * bench.size))
			b.ReportAllocs()
			for b.Loop() {
				in := source(stream)
				if _, err := complete(context.Background(), &in, opt); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*bench.n), "ns/file")
		})
	}
}
