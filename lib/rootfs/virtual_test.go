package rootfs

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"reflect"
	"testing"

	"golang.org/x/sys/unix"
)

// mirror is a source that returns the contents of a directory.
type mirror struct{ root *Root }

func (m mirror) Close() error                          { return nil }
func (m mirror) Stat(path string) (Stat, error)        { return m.root.Lstat(path) }
func (m mirror) Names(dir string) ([]string, error)    { return m.root.ReadDir(dir) }
func (m mirror) Open(path string) (io.ReaderAt, error) { return m.root.OpenFile(path) }

func (m mirror) Readlink(path string) (string, error) {
	_, target, err := m.root.Peek(split(path))
	return target, err
}

func (m mirror) Xattrs(path string) (list []Xattr, err error) {
	parent, name := split(path)
	d, err := m.root.OpenDir(parent)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Xattrs(name, func(names []string) []string { return names })
}

// A virtual tree behaves like the directory itself.
func TestVirtual(t *testing.T) {
	dir := makeTree(t, "etc/", "usr/lib/a = hello, world", "lib -> usr/lib", "etc/up -> ../lib/a", "usr/abs -> /lib", "loop -> loop")
	_ = unix.Lsetxattr(filepath.Join(dir, "usr/lib/a"), "user.x", []byte("v"), 0) // fails on some file systems
	host := open(t, dir)
	virtual := Virtual("the image", mirror{host})

	for _, path := range []string{"/", "/usr", "/usr/lib", "/usr/lib/a", "/lib", "/absent", "/usr/lib/a/b"} {
		same(t, "Lstat "+path)(host.Lstat(path))(virtual.Lstat(path))
		same(t, "ReadDir "+path)(host.ReadDir(path))(virtual.ReadDir(path))
	}
	for _, path := range []string{"/lib/a", "/etc/up", "/usr/abs/a", "/loop", "/nothing/there", "/usr/lib/a/.."} {
		same(t, "Resolve "+path)(host.Resolve(path))(virtual.Resolve(path))
	}
	same(t, "contents")(contents(host))(contents(virtual))
	same(t, "xattrs")(mirror{host}.Xattrs("/usr/lib/a"))(mirror{virtual}.Xattrs("/usr/lib/a"))
	for _, path := range []string{"/usr/../usr", "/usr//lib", "/usr/lib/"} {
		if _, err := virtual.OpenDir(path); err == nil {
			t.Errorf("OpenDir(%q) accepted an unclean path", path)
		}
	}
	if _, err := virtual.OpenFile("/lib"); !errors.Is(err, ErrNotRegular) {
		t.Errorf("opening a symlink: %v", err)
	}
	if virtual.Path() != "the image" {
		t.Errorf("Path() = %q", virtual.Path())
	}
}

// contents reads a file completely, and then reads a part of it.
func contents(r *Root) (string, error) {
	f, err := r.OpenFile("/usr/lib/a")
	if err != nil {
		return "", err
	}
	defer f.Close()
	all, err := io.ReadAll(f)
	if err != nil {
		return "", err
	}
	part := make([]byte, 9)
	n, err := f.ReadAt(part, 7)
	if err != io.EOF {
		return "", err
	}
	st, err := f.Stat()
	if err == nil && !st.Same(f.Opened()) {
		err = errors.New("it changed")
	}
	return string(all) + "|" + string(part[:n]), err
}

// same compares two results: the values, and the kinds of the errors.
func same(t *testing.T, what string) func(any, error) func(any, error) {
	return func(want any, wantErr error) func(any, error) {
		return func(got any, err error) {
			t.Helper()
			if (err == nil) != (wantErr == nil) || errors.Is(err, fs.ErrNotExist) != errors.Is(wantErr, fs.ErrNotExist) {
				t.Errorf("%s: %v, want %v", what, err, wantErr)
			}
			if err == nil && !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %v, want %v", what, got, want)
			}
		}
	}
}
