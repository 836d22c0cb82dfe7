package layer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/tests/bound"
)

// random returns a record with random values from the full range of each field.
func random(r *rand.Rand, path string) *format.File {
	types := []format.Type{
		format.TypeFile, format.TypeFile, format.TypeDir, format.TypeSymlink, format.TypeFifo, format.TypeChar, format.TypeBlock,
	}
	f := &format.File{Path: path, Type: types[r.IntN(len(types))], Mode: uint16(r.Uint32N(0o10000))}
	around := func(limits ...int64) int64 { return limits[r.IntN(len(limits))] + r.Int64N(3) - 1 }
	f.UID, f.GID = uint32(around(1, 1<<21, 1<<32-3)), uint32(around(1, 1<<21))
	f.MTime = around(0, 1700000000, 1<<33, -1<<40, 1<<53-3)
	switch f.Type {
	case format.TypeFile:
		f.Size = max(0, around(0, 512, 1024, 70000))
	case format.TypeSymlink:
		f.Target = name(r, 1+r.IntN(200))
	case format.TypeChar, format.TypeBlock:
		f.DevMajor, f.DevMinor = r.Uint32N(1<<21), r.Uint32N(1<<21)
	}
	for i := range r.IntN(4) * r.IntN(2) {
		value := make([]byte, 1+r.IntN(2000))
		for j := range value {
			value[j] = byte(r.Uint32())
		}
		f.Xattrs = append(f.Xattrs, format.Xattr{Name: fmt.Sprintf("user.%d", i), Value: value})
	}
	if f.Type != format.TypeDir && r.IntN(8) == 0 {
		f.Hardlink = 1 + r.Int64N(3)
	}
	return f
}

// name returns n bytes that are valid in a file name.
func name(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		switch r.IntN(60) {
		case 0:
			b[i] = byte(0x80 + r.IntN(0x80))
		case 1:
			b[i] = '\n'
		default:
			b[i] = byte('a' + r.IntN(26))
		}
	}
	return string(b)
}

// For any records, Size is the number of bytes, the bytes are reproducible, and archive/tar reads
// them back.
func TestRandomLayers(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 0))
		var files []*format.File
		for i := range r.IntN(20) {
			path := fmt.Sprintf("/%d", i)
			for range r.IntN(4) {
				path += "/" + name(r, 1+r.IntN(120))
			}
			files = append(files, random(r, path))
		}
		firsts := map[int64]*format.File{} // names of one inode have the same metadata
		for i, f := range files {
			first := firsts[f.Hardlink]
			if f.Hardlink == 0 || first == nil {
				firsts[f.Hardlink] = f
				continue
			}
			link := *first
			link.Path = f.Path
			files[i] = &link
		}
		check(t, files)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func check(t *testing.T, files []*format.File) {
	t.Helper()
	data := write(t, files...)
	if got := Size(files); got != int64(len(data)) {
		t.Errorf("Size is %d, and %d bytes were written", got, len(data))
	}
	if !bytes.Equal(data, write(t, files...)) {
		t.Error("the bytes are not reproducible")
	}
	got, err := readGo(data)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, got, wanted(files))
}

func FuzzEntry(f *testing.F) {
	f.Add("usr/bin/x", "", byte(0), uint32(0o644), uint32(0), uint32(0), int64(0), uint16(5), "user.a", []byte("b=c\n\x00"))
	f.Add("é", "usr", byte(2), uint32(0o777), uint32(1<<21), uint32(1), int64(-1), uint16(0), "", []byte{})
	f.Add(strings.Repeat("n", 101), "\xff", byte(1), uint32(0o7777), uint32(3), uint32(1<<31), int64(1<<40), uint16(9), "x", []byte("\n"))
	f.Add(strings.Repeat("d", 155)+"/"+strings.Repeat("n", 100), "", byte(5), uint32(0), uint32(0), uint32(0), int64(0), uint16(513), "", []byte{})
	types := []format.Type{
		format.TypeFile, format.TypeDir, format.TypeSymlink, format.TypeFifo, format.TypeChar, format.TypeBlock,
	}
	f.Fuzz(func(t *testing.T, path, target string, kind byte, mode, uid, gid uint32, mtime int64, size uint16, key string, value []byte) {
		bound.Input(t, len(path)+len(target)+len(key)+len(value))
		file := &format.File{
			Path: "/" + path, Type: types[int(kind)%len(types)], Mode: uint16(mode & 0o7777), UID: uid, GID: gid,
			MTime: mtime, Components: []string{"x"},
		}
		switch file.Type {
		case format.TypeFile:
			file.Size = int64(size)
		case format.TypeSymlink:
			file.Target = target
		case format.TypeChar, format.TypeBlock:
			file.DevMajor, file.DevMinor = gid%(1<<21), uid%(1<<21)
		}
		if key != "" && len(value) > 0 { // archive/tar drops empty values
			file.Xattrs = []format.Xattr{{Name: key, Value: value}}
		}
		if file.Validate() != nil || Check(file) != nil {
			return
		}
		check(t, []*format.File{file})
	})
}

