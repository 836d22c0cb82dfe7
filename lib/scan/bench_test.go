package scan

import (
	"fmt"
	"testing"

	"chunkah/lib/rootfs"
)

// BenchmarkWalk walks a tree in the kernel's cache with one reader and with several.
func BenchmarkWalk(b *testing.B) {
	dir := b.TempDir()
	const dirs, files = 100, 50
	for i := range dirs {
		for j := range files {
			add(b, dir, fmt.Sprintf("d%02d/e%d/f%d = x", i/10, i, j))
		}
	}
	root, err := rootfs.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer root.Close()
	for _, readers := range []int{1, 2, defaultReaders} {
		b.Run(fmt.Sprintf("readers=%d", readers), func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				for _, err := range Walk(b.Context(), root, Options{Readers: readers}, &Report{}) {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/file")
		})
	}
}
