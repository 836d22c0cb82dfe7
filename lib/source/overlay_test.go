package source

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/rootfs"
	"chunkah/lib/scan"
	"chunkah/tests/mkimage"
)

// tree creates a directory from lines: "dir/", "link -> target" or "name = content".
func tree(t *testing.T, lines ...string) *rootfs.Root {
	t.Helper()
	dir := t.TempDir()
	for _, line := range lines {
		name, target, isLink := strings.Cut(line, " -> ")
		name, content, isFile := strings.Cut(name, " = ")
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		switch {
		case err != nil:
		case isLink:
			err = os.Symlink(target, path)
		case isFile:
			err = os.WriteFile(path, []byte(content), 0o644)
		default:
			err = os.MkdirAll(path, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// listing lists a root as scan does, with contents.
func listing(t *testing.T, root *rootfs.Root) string {
	t.Helper()
	var b strings.Builder
	for f, err := range scan.Walk(t.Context(), root, scan.Options{}, &scan.Report{}) {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %s", f.Path, f.Type)
		switch f.Type {
		case format.TypeSymlink:
			fmt.Fprintf(&b, " -> %s", f.Target)
		case format.TypeFile:
			in, err := root.OpenFile(f.Path)
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(in)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, " = %s", content)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// Directories are merged, and any other file replaces the file in the tree below. This also holds
// if a higher tree has a link or a file in place of one of the parents.
func TestOverlay(t *testing.T) {
	root := rootfs.Virtual("overlay", newOverlay([]*rootfs.Root{
		tree(t, "etc/both = 1", "etc/low = 1", "hidden/a/b = 1", "cover/x = 1", "turn = 1", "lib/a = 1"),
		tree(t, "etc/both = 2", "hidden = 2", "cover -> etc", "turn/into/dir = 2", "only/here = 2"),
		tree(t, "etc/both = 3", "hidden/a/c = 3", "cover/y = 3", "empty/"),
	}))
	defer root.Close()
	want := `/ dir
/cover dir
/cover/y file = 3
/empty dir
/etc dir
/etc/both file = 3
/etc/low file = 1
/hidden dir
/hidden/a dir
/hidden/a/c file = 3
/lib dir
/lib/a file = 1
/only dir
/only/here file = 2
/turn dir
/turn/into dir
/turn/into/dir file = 2
`
	if got := listing(t, root); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	for _, path := range []string{"/hidden/a/b", "/cover/x", "/absent", "/etc/both/below"} {
		if _, err := root.Lstat(path); err == nil {
			t.Errorf("%s is there", path)
		}
	}
}

// Trees number their inodes independently, so files in different trees never count as hard links.
func TestOverlayInodes(t *testing.T) {
	low, high := tree(t, "a = 1"), tree(t, "b = 2")
	o := newOverlay([]*rootfs.Root{rootfs.Virtual("low", alike{low}), rootfs.Virtual("high", alike{high})})
	defer o.Close()
	a, err := o.Stat("/a")
	if err != nil {
		t.Fatal(err)
	}
	b, err := o.Stat("/b")
	if err != nil {
		t.Fatal(err)
	}
	if a.Dev == b.Dev && a.Ino == b.Ino {
		t.Errorf("both are inode %d of device %d", a.Ino, a.Dev)
	}
}

// alike is a source in which all files have the same inode number.
type alike struct{ root *rootfs.Root }

func (s alike) Close() error                          { return s.root.Close() }
func (s alike) Names(dir string) ([]string, error)    { return s.root.ReadDir(dir) }
func (s alike) Readlink(string) (string, error)       { return "", fs.ErrInvalid }
func (s alike) Xattrs(string) ([]rootfs.Xattr, error) { return nil, nil }
func (s alike) Open(path string) (io.ReaderAt, error) { return s.root.OpenFile(path) }
func (s alike) Stat(path string) (st rootfs.Stat, err error) {
	st, err = s.root.Lstat(path)
	st.Dev, st.Ino = 0, 7
	return st, err
}

// If a file in a directory changes while it is being read, the change is detected.
func TestOverlayTellsChanges(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/file", []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := Open(t.Context(), []string{"dir:" + dir, "dir:" + t.TempDir()}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	f, err := set.Root.OpenFile("/file")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Same(f.Opened()) {
		t.Errorf("before: %+v, %v", st, err)
	}
	if err := os.WriteFile(dir+"/file", []byte("after it"), 0o600); err != nil {
		t.Fatal(err)
	}
	if st, err := f.Stat(); err != nil || st.Same(f.Opened()) {
		t.Errorf("after: %+v, %v", st, err)
	}
}

// An uncompressed layer of an image is read in place even with several sources, and changes are
// detected.
func TestOverlayChecksContents(t *testing.T) {
	img := &mkimage.Image{Layers: []mkimage.Layer{{Tar: mkimage.Tar(t, mkimage.File("f", strings.Repeat("x", 4096)))}}}
	path := img.Archive(t)
	set, err := Open(t.Context(), []string{"oci-archive:" + path, "dir:" + t.TempDir()}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(data, []byte("xxxx"), []byte("xyxx"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := set.Root.OpenFile("/f")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, in); err == nil || !strings.Contains(err.Error(), `reading "/f": the image changed`) {
		t.Errorf("got %v", err)
	}
}

// A set can be closed twice, and so can its trees.
func TestSetCloseTwice(t *testing.T) {
	img := (&mkimage.Image{Layers: []mkimage.Layer{{Tar: mkimage.Tar(t, mkimage.File("f", "x"))}}}).Archive(t)
	for _, names := range [][]string{{"dir:" + t.TempDir()}, {"oci-archive:" + img}, {"oci-archive:" + img, "dir:" + t.TempDir()}} {
		set, err := Open(t.Context(), names, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			for _, c := range []io.Closer{set.Changed, set.Root, set} {
				if err := c.Close(); err != nil {
					t.Errorf("%q: %v", names, err)
				}
			}
		}
	}
}
