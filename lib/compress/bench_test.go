package compress

import (
	"fmt"
	"io"
	"os"
	"testing"
)

// benchData returns the file named by COMPRESS_BENCH, for example a tar of a root, or generated
// bytes.
func benchData(b *testing.B) []byte {
	b.Helper()
	name := os.Getenv("COMPRESS_BENCH")
	if name == "" {
		return sample(sampleSize)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	return data
}

// BenchmarkWriter compresses one large layer on all cores. MB/s refer to the input; "ratio" is
// output / input in percent.
func BenchmarkWriter(b *testing.B) {
	data := benchData(b)
	for _, s := range []Settings{{None, 0}, {Gzip, 1}, {Gzip, 6}, {Gzip, 7}, {Zstd, 1}, {Zstd, 3}, {Zstd, 6}} {
		b.Run(fmt.Sprintf("%s-%d", s.Algorithm, s.Level), func(b *testing.B) {
			p := newPool(b, 0)
			var out counter
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				out = 0
				z, err := p.NewWriter(b.Context(), &out, s, 0)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := z.Write(data); err != nil {
					b.Fatal(err)
				}
				if err := z.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(100*float64(out)/float64(len(data)), "ratio")
		})
	}
}

// BenchmarkTiny compresses many layers of 4 KiB, one after the other.
func BenchmarkTiny(b *testing.B) {
	data := sample(4 << 10)
	for _, s := range []Settings{{None, 0}, {Gzip, 6}, {Zstd, 3}} {
		b.Run(string(s.Algorithm), func(b *testing.B) {
			p := newPool(b, 0)
			b.ReportAllocs()
			for b.Loop() {
				z, err := p.NewWriter(b.Context(), io.Discard, s, 0)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := z.Write(data); err != nil {
					b.Fatal(err)
				}
				if err := z.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
