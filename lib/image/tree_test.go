package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"chunkah/lib/rootfs"
	mk "chunkah/tests/mkimage"
)

func TestTreeAnswers(t *testing.T) {
	tree, err := flattened(t, []mk.Entry{mk.Dir("d"), mk.File("d/f", "0123456789"), mk.File("after", "next"), mk.Symlink("s", "d")})
	if err != nil {
		t.Fatal(err)
	}
	var _ rootfs.Tree = tree
	ask := map[string]func(path string) error{
		"stat":   func(p string) error { _, err := tree.Stat(p); return err },
		"names":  func(p string) error { _, err := tree.Names(p); return err },
		"link":   func(p string) error { _, err := tree.Readlink(p); return err },
		"open":   func(p string) error { _, err := tree.Open(p); return err },
		"xattrs": func(p string) error { _, err := tree.Xattrs(p); return err },
		"layer":  func(p string) error { _, err := tree.Layer(p); return err },
	}
	for what, f := range ask {
		if err := f("/d/none"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s of nothing: %v", what, err)
		}
		for _, path := range []string{"/d/f/x", "/s/f"} { // links are not followed
			if err := f(path); !errors.Is(err, unix.ENOTDIR) {
				t.Errorf("%s of %s: %v", what, path, err)
			}
		}
	}
	for _, test := range []struct {
		what, path string
		want       error
	}{
		{"names", "/d/f", unix.ENOTDIR}, {"names", "/s", unix.ENOTDIR}, {"link", "/d", unix.EINVAL}, {"link", "/d/f", unix.EINVAL},
		{"open", "/d", rootfs.ErrNotRegular}, {"open", "/s", rootfs.ErrNotRegular}, {"names", "/", nil}, {"open", "/d/f", nil},
	} {
		if err := ask[test.what](test.path); !errors.Is(err, test.want) {
			t.Errorf("%s of %s: %v, want %v", test.what, test.path, err, test.want)
		}
	}
	in, err := tree.Open("/d/f")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		off  int64
		n    int
		want string
		err  error
	}{
		{0, 10, "0123456789", nil}, {3, 4, "3456", nil}, {8, 5, "89", io.EOF}, {10, 1, "", io.EOF}, {-1, 1, "", io.EOF}, {5, 0, "", nil},
	} {
		p := make([]byte, test.n)
		n, err := in.ReadAt(p, test.off)
		if string(p[:n]) != test.want || !errors.Is(err, test.err) {
			t.Errorf("%d bytes at %d: %q, %v", test.n, test.off, p[:n], err)
		}
	}
}

// The result of a lookup does not depend on the previous lookup.
func TestTreeAnswersInAnyOrder(t *testing.T) {
	entries := []mk.Entry{mk.Dir("d"), mk.Dir("d/d"), mk.Dir("d/d/d"), mk.File("d/d/d/f", "1"), mk.File("d/d/f", "22"), mk.Dir("d/dd"), mk.File("d/dd/f", "333"), mk.File("f", "4444")}
	paths := []string{"/", "/d", "/d/d", "/d/d/d", "/d/d/d/f", "/d/d/f", "/d/dd", "/d/dd/f", "/f", "/d/d/none", "/d/none/f", "/d/dd/f/x", "/dd"}
	answer := func(tree *Tree, path string) string {
		st, err := tree.Stat(path)
		return fmt.Sprintf("%d %d %v", st.Ino, st.Size, err)
	}
	want := make(map[string]string)
	for _, path := range paths {
		fresh, err := flattened(t, entries)
		if err != nil {
			t.Fatal(err)
		}
		want[path] = answer(fresh, path)
	}
	tree, err := flattened(t, entries)
	if err != nil {
		t.Fatal(err)
	}
	for _, before := range paths {
		for _, path := range paths {
			answer(tree, before)
			if got := answer(tree, path); got != want[path] {
				t.Errorf("%s after %s: got %s, want %s", path, before, got, want[path])
			}
		}
	}
}

// If a blob is truncated while it is read in place, reading a file returns an error instead of a
// short file.
func TestBlobCutBehindOurBack(t *testing.T) {
	img := &mk.Image{Layers: []mk.Layer{{Tar: mk.Tar(t, mk.File("f", strings.Repeat("x", 4096)))}}}
	path := img.Archive(t)
	tree, err := flattenSource(t, Location{Transport: testArchive, Path: path}, FlattenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	in, err := tree.Open("/f")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	if n, err := in.ReadAt(make([]byte, 10), 0); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %d bytes and %v", n, err)
	}
}

// A plain layer is read in place. A change after its digest was verified causes an error, whether a
// file is read in one piece or in several.
func TestBlobChangedBehindOurBack(t *testing.T) {
	const size = 10_000
	img := &mk.Image{Layers: []mk.Layer{{Tar: mk.Tar(t, mk.File("a", strings.Repeat("a", size)), mk.File("f", strings.Repeat("x", size)))}}}
	for form, path := range map[*Transport]string{testArchive: img.Archive(t), testDockerArchive: img.DockerArchive(t)} {
		tree, err := flattenSource(t, Location{Transport: form, Path: path}, FlattenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, piece := range []int{size, 999} {
			read := func(name string) error {
				in, err := tree.Open(name)
				if err != nil {
					t.Fatal(err)
				}
				_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{io.NewSectionReader(in, 0, size)}, make([]byte, piece))
				return err
			}
			write := func(b byte) {
				f, err := os.OpenFile(path, os.O_WRONLY, 0)
				if err == nil {
					_, err = f.WriteAt([]byte{b}, int64(bytes.Index(data, []byte("xxx"))+size/2))
					err = errors.Join(err, f.Close())
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := read("/f"); err != nil {
				t.Errorf("before: %v", err)
			}
			write('y')
			if err := read("/f"); !errors.Is(err, errOtherBytes) {
				t.Errorf("%v in pieces of %d: got %v", form, piece, err)
			}
			if err := read("/a"); err != nil {
				t.Errorf("another file: %v", err)
			}
			write('x')
		}
	}
}

// All files are closed, after success and after errors.
func TestNothingStaysOpen(t *testing.T) {
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(entries)
	}
	good := small(t, "", "x", mk.Plain, mk.Zstd)
	bad := small(t, "", "x", mk.Plain, mk.Zstd)
	bad.Layers = append(bad.Layers, mk.Layer{Tar: mk.Tar(t, mk.Link("x", "none")), Packing: mk.Gzip})
	for _, form := range []string{"oci:", "oci-archive:", "docker-archive:"} {
		for img, want := range map[*mk.Image]string{good: "", bad: "does not exist"} {
			path := map[string]func(testing.TB) string{"oci:": img.Layout, "oci-archive:": img.Archive, "docker-archive:": img.DockerArchive}[form](t)
			before := open()
			_, err := textOf(t, form+path, Options{})
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s: %v", form, err)
			}
			if after := open(); after != before {
				t.Errorf("%s, %q: %d files were open, now %d", form, want, before, after)
			}
		}
	}
}
