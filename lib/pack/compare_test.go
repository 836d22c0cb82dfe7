package pack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"chunkah/format"
	"chunkah/lib/group"
	"chunkah/lib/layer"
)

// memoryTar is a tar in memory.
type memoryTar struct {
	io.Reader
	proven *atomic.Int64
}

func (m memoryTar) Proven()      { m.proven.Add(1) }
func (m memoryTar) Close() error { return nil }

// imageWithTars returns the packed layers as the previous image. Their tars can be read, after
// damage has changed them.
func imageWithTars(t *testing.T, p *packed, src *texts, damage func(tar []byte) io.Reader) (img *Image, proven *atomic.Int64) {
	t.Helper()
	img, proven = imageOf(p), new(atomic.Int64)
	for i := range img.Layers {
		l := &img.Layers[i]
		var tar bytes.Buffer
		if err := layer.WriteOf(t.Context(), &tar, l.Files.All(), src); err != nil {
			t.Fatal(err)
		}
		l.DiffID = fmt.Sprintf("sha256:%x", sha256.Sum256(tar.Bytes()))
		l.Open = func(context.Context) (Tar, error) { return memoryTar{damage(tar.Bytes()), proven}, nil }
	}
	return img, proven
}

func whole(tar []byte) io.Reader { return bytes.NewReader(tar) }

// comparedRoot contains hard links, an empty file and a file that needs several reads of its tar.
func comparedRoot() []format.Record {
	link := func(path string) *format.File {
		return with(file(path, "p/b"), func(f *format.File) { f.Size, f.Hardlink = 40, 1 })
	}
	large := with(file("/b/large", "p/b"), func(f *format.File) { f.Size = 3*tarBuffer + 5 })
	empty := with(file("/b/empty", "p/b"), func(f *format.File) { f.Size = 0 })
	return append(patchedRoot(), dir("/b"), empty, large, link("/b/link1"), link("/b/link2"), file("/top", "p/c"))
}

// Comparing files with tars gives the same result as hashing them, whatever has changed and whether
// or not the tars can be used. An unchanged file is read once.
func TestCompareWithTars(t *testing.T) {
	sized := func(n int64) func(*format.File) { return func(f *format.File) { f.Size = n } }
	const all = 1000
	tests := []struct {
		name    string
		records []format.Record
		texts   map[string]string
		damage  func(tar []byte) io.Reader
		// unproven is the number of tars that cannot be used.
		unproven int
	}{
		{"nothing", comparedRoot(), nil, whole, 0},
		{"contents", comparedRoot(), map[string]string{"/a/1": "other"}, whole, 0},
		{"the end of a large file", comparedRoot(), map[string]string{"/b/large": strings.Repeat("/b/large", 1) + strings.Repeat(" ", 3*tarBuffer-8) + "other"}, whole, 0},
		{"a hard link", comparedRoot(), map[string]string{"/b/link1": "other"}, whole, 0},
		{"a longer file", altered(comparedRoot(), "/a/2", sized(7000)), nil, whole, 0},
		{"a shorter file", altered(comparedRoot(), "/b/large", sized(3)), nil, whole, 0},
		{"a file less", altered(comparedRoot(), "/top", nil), nil, whole, 0},
		{"another type", altered(comparedRoot(), "/a/1", func(f *format.File) { f.Type, f.Size, f.Target = format.TypeSymlink, 0, "x" }), nil, whole, 0},
		{"an unreadable file", comparedRoot(), map[string]string{"/a/1": "denied"}, whole, 0},
		{"a tar that ends early", comparedRoot(), nil, func(tar []byte) io.Reader { return bytes.NewReader(tar[:len(tar)-1]) }, all},
		{"a tar that ends in a file", comparedRoot(), nil, func(tar []byte) io.Reader { return bytes.NewReader(tar[:600]) }, all},
		{"a longer tar", comparedRoot(), nil, func(tar []byte) io.Reader { return io.MultiReader(bytes.NewReader(tar), strings.NewReader("x")) }, all},
		{"an unreadable tar", comparedRoot(), nil, func(tar []byte) io.Reader {
			return io.MultiReader(bytes.NewReader(tar[:1000]), failing{errors.New("unreadable")})
		}, all},
		{"a tar that may not be read any more", comparedRoot(), nil, func(tar []byte) io.Reader {
			return io.MultiReader(bytes.NewReader(tar[:len(tar)/2]), failing{fs.ErrPermission})
		}, all},
		{"a damaged header", comparedRoot(), nil, func(tar []byte) io.Reader { return bytes.NewReader(flipped(tar, 0)) }, all},
		{"damaged contents", comparedRoot(), nil, func(tar []byte) io.Reader { return bytes.NewReader(flipped(tar, 2*512)) }, all},
		{"contents that changed as in a damaged tar", comparedRoot(), map[string]string{"/a/1": "/a/X"}, func(tar []byte) io.Reader {
			return bytes.NewReader(bytes.Replace(tar, []byte("/a/1"), []byte("/a/X"), 1))
		}, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			was := &texts{}
			opt := Options{Open: was.open, MaxStale: 1_000_000, Max: 8}
			first, _ := run(t, opt, comparedRoot()...)
			now := &texts{of: test.texts}
			opt.Open, opt.PreviousLayout = now.open, &group.Previous{}
			opt.PreviousImage, _ = imageWithTars(t, first, was, test.damage)
			for i := range opt.PreviousImage.Layers {
				opt.PreviousImage.Layers[i].Open = nil
			}
			want, _ := run(t, opt, clone(test.records)...)
			reads := now.read.Swap(0)
			var proven *atomic.Int64
			opt.PreviousImage, proven = imageWithTars(t, first, was, test.damage)
			got, _ := run(t, opt, clone(test.records)...)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
			if want := max(0, len(opt.PreviousImage.Layers)-test.unproven); proven.Load() != int64(want) {
				t.Errorf("%d tars are proven, want %d", proven.Load(), want)
			}
			if test.name == "nothing" && now.read.Load() != reads {
				t.Errorf("%d files were read, want %d", now.read.Load(), reads)
			}
		})
	}
}

