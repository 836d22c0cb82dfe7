package layer

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"chunkah/format"
)

// filler generates contents of any size by repeating a letter from the path.
type filler struct{}

func (filler) WriteFile(_ context.Context, w io.Writer, f *format.File) (int64, error) {
	return io.Copy(w, io.LimitReader(&repeat{text: f.Path}, f.Size))
}

type repeat struct {
	text string
	at   int
}

func (r *repeat) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = r.text[r.at%len(r.text)]
		r.at++
	}
	return len(p), nil
}

// write returns a tar with the records.
func write(t testing.TB, files ...*format.File) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := Write(context.Background(), &buf, files, filler{}); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func file(path string, size int64) *format.File {
	return &format.File{Path: path, Type: format.TypeFile, Mode: 0o644, Size: size, MTime: 1700000000}
}

func dir(path string) *format.File {
	return &format.File{Path: path, Type: format.TypeDir, Mode: 0o755, MTime: 1700000000}
}

func symlink(path, target string) *format.File {
	return &format.File{Path: path, Type: format.TypeSymlink, Mode: 0o777, Target: target, MTime: 1700000000}
}

// with changes a record and returns it.
func with(f *format.File, change func(*format.File)) *format.File {
	change(f)
	return f
}

// nested returns a path of exactly n bytes below prefix, with elements of 50 bytes.
func nested(prefix string, n int) string {
	path := prefix
	for len(path) < n {
		name := min(49, n-len(path)-1)
		if n-len(path)-1-name == 1 {
			name-- // otherwise only a slash would be left
		}
		path += "/" + strings.Repeat("x", name)
	}
	return path
}

// kinds are records of every kind, at and beyond every limit of a ustar header. The digest of their
// tar is pinned.
func kinds() []*format.File {
	x := strings.Repeat
	list := []*format.File{
		with(dir("/"), func(f *format.File) {
			f.Mode, f.Xattrs = 0o1755, []format.Xattr{{Name: "user.root", Value: []byte("r")}}
		}),
		with(file("/-dash", 1), func(f *format.File) { f.MTime = 0 }),
		file("/back\\slash\\x2d", 512),
		with(&format.File{Path: "/block", Type: format.TypeBlock, Mode: 0o660}, func(f *format.File) {
			f.DevMajor, f.DevMinor = 259, 1<<20-1
		}),
		with(&format.File{Path: "/char", Type: format.TypeChar, Mode: 0o666}, func(f *format.File) {
			f.DevMajor, f.DevMinor = 1, 3
		}),
		with(file("/early", 0), func(f *format.File) { f.MTime = -1 }),
		with(&format.File{Path: "/fifo", Type: format.TypeFifo, Mode: 0o600}, func(f *format.File) { f.Hardlink = 7 }),
		with(&format.File{Path: "/fifo2", Type: format.TypeFifo, Mode: 0o600}, func(f *format.File) { f.Hardlink = 7 }),
		with(file("/first", 513), func(f *format.File) {
			f.Hardlink, f.Xattrs = 9, []format.Xattr{{Name: "user.a", Value: []byte("once")}}
		}),
		with(file("/last-octal", 0), func(f *format.File) { f.MTime, f.UID, f.GID = 1<<33-1, 1<<21-1, 1<<21-1 }),
		with(file("/late", 0), func(f *format.File) { f.MTime, f.UID, f.GID = 1<<33, 1<<21, 1<<32-2 }),
		file("/new\nline", 3),
		with(file("/second", 513), func(f *format.File) {
			f.Hardlink, f.Xattrs = 9, []format.Xattr{{Name: "user.a", Value: []byte("once")}}
		}),
		with(file("/setuid", 1024), func(f *format.File) { f.Mode = 0o7777 }),
		symlink("/symlink", "usr/bin"),
		symlink("/symlink100", x("t", 100)),
		symlink("/symlink101", x("t", 101)),
		symlink("/symlink4096", x("t", 4096)),
		symlink("/symlinkbytes", "\xff/é"),
		with(file("/xattrs", 2), func(f *format.File) {
			f.Xattrs = []format.Xattr{
				{Name: "security.capability", Value: []byte("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")},
				{Name: "user.equals", Value: []byte("a=b=c")},
				{Name: "user.line", Value: []byte("one\ntwo\n")},
			}
		}),
		file("/y"+x("é", 99), 4),
		file("/zbytes-\xff\xfe", 5),
		with(symlink("/zbytes-é", strings.Repeat("t", 101)), func(f *format.File) { f.Xattrs = []format.Xattr{{Name: "trusted.é", Value: []byte("é\xff")}} }),
		file("/é", 6),
	}
	// Names on both sides of each limit: 100 in the name field, 155 in the prefix, 256 in both.
	long := dir("/zz" + x("d", 153)) // 155 without the slash in front
	list = append(list, long, file(long.Path+"/"+x("n", 100), 1), file(long.Path+"/"+x("n", 101), 1))
	over := dir("/zzz" + x("d", 153))
	list = append(list, over, file(over.Path+"/n", 1))
	for i, n := range []int{99, 100, 101, 255, 256, 257, 4096} {
		list = append(list, file(nested(fmt.Sprintf("/zzzz%d", i), n+1), 1), dir(nested(fmt.Sprintf("/zzzz%dd", i), n+1)))
	}
	return list
}
