package rootfs

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pkg/xattr"
	"golang.org/x/sys/unix"
)

// setXattr skips the test if the file system does not support user xattrs.
func setXattr(t testing.TB, path, name, value string) {
	t.Helper()
	err := xattr.LSet(path, name, []byte(value))
	if errors.Is(err, unix.ENOTSUP) {
		t.Skipf("needs a file system with xattrs: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// largeXattrDir returns a directory on a file system that accepts xattrs of any size.
func largeXattrDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("needs to mount: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func TestXattrs(t *testing.T) {
	dir := makeTree(t, "f = x", "d/", "none = x", "link -> f")
	values := map[string]string{
		"user.nul": "a\x00b\x00", "user.lines": "a\nb\n", "user.equals": "a=b=", "user.empty": "",
		"user.bytes": "\xff\xfe", "user.a": "1", "user.odd=name\xff": "x",
	}
	for name, value := range values {
		setXattr(t, dir+"/f", name, value)
		setXattr(t, dir+"/d", name, value)
		setXattr(t, dir, name, value)
	}
	eachWay(t, dir, func(t *testing.T, r *Root) {
		top, d := openDir(t, r, "/"), openDir(t, r, "/d")
		for _, at := range []struct {
			dir  *Dir
			name string
		}{{top, "f"}, {top, "d"}, {top, ""}, {d, ""}} {
			names, err := at.dir.xattrNames(at.name)
			names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, "user.") })
			if len(names) != len(values) || !slices.IsSorted(names) || err != nil {
				t.Errorf("%q: %q, %v", at.name, names, err)
			}
			for _, name := range names {
				value, found, err := at.dir.xattr(at.name, name)
				if want, known := values[name]; string(value) != want || !known || !found || err != nil {
					t.Errorf("%q of %q: %q, %v, %v", name, at.name, value, found, err)
				}
			}
		}
		for _, name := range []string{"none", "link"} { // links are not followed
			names, err := top.xattrNames(name)
			names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, "user.") })
			if len(names) > 0 || err != nil {
				t.Errorf("%q: %q, %v", name, names, err)
			}
		}
		if value, found, err := top.xattr("f", "user.gone"); value != nil || found || err != nil {
			t.Errorf("removed xattr: %q, %v, %v", value, found, err)
		}
		for _, call := range []func() error{
			func() error { _, err := top.xattrNames("no such"); return err },
			func() error { _, _, err := top.xattr("no such", "user.a"); return err },
		} {
			if err := call(); !errors.Is(err, unix.ENOENT) || err.Error() != `reading xattrs of "/no such": no such file or directory` {
				t.Errorf("no file: %v", err)
			}
		}
	})
}

// The sizes are around the sizes of buffers, up to the maximum on Linux.
func TestLargeXattrs(t *testing.T) {
	dir := largeXattrDir(t)
	if err := makeEntry(dir, "f = x"); err != nil {
		t.Fatal(err)
	}
	sizes := []int{0, 1, 1023, 1024, 1025, 4096, 60 << 10, 64<<10 - 1, 64 << 10}
	for _, size := range sizes {
		setXattr(t, dir+"/f", "user."+strconv.Itoa(size), strings.Repeat("v", size))
	}
	for i := range 200 { // a list of 50 KB
		setXattr(t, dir+"/f", "user."+strings.Repeat("n", 240)+strconv.Itoa(i), "")
	}
	eachWay(t, dir, func(t *testing.T, r *Root) {
		d := openDir(t, r, "/")
		if names, err := d.xattrNames("f"); len(names) < len(sizes)+200 || err != nil {
			t.Errorf("%d names, %v", len(names), err)
		}
		for _, size := range sizes {
			value, found, err := d.xattr("f", "user."+strconv.Itoa(size))
			if !bytes.Equal(value, bytes.Repeat([]byte("v"), size)) || !found || err != nil {
				t.Errorf("%d bytes: %d, %v, %v", size, len(value), found, err)
			}
		}
	})
}

// A list that grows and shrinks between two calls is not an error.
func TestXattrsChange(t *testing.T) {
	dir := makeTree(t, "f = x")
	path := filepath.Join(dir, "f")
	setXattr(t, path, "user.always", "x")
	eachWay(t, dir, func(t *testing.T, r *Root) {
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for {
				select {
				case <-stop:
					return
				default:
				}
				_ = xattr.LSet(path, "user.sometimes", []byte("y"))
				_ = xattr.LSet(path, "user.sometimes", bytes.Repeat([]byte("y"), 2000))
				_ = xattr.LRemove(path, "user.sometimes")
			}
		}()
		d := openDir(t, r, "/")
		for range 3000 {
			names, err := d.xattrNames("f")
			if !slices.Contains(names, "user.always") || err != nil {
				t.Errorf("%q, %v", names, err)
				break
			}
			if value, _, err := d.xattr("f", "user.sometimes"); len(value) > 0 && len(value) != 1 && len(value) != 2000 || err != nil {
				t.Errorf("%d bytes, %v", len(value), err)
				break
			}
		}
		close(stop)
		<-done
	})
}

// On a file system without xattr support, files have no xattrs.
func TestNoXattrs(t *testing.T) {
	for _, dir := range []string{"/proc/self", "/sys/kernel"} {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		eachWay(t, dir, func(t *testing.T, r *Root) {
			d := openDir(t, r, "/")
			names, err := d.Names()
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range append(names, "") {
				if attrs, err := d.xattrNames(name); len(attrs) > 0 || err != nil {
					t.Errorf("%q: %q, %v", name, attrs, err)
				}
			}
		})
	}
}