func flipped(data []byte, at int) []byte {
	data = bytes.Clone(data)
	data[max(at, 0)] ^= 1
	return data
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A file of the root that cannot be read ends the run, even while it is compared.
func TestCompareFaults(t *testing.T) {
	src := &texts{}
	opt := Options{Open: src.open, MaxStale: 1_000_000, Max: 8}
	first, _ := run(t, opt, comparedRoot()...)
	opt.PreviousImage, _ = imageWithTars(t, first, src, whole)
	opt.Open = (&texts{of: map[string]string{"/a/2": "broken"}}).open
	_, _, err := try(opt, comparedRoot()...)
	var fault *ContentsError
	if !errors.As(err, &fault) || !strings.Contains(err.Error(), "/a/2") {
		t.Errorf("got %v", err)
	}
}

// A signal ends a comparison even in the middle of a large file.
func TestCompareStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l := &ImageLayer{}
	l.Files.Append(with(file("/large", ""), func(f *format.File) { f.Size = 1 << 40 }))
	var tar bytes.Buffer
	if err := layer.WriteOf(ctx, &tar, l.Files.All(), &texts{of: map[string]string{"/large": "broken"}}); err == nil {
		t.Fatal("the tar is complete")
	}
	reads := 0
	in := io.MultiReader(&tar, readerFunc(func(p []byte) (int, error) {
		cancel()
		if reads++; reads > 2 {
			return 0, errors.New("read on")
		}
		return len(p), nil
	}))
	l.Open = func(context.Context) (Tar, error) { return memoryTar{in, new(atomic.Int64)}, nil }
	c := &comparison{reading: &reading{}, sum: sha256.New(), buf: make([]byte, tarBuffer)}
	if err := c.compare(ctx, l); !errors.Is(err, context.Canceled) || reads > 1 {
		t.Errorf("got %v after %d reads", err, reads)
	}
}

type readerFunc func(p []byte) (int, error)

func (r readerFunc) Read(p []byte) (int, error) { return r(p) }
