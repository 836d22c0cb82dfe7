package rootfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOpenErrors(t *testing.T) {
	dir := makeTree(t, "file = x", "d/f = x")
	for _, test := range []struct {
		path string
		want error
	}{
		{filepath.Join(dir, "none"), unix.ENOENT},
		{filepath.Join(dir, "file"), unix.ENOTDIR},
	} {
		r, err := Open(test.path)
		if !errors.Is(err, test.want) || !strings.HasPrefix(err.Error(), `opening root "`) {
			t.Errorf("Open(%q) = %v, %v", test.path, r, err)
		}
	}
}

// The root itself can be a symlink or a relative path, since the caller chose it.
func TestOpenNamed(t *testing.T) {
	dir := makeTree(t, "real/f = inside", "link -> real")
	t.Chdir(dir)
	for _, path := range []string{"real", "link", "./link/", dir + "/link/../real"} {
		r := open(t, path)
		if got, err := read(r, "/f"); got != "inside" || err != nil {
			t.Errorf("%s: %q, %v", path, got, err)
		}
		if !filepath.IsAbs(r.Path()) {
			t.Errorf("%s: Path is %q", path, r.Path())
		}
	}
}

// No open follows a symlink or leads outside the tree.
func TestOpenStaysInside(t *testing.T) {
	outside := makeTree(t, "secret = outside", "d/secret = outside")
	dir := makeTree(t, "a/b/f = inside", "a/out -> "+outside, "a/up -> ../../../../../../../"+outside,
		"in -> a", "f -> a/b/f", "abs -> /a/b", "self -> self", "top -> /", "secret -> "+outside+"/secret")
	linked := []error{unix.ELOOP, unix.ENOTDIR, ErrNotRegular}
	eachWay(t, dir, func(t *testing.T, r *Root) {
		for path, want := range map[string][]error{
			"/a/out/secret":                   linked,
			"/a/up/secret":                    linked,
			"/a/out/d/secret":                 linked,
			"/a/out":                          linked,
			"/in/b/f":                         linked,
			"/f":                              linked,
			"/abs/f":                          linked,
			"/self":                           linked,
			"/self/f":                         linked,
			"/top/a/b/f":                      linked,
			"/secret":                         linked,
			"/..":                             {errPath},
			"/../" + outside + "/secret":      {errPath},
			"/a/../../" + outside + "/secret": {errPath},
			"/a/b/../b/f":                     {errPath},
			"/./a/b/f":                        {errPath},
			"//a/b/f":                         {errPath},
			"/a//b/f":                         {errPath},
			"/a/b/f/":                         {unix.EISDIR, unix.ENOTDIR},
			"/":                               {unix.EISDIR},
			"/a":                              {ErrNotRegular},
			"/a/none":                         {fs.ErrNotExist},
			"/none/f":                         {fs.ErrNotExist},
			"/a/b/f/f":                        {unix.ENOTDIR},
			"/a\x00b":                         {unix.EINVAL},
			"/" + strings.Repeat("n", 256):    {unix.ENAMETOOLONG},
		} {
			got, err := read(r, path)
			if got != "" || !slices.ContainsFunc(want, func(w error) bool { return errors.Is(err, w) }) {
				t.Errorf("OpenFile(%q) = %q, %v; want one of %v", path, got, err, want)
			}
			if d, err := r.OpenDir(path); err == nil && path != "/" && path != "/a" {
				t.Errorf("OpenDir(%q) = %q", path, d.Path())
			}
		}
		if got, err := read(r, "/a/b/f"); got != "inside" || err != nil {
			t.Errorf("the file inside: %q, %v", got, err)
		}
		if st, err := r.Lstat("/a/out"); err != nil || st.Mode&unix.S_IFMT != unix.S_IFLNK {
			t.Errorf("Lstat of a link: %o, %v", st.Mode, err)
		}
		if st, err := r.Lstat("/"); err != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR || st.MountRoot {
			t.Errorf("Lstat of the root: %o, %v", st.Mode, err)
		}
	})
}

