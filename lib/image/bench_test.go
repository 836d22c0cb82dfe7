package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	mk "chunkah/tests/mkimage"
)

// large returns an image of a large root file system, with files of 4 KiB in ten layers.
func large(b *testing.B, packing string) *mk.Image {
	const files, perLayer, perDir = 45_000, 4500, 12
	body := bytes.Repeat([]byte("a line of text, as in most files\n"), 124)
	img := &mk.Image{}
	var out bytes.Buffer
	var w *tar.Writer
	for i := range files {
		if i%perLayer == 0 {
			out.Reset()
			w = tar.NewWriter(&out)
		}
		dir := fmt.Sprintf("usr/share/package-%04d/files/", i/perDir)
		if i%perDir == 0 {
			writeEntry(b, w, mk.Dir(dir))
		}
		e := mk.File(fmt.Sprintf("%sfile-%d.conf", dir, i), "")
		e.Size = int64(len(body))
		writeEntry(b, w, e)
		if _, err := w.Write(body); err != nil {
			b.Fatal(err)
		}
		if i%perLayer == perLayer-1 {
			if err := w.Close(); err != nil {
				b.Fatal(err)
			}
			img.Layers = append(img.Layers, mk.Layer{Tar: bytes.Clone(out.Bytes()), Packing: packing})
		}
	}
	return img
}

func writeEntry(b *testing.B, w *tar.Writer, e mk.Entry) {
	if err := w.WriteHeader(&e.Header); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkFlatten(b *testing.B) {
	for name, packing := range map[string]string{"plain": mk.Plain, "gzip": mk.Gzip, "zstd": mk.Zstd} {
		b.Run(name, func(b *testing.B) {
			path := large(b, packing).Layout(b)
			img, err := Open(context.Background(), Location{Transport: testLayout, Path: path}, Options{})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				tree, err := Flatten(context.Background(), img, FlattenOptions{Spool: b.TempDir()})
				if err != nil {
					b.Fatal(err)
				}
				if err := tree.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDecompress is the baseline for BenchmarkFlatten: the same libraries, with the output
// discarded.
func BenchmarkDecompress(b *testing.B) {
	for name, packing := range map[string]string{"gzip": mk.Gzip, "zstd": mk.Zstd} {
		b.Run(name, func(b *testing.B) {
			blobs, err := filepath.Glob(large(b, packing).Layout(b) + "/blobs/sha256/*")
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				for _, path := range blobs {
					if err := decompress(path, packing); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func decompress(path, packing string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var in io.Reader
	if packing == mk.Gzip {
		if in, err = gzip.NewReader(f); err != nil {
			return nil // the manifest and the config
		}
	} else {
		z, err := zstd.NewReader(f)
		if err != nil {
			return err
		}
		defer z.Close()
		in = z
	}
	_, err = io.Copy(io.Discard, in)
	if errors.Is(err, zstd.ErrMagicMismatch) {
		return nil
	}
	return err
}

// BenchmarkTreeMemory measures how much memory the tree needs after Flatten.
func BenchmarkTreeMemory(b *testing.B) {
	path := large(b, mk.Plain).Layout(b)
	img, err := Open(context.Background(), Location{Transport: testLayout, Path: path}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		tree, err := Flatten(context.Background(), img, FlattenOptions{})
		if err != nil {
			b.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/45_000, "B/file")
		if err := tree.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// Scan, the repos and write do this lookup once per file.
func BenchmarkStat(b *testing.B) {
	path := large(b, mk.Plain).Layout(b)
	img, err := Open(context.Background(), Location{Transport: testLayout, Path: path}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	tree, err := Flatten(context.Background(), img, FlattenOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tree.Stat("/usr/share/package-2000/files/file-24003.conf"); err != nil {
			b.Fatal(err)
		}
	}
}
