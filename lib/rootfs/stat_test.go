package rootfs

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// statx, fstatat and the open file return the same result.
func TestStat(t *testing.T) {
	dir := makeTree(t, "f = content", "g = x", "link -> f", "d/", "pipe |")
	if err := os.Link(dir+"/f", dir+"/hard"); err != nil {
		t.Fatal(err)
	}
	if err := unix.Chmod(dir+"/g", 0o4751); err != nil {
		t.Fatal(err)
	}
	if err := unix.Chmod(dir+"/d", 0o3700); err != nil {
		t.Fatal(err)
	}
	before1970 := time.Unix(-5, 999_999_999)
	if err := os.Chtimes(dir+"/g", before1970, before1970); err != nil {
		t.Fatal(err)
	}
	names := []string{"f", "g", "link", "d", "pipe", "hard"}
	if err := unix.Mknod(dir+"/device", unix.S_IFCHR|0o600, int(unix.Mkdev(4095, 1048575))); err == nil {
		names = append(names, "device")
	}
	r, old := open(t, dir), asOld(t, open(t, dir))
	for _, name := range names {
		a, err := r.Lstat("/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := old.Lstat("/" + name); a != b || err != nil {
			t.Errorf("%s: statx %+v, fstatat %+v, %v", name, a, b, err)
		}
		var st unix.Stat_t
		if err := unix.Lstat(dir+"/"+name, &st); err != nil {
			t.Fatal(err)
		}
		if a.Dev != uint64(st.Dev) || a.Ino != st.Ino {
			t.Errorf("%s: inode %d:%d, want %d:%d", name, a.Dev, a.Ino, st.Dev, st.Ino)
		}
	}
	check := func(name string, good func(st Stat) bool) {
		if st, err := r.Lstat("/" + name); err != nil || !good(st) {
			t.Errorf("%s: %+v, %v", name, st, err)
		}
	}
	check("f", func(st Stat) bool { return st.Size == 7 && st.Links == 2 })
	check("g", func(st Stat) bool {
		return st.Mode == unix.S_IFREG|0o4751 && st.MTime == -5 && st.MTimeNsec == 999_999_999
	})
	check("d", func(st Stat) bool { return st.Mode == unix.S_IFDIR|0o3700 })
	check("link", func(st Stat) bool { return st.Mode&unix.S_IFMT == unix.S_IFLNK && st.Size == 1 })
	if len(names) == 7 {
		check("device", func(st Stat) bool { return st.RdevMajor == 4095 && st.RdevMinor == 1048575 })
	}
	f, err := r.OpenFile("/f")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	opened, err := f.Stat()
	if listed, _ := r.Lstat("/f"); opened != listed || !opened.Same(listed) || err != nil {
		t.Errorf("open %+v, listed %+v, %v", opened, listed, err)
	}
}

func TestSame(t *testing.T) {
	was := Stat{Dev: 1, Ino: 2, Size: 3, MTime: 4, MTimeNsec: 5, CTime: 6, CTimeNsec: 7, UID: 1}
	is := was
	is.UID = 2 // a chown changes ctime as well
	if !was.Same(is) {
		t.Error("not the same")
	}
	for i, change := range []func(*Stat){
		func(s *Stat) { s.Dev++ }, func(s *Stat) { s.Ino++ }, func(s *Stat) { s.Size++ }, func(s *Stat) { s.MTime++ },
		func(s *Stat) { s.MTimeNsec++ }, func(s *Stat) { s.CTime++ }, func(s *Stat) { s.CTimeNsec++ },
	} {
		is := was
		if change(&is); was.Same(is) {
			t.Errorf("change %d is not detected", i)
		}
		// The device number can differ in the next process.
		if same := is.HasStamp(was.Stamp()); same != (is.Dev != was.Dev) || same != (is.Stamp() == was.Stamp()) {
			t.Errorf("change %d: the same stamp: %v", i, same)
		}
	}
}