// A directory's methods accept only names in the directory.
func TestDirAcceptsOnlyNames(t *testing.T) {
	dir := makeTree(t, "secret = outside", "root/d/f = inside")
	eachWay(t, filepath.Join(dir, "root"), func(t *testing.T, r *Root) {
		d := openDir(t, r, "/d")
		for _, name := range []string{"..", ".", "", "../../secret", "../d/f", "/d/f", "f/"} {
			_, lstat := d.Lstat(name)
			_, link := d.Readlink(name)
			_, file := d.OpenFile(name)
			_, seen := d.OpenSeen(name)
			_, _, attr := d.xattr(name, "user.x")
			_, attrs := d.xattrNames(name)
			if name == "" { // the directory itself
				attr, attrs = errPath, errPath
			}
			for _, err := range []error{lstat, link, file, seen, attr, attrs} {
				if !errors.Is(err, errPath) {
					t.Errorf("%q: %v", name, err)
				}
			}
		}
	})
}

// Special files are not opened: opening a FIFO would block, and opening a device can have side
// effects.
func TestSpecialFilesAreNotOpened(t *testing.T) {
	dir := makeTree(t, "d/", "pipe |")
	if err := unix.Mknod(dir+"/null", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil && os.Geteuid() == 0 {
		t.Log(err)
	}
	if err := unix.Mknod(dir+"/socket", unix.S_IFSOCK|0o666, 0); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	watch, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(watch)
	for _, e := range entries {
		if _, err := unix.InotifyAddWatch(watch, filepath.Join(dir, e.Name()), unix.IN_OPEN); err != nil {
			t.Fatal(err)
		}
	}
	eachWay(t, dir, func(t *testing.T, r *Root) {
		for _, e := range entries {
			if _, err := r.OpenFile("/" + e.Name()); !errors.Is(err, ErrNotRegular) {
				t.Errorf("OpenFile(%q): %v", e.Name(), err)
			}
		}
		if n, err := unix.Read(watch, make([]byte, 4096)); err != unix.EAGAIN {
			t.Errorf("one of them was opened: %d, %v", n, err)
		}
	})
}

// Even without the check before the open, other file types are refused, without waiting for the
// other end of a pipe.
func TestOpenSeen(t *testing.T) {
	dir := makeTree(t, "file = inside", "d/", "pipe |", "link -> file")
	if err := unix.Mknod(dir+"/socket", unix.S_IFSOCK|0o666, 0); err != nil {
		t.Fatal(err)
	}
	eachWay(t, dir, func(t *testing.T, r *Root) {
		d := openDir(t, r, "/")
		for name, want := range map[string]error{
			"file": nil, "d": ErrNotRegular, "pipe": ErrNotRegular, "socket": ErrNotRegular,
			"link": unix.ELOOP, "absent": unix.ENOENT,
		} {
			f, err := d.OpenSeen(name)
			if !errors.Is(err, want) {
				t.Errorf("OpenSeen(%q): %v, want %v", name, err, want)
			}
			if err == nil {
				f.Close()
			}
		}
	})
}

// OpenUnchecked opens pipes and directories, too. Stat shows what was opened, and reading does not
// wait for the other end of a pipe.
func TestOpenUnchecked(t *testing.T) {
	dir := makeTree(t, "file = inside", "d/", "pipe |", "link -> file")
	if err := unix.Mknod(dir+"/socket", unix.S_IFSOCK|0o666, 0); err != nil {
		t.Fatal(err)
	}
	eachWay(t, dir, func(t *testing.T, r *Root) {
		d := openDir(t, r, "/")
		for name, want := range map[string]error{
			"file": nil, "d": nil, "pipe": nil, "socket": ErrNotRegular, "link": unix.ELOOP, "absent": unix.ENOENT, "d/../file": errPath,
		} {
			var f File
			if err := f.OpenUnchecked(d, name, true); !errors.Is(err, want) {
				t.Errorf("OpenUnchecked(%q): %v, want %v", name, err, want)
			} else if err != nil {
				continue
			}
			st, err := f.Stat()
			if err != nil || st.Regular() != (name == "file") || f.Opened() != (Stat{}) {
				t.Errorf("%q is %+v, %v, and opened as %+v", name, st, err, f.Opened())
			}
			if n, err := f.Read(make([]byte, 10)); (n > 0) != (name == "file") || n == 0 && err == nil {
				t.Errorf("reading %q: %d bytes, %v", name, n, err)
			}
			f.Close()
			if err := f.OpenUnchecked(d, name, false); !errors.Is(err, map[bool]error{false: ErrNotRegular}[name == "file"]) {
				t.Errorf("%q, not seen before: %v", name, err)
			}
			f.Close()
		}
	})
}

// makeDeep makes nested directories whose path is longer than one system call accepts, and a file
// in the last one. It returns the file's path in the tree.
func makeDeep(t testing.TB, dir string, levels, length int) string {
	t.Helper()
	name := strings.Repeat("n", length)
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	for i := 0; i < levels && err == nil; i++ {
		if err = unix.Mkdirat(fd, name, 0o755); err != nil {
			break
		}
		var next int
		next, err = unix.Openat(fd, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		unix.Close(fd)
		fd = next
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	file, err := unix.Openat(fd, "f", unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(file)
	if _, err := unix.Write(file, []byte("deep")); err != nil {
		t.Fatal(err)
	}
	return strings.Repeat("/"+name, levels)
}

func TestLongPaths(t *testing.T) {
	for _, shape := range []struct{ levels, length int }{{40, 255}, {600, 8}, {1, 255}} {
		dir := t.TempDir()
		deep := makeDeep(t, dir, shape.levels, shape.length)
		eachWay(t, dir, func(t *testing.T, r *Root) {
			if got, err := read(r, deep+"/f"); got != "deep" || err != nil {
				t.Errorf("%d bytes: %q, %v", len(deep), got, err)
			}
			if names, err := r.ReadDir(deep); !slices.Equal(names, []string{"f"}) || err != nil {
				t.Errorf("%d bytes: %q, %v", len(deep), names, err)
			}
			if st, err := r.Lstat(deep + "/f"); st.Size != 4 || err != nil {
				t.Errorf("%d bytes: %d, %v", len(deep), st.Size, err)
			}
			if _, err := r.OpenDir(deep + "/none"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%d bytes: %v", len(deep), err)
			}
		})
	}
}

func TestNames(t *testing.T) {
	want := []string{"-rf", "..a", ".wh.x", "a\nb", "a\\x2db", "b", "bad\xff\xfe", strings.Repeat("l", 255)}
	dir := t.TempDir()
	for _, name := range want {
		if err := makeEntry(dir, name+" = "+name); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(want)
	eachWay(t, dir, func(t *testing.T, r *Root) {
		names, err := r.ReadDir("/")
		if !slices.Equal(names, want) || err != nil {
			t.Errorf("got %q, %v", names, err)
		}
		for _, name := range want {
			if got, err := read(r, "/"+name); got != name || err != nil {
				t.Errorf("%q: %q, %v", name, got, err)
			}
		}
	})
	if names, err := open(t, t.TempDir()).ReadDir("/"); len(names) != 0 || err != nil {
		t.Errorf("an empty directory: %q, %v", names, err)
	}
}

// Descriptors are closed after success and failure.
func TestNoLeaks(t *testing.T) {
	dir := makeTree(t, "a/b/c/f = x", "a/link -> /a/b", "a/loop -> loop", "pipe |")
	eachWay(t, dir, func(t *testing.T, r *Root) {
		before := descriptors(t)
		for range 50 {
			for _, path := range []string{"/", "/a", "/a/b/c/f", "/a/link", "/a/link/c/f", "/a/loop", "/pipe", "/none/x", "/../x", "/a/b/c/f/g"} {
				_, _ = read(r, path)
				_, _ = r.ReadDir(path)
				_, _ = r.Lstat(path)
				_, _ = r.Resolve(path)
			}
		}
		if after := descriptors(t); after != before {
			t.Errorf("%d descriptors, then %d", before, after)
		}
	})
}

// Closing twice must not close a descriptor that was reused.
func TestCloseTwice(t *testing.T) {
	dir := makeTree(t, "f = x")
	r := open(t, dir)
	d, err := r.OpenDir("/")
	if err != nil {
		t.Fatal(err)
	}
	f, err := d.OpenFile("f")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []func() error{d.Close, f.Close} {
		if err := c(); err != nil {
			t.Error(err)
		}
	}
	other, err := os.Open(dir + "/f")
	if err != nil {
		t.Fatal(err)
	}
	another, err := os.Open(dir + "/f")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []func() error{d.Close, f.Close, other.Close, another.Close} {
		if err := c(); err != nil {
			t.Error(err)
		}
	}
}
