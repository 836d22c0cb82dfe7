package filelist

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"chunkah/format"
)

// odd returns records with unusual values in each field.
func odd() []*format.File {
	digest := format.NewDigest([32]byte{1, 2, 3})
	return []*format.File{
		{Path: "/", Type: format.TypeDir, Mode: 0o755, MTime: -5},
		{Path: "/a", Type: format.TypeFile, Mode: 0o7777, UID: 1<<32 - 2, GID: 1<<32 - 2, MTimeNsec: 999_999_999, Size: 1<<62 + 1, MTime: 1<<63 - 1, Digest: digest},
		{Path: "/a", Type: format.TypeWhiteout},
		{Path: "/a/b", Type: format.TypeFile, Size: format.SizeUnknown, MTime: -1 << 63},
		{Path: "/a/b\xff", Type: format.TypeSymlink, Mode: 0o777, Target: "\xfe/x", Hardlink: 1<<63 - 1},
		{Path: "/a/b\xfe", Type: format.TypeChar, DevMajor: 1<<32 - 1, DevMinor: 7},
		{Path: "/b", Type: format.TypeEnd + 1, Digest: digest, Hardlink: 3, Xattrs: []format.Xattr{{Name: "user.a", Value: []byte{0, 255}}, {Name: "user.b", Value: []byte{}}}},
		{Path: "/", Type: format.TypeFifo},
	}
}

// A list returns the records that were appended, and copies of a list are independent of later
// records.
func TestList(t *testing.T) {
	var l List
	var before []List
	want := odd()
	for _, f := range want {
		before = append(before, l)
		l.Append(f)
	}
	for n, l := range append(before, l) {
		got := slices.Collect(l.Copies())
		if l.Len() != n || len(got) != n || n > 0 && !reflect.DeepEqual(got, want[:n]) {
			t.Errorf("got %d records, want %d: %+v", l.Len(), n, got)
		}
	}
	for f := range l.All() {
		if f.Path != "/" {
			t.Errorf("the first record is %+v", f)
		}
		break
	}
}

// A list leaves out the fields that no layer contains.
func TestListOfTaggedFiles(t *testing.T) {
	list := Of(&format.File{Path: "/a", Type: format.TypeFile, Stamp: "s", Components: []string{"c"}, Implied: true})
	for f := range list.All() {
		if want := (format.File{Path: "/a", Type: format.TypeFile}); !reflect.DeepEqual(*f, want) {
			t.Errorf("got %+v, want %+v", *f, want)
		}
	}
}

// ordinary returns records like those of a Debian system: paths of 55 bytes, with digests.
func ordinary(n int) []*format.File {
	files := make([]*format.File, 0, n)
	for i := range n {
		path := fmt.Sprintf("/usr/lib/python3/dist-packages/package%03d/tests/test_%05d.py", i/200, i)
		files = append(files, &format.File{
			Path: path, Type: format.TypeFile, Mode: 0o644, Size: int64(i), MTime: 1_700_000_000 + int64(i/100), Digest: format.NewDigest([32]byte{byte(i), byte(i >> 8)}),
		})
	}
	return files
}

// An entry takes less than a quarter of the memory of its record. A record takes 160 bytes, its
// digest 32 and its path 64.
func TestBytesPerEntry(t *testing.T) {
	const n, most = 20_000, 64
	files := ordinary(n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	list := Of(files...)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if got := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n; got > most || list.Len() != n {
		t.Errorf("%d bytes per entry, want at most %d", got, most)
	}
	runtime.KeepAlive(files)
}

// Reading an entry allocates only its path and its digest, because the record is used again.
func TestAllocationsPerEntry(t *testing.T) {
	const n = 1000
	list := Of(ordinary(n)...)
	got := testing.AllocsPerRun(10, func() {
		r := list.Reader()
		for f := r.Next(); f != nil; f = r.Next() {
		}
	})
	if got > 2*n+1 {
		t.Errorf("%.2f allocations per entry, want at most 2", got/n)
	}
}

func BenchmarkAppend(b *testing.B) {
	files := ordinary(10_000)
	b.ReportAllocs()
	for b.Loop() {
		Of(files...)
	}
}

func BenchmarkRead(b *testing.B) {
	list := Of(ordinary(10_000)...)
	b.ReportAllocs()
	for b.Loop() {
		r := list.Reader()
		for f := r.Next(); f != nil; f = r.Next() {
		}
	}
}
