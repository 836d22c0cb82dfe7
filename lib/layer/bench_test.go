package layer

import (
	"context"
	"fmt"
	"io"
	"testing"

	"chunkah/format"
)

type zeroContent struct{}

func (zeroContent) WriteFile(_ context.Context, w io.Writer, f *format.File) (int64, error) {
	n := f.Size
	for n > 0 {
		m, err := w.Write(page[:min(n, int64(len(page)))])
		if err != nil {
			return 0, err
		}
		n -= int64(m)
	}
	return f.Size, nil
}

var page [256 << 10]byte

func manyFiles(n int, size int64) []*format.File {
	files := make([]*format.File, n)
	for i := range files {
		files[i] = file(fmt.Sprintf("/usr/lib/python3/dist-packages/package%d/module%d.py", i/100, i), size)
	}
	return files
}

// BenchmarkWrite measures only headers and copying: nothing is read or hashed.
func BenchmarkWrite(b *testing.B) {
	for _, size := range []int64{0, 4096, 1 << 20} {
		b.Run(fmt.Sprintf("%d-bytes", size), func(b *testing.B) {
			files := manyFiles(1000, size)
			b.SetBytes(Size(files))
			b.ReportAllocs()
			for b.Loop() {
				if err := Write(context.Background(), io.Discard, files, zeroContent{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(files)), "ns/entry")
		})
	}
}

func BenchmarkSize(b *testing.B) {
	files := manyFiles(1000, 4096)
	b.ReportAllocs()
	for b.Loop() {
		Size(files)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(files)), "ns/entry")
}