// Reading never changes access times, except those of symlinks.
func TestAccessTimes(t *testing.T) {
	dir := makeTree(t, "d/f = content", "d/sub/")
	long := []unix.Timespec{{Sec: 1e9}, {Sec: 2e9}} // atime before mtime: the kernel would update it
	names := []string{"", "/d/sub", "/d/f", "/d"}
	for _, name := range names {
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, dir+name, long, 0); err != nil {
			t.Fatal(err)
		}
	}
	eachWay(t, dir, func(t *testing.T, r *Root) {
		for _, path := range []string{"/", "/d", "/d/sub"} {
			if _, err := r.ReadDir(path); err != nil {
				t.Error(err)
			}
			d := openDir(t, r, path)
			if _, err := d.xattrNames(""); err != nil {
				t.Error(err)
			}
		}
		if got, err := read(r, "/d/f"); got != "content" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := r.Resolve("/d/../d/f"); err != nil {
			t.Error(err)
		}
	})
	for _, name := range names {
		var st unix.Stat_t
		if err := unix.Lstat(dir+name, &st); err != nil {
			t.Fatal(err)
		}
		if st.Atim.Sec != 1e9 {
			t.Errorf("the access time of %q changed", name)
		}
	}
}

// If users do not own a file, they cannot preserve its access time, but they can read it.
func TestForeignFiles(t *testing.T) {
	dir := makeTree(t, "d/f = content")
	share(t, dir)
	eachWay(t, dir, func(t *testing.T, r *Root) {
		asNobody(t, func() error {
			if got, err := read(r, "/d/f"); got != "content" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
			_, err := r.ReadDir("/d")
			return err
		})
	})
}

func TestReadable(t *testing.T) {
	dir := makeTree(t, "open = x", "closed = x", "list = x", "link -> closed")
	share(t, dir)
	if err := os.Chmod(dir+"/closed", 0o600); err != nil {
		t.Fatal(err)
	}
	if d := openDir(t, open(t, dir), "/"); d.Readable("closed") != nil && os.Geteuid() == 0 {
		t.Error("root cannot read a file")
	}
	asNobody(t, func() error {
		r, err := Open(dir)
		if err != nil {
			return err
		}
		defer r.Close()
		d, err := r.OpenDir("/")
		if err != nil {
			return err
		}
		defer d.Close()
		if err := d.Readable("open"); err != nil {
			t.Errorf("open: %v", err)
		}
		if err := d.Readable("closed"); !errors.Is(err, unix.EACCES) || err.Error() != `reading "/closed": permission denied` {
			t.Errorf("closed: %v", err)
		}
		if err := d.Readable("../closed"); !errors.Is(err, errPath) {
			t.Errorf("outside: %v", err)
		}
		_, err = d.OpenFile("closed")
		if !errors.Is(err, unix.EACCES) || !strings.HasPrefix(err.Error(), `opening "/closed": `) {
			t.Errorf("opening: %v", err)
		}
		return nil
	})
}

// share makes a test's directory accessible to everyone.
func share(t *testing.T, dir string) {
	t.Helper()
	for _, path := range []string{dir, dir[:strings.LastIndexByte(dir, '/')]} {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRead(t *testing.T) {
	r := open(t, makeTree(t, "empty", "f = content"))
	f, err := r.OpenFile("/f")
	if err != nil {
		t.Fatal(err)
	}
	if f.Name() != "/f" {
		t.Errorf("Name is %q", f.Name())
	}
	buf := make([]byte, 4)
	for _, want := range []string{"cont", "ent"} {
		if n, err := f.Read(buf); string(buf[:n]) != want || err != nil {
			t.Errorf("%q, %v", buf[:n], err)
		}
	}
	for range 2 {
		if n, err := f.Read(buf); n != 0 || err != io.EOF {
			t.Errorf("%d, %v", n, err)
		}
	}
	if n, err := f.Read(nil); n != 0 || err != nil {
		t.Errorf("empty buffer: %d, %v", n, err)
	}
	f.Close()
	if _, err := f.Read(buf); err == nil || err.Error() != `reading "/f": bad file descriptor` {
		t.Errorf("closed: %v", err)
	}
	if got, err := read(r, "/empty"); got != "" || err != nil {
		t.Errorf("empty: %q, %v", got, err)
	}
}

func TestReadAt(t *testing.T) {
	r := open(t, makeTree(t, "f = content"))
	f, err := r.OpenFile("/f")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, test := range []struct {
		off  int64
		want string
		err  error
	}{{0, "cont", nil}, {3, "tent", nil}, {4, "ent", io.EOF}, {7, "", io.EOF}, {100, "", io.EOF}, {-1, "", unix.EINVAL}} {
		buf := make([]byte, 4)
		if n, err := f.ReadAt(buf, test.off); string(buf[:n]) != test.want || !errors.Is(err, test.err) {
			t.Errorf("from %d: %q, %v", test.off, buf[:n], err)
		}
	}
	if n, err := f.ReadAt(nil, 0); n != 0 || err != nil {
		t.Errorf("empty buffer: %d, %v", n, err)
	}
}