func TestRefused(t *testing.T) {
	xattr := func(name string, size int) *format.File {
		return with(file("/a", 0), func(f *format.File) {
			f.Xattrs = []format.Xattr{{Name: name, Value: make([]byte, size)}}
		})
	}
	many := file("/many", 0)
	for i := range 17 {
		many.Xattrs = append(many.Xattrs, format.Xattr{Name: fmt.Sprintf("user.%02d", i), Value: make([]byte, format.MaxXattrValue)})
	}
	tests := []struct {
		file *format.File
		want string // "" for accepted
	}{
		{file("/.wh.a", 0), `"/.wh.a": a name that begins with .wh.`},
		{dir("/d/.wh..wh..opq"), `"/d/.wh..wh..opq": a name that begins with .wh.`},
		{file("/.wh", 0), ""},
		{file("/a.wh.b", 0), ""},
		{xattr("user.a=b", 1), `"/a": a tar cannot store the xattr name "user.a=b"`},
		{xattr("user.a", format.MaxXattrValue), ""},
		{many, `"/many": 11`},
	}
	for _, tt := range tests {
		err := Write(context.Background(), io.Discard, []*format.File{tt.file}, filler{})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%.40q: got %v, want %q", tt.file.Path, err, tt.want)
		}
	}
}

// archive/tar can read the largest record that Check accepts.
func TestLargestRecords(t *testing.T) {
	f := file("/a", 0)
	for i := range 4096 {
		f.Xattrs = append(f.Xattrs, format.Xattr{Name: fmt.Sprintf("user.%04d", i), Value: make([]byte, 240)})
		if Check(f) != nil {
			f.Xattrs = f.Xattrs[:i]
			break
		}
	}
	if len(f.Xattrs) == 4096 {
		t.Fatal("Check never refused a record")
	}
	check(t, []*format.File{f})
}

type broken struct {
	n   int64
	err error
}

func (b broken) WriteFile(_ context.Context, w io.Writer, _ *format.File) (int64, error) {
	n, _ := w.Write(make([]byte, b.n))
	return int64(n), b.err
}

// Contents of an unexpected size are an error, and other errors are returned unchanged.
func TestBrokenContents(t *testing.T) {
	for _, n := range []int64{0, 99, 101} {
		err := Write(context.Background(), io.Discard, []*format.File{file("/a/b", 100)}, broken{n: n})
		if err == nil || !strings.Contains(err.Error(), `"/a/b"`) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	cause := errors.New("cause")
	if err := Write(context.Background(), io.Discard, []*format.File{file("/a", 1)}, broken{1, cause}); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}

type limited struct{ left int }

var errFull = errors.New("full")

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// A write error is returned wherever it occurs.
func TestBrokenOutput(t *testing.T) {
	files := []*format.File{dir("/"), file("/a", 700), file("/é", 1)}
	size := int(Size(files))
	for left := 0; left < size; left += 300 {
		if err := Write(context.Background(), &limited{left}, files, filler{}); !errors.Is(err, errFull) {
			t.Errorf("after %d bytes: %v", left, err)
		}
	}
	if err := Write(context.Background(), &limited{size}, files, filler{}); err != nil {
		t.Error(err)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("cause")
	cancel(cause)
	var out bytes.Buffer
	if err := Write(ctx, &out, []*format.File{dir("/")}, filler{}); !errors.Is(err, cause) || out.Len() > 0 {
		t.Errorf("%v after %d bytes", err, out.Len())
	}
}

func TestCheckLink(t *testing.T) {
	base := func() *format.File {
		return with(file("/b", 5), func(f *format.File) { f.Xattrs = []format.Xattr{{Name: "user.a", Value: []byte("x")}} })
	}
	first := with(base(), func(f *format.File) { f.Path = "/a" })
	same := map[string]func(*format.File){
		"nothing":      func(*format.File) {},
		"unknown size": func(f *format.File) { f.Size = format.SizeUnknown },
		"components":   func(f *format.File) { f.Components = []string{"x"} },
	}
	other := map[string]func(*format.File){
		"type":   func(f *format.File) { f.Type = format.TypeFifo },
		"size":   func(f *format.File) { f.Size++ },
		"mode":   func(f *format.File) { f.Mode++ },
		"uid":    func(f *format.File) { f.UID++ },
		"gid":    func(f *format.File) { f.GID++ },
		"mtime":  func(f *format.File) { f.MTime++ },
		"target": func(f *format.File) { f.Target = "x" },
		"major":  func(f *format.File) { f.DevMajor++ },
		"minor":  func(f *format.File) { f.DevMinor++ },
		"xattr":  func(f *format.File) { f.Xattrs[0].Value = []byte("y") },
		"xattrs": func(f *format.File) { f.Xattrs = nil },
	}
	for name, change := range same {
		if err := CheckLink(first, with(base(), change)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range other {
		err := CheckLink(first, with(base(), change))
		if err == nil || !strings.Contains(err.Error(), `"/a" and "/b"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A whiteout is an empty file whose name contains the name of the deleted file. Its contents are
// not read.
func TestWhiteout(t *testing.T) {
	files := []*format.File{dir("/etc"), {Path: "/etc/motd", Type: format.TypeWhiteout}, {Path: "/top", Type: format.TypeWhiteout}}
	var buf bytes.Buffer
	if err := Write(context.Background(), &buf, files, broken{err: errors.New("asked for contents")}); err != nil {
		t.Fatal(err)
	}
	want := "5 0755 0:0 0 1700000000 \"etc/\"\n0 0000 0:0 0 0 \"etc/.wh.motd\"\n0 0000 0:0 0 0 \".wh.top\"\n"
	if got := listing(t, buf.Bytes()); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := Size(files); got != int64(buf.Len()) {
		t.Errorf("Size is %d, and the tar has %d bytes", got, buf.Len())
	}
}
