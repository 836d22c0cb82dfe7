package scan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

func TestRecords(t *testing.T) {
	dir := makeTree(t, "d/f = content", "d/empty =", "link -> ../no such target", "abs -> /d/f")
	for path, mode := range map[string]uint32{"/d": 0o1700, "/d/f": 0o6751, "/d/empty": 0o400, "": 0o755} {
		if err := unix.Chmod(dir+path, mode); err != nil {
			t.Fatal(err)
		}
	}
	owner := uint32(os.Getuid())
	if owner == 0 {
		owner = 1 << 31
		if err := os.Lchown(dir+"/link", 1<<31, 7); err != nil {
			t.Fatal(err)
		}
	}
	times := []unix.Timespec{{Sec: 1}, {Sec: -7, Nsec: 999_999_999}}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, dir+"/d/f", times, 0); err != nil {
		t.Fatal(err)
	}
	files, report := mustWalk(t, dir, Options{})
	wantPaths(t, files, "/", "/abs", "/d", "/d/empty", "/d/f", "/link")
	check := func(path string, good bool) {
		if !good {
			t.Errorf("%+v", find(t, files, path))
		}
	}
	f := find(t, files, "/d/f")
	check("/d/f", f.Type == format.TypeFile && f.Size == 7 && f.Mode == 0o6751 && f.MTime == -7 && f.MTimeNsec == 999_999_999)
	f = find(t, files, "/d/empty")
	check("/d/empty", f.Type == format.TypeFile && f.Size == 0 && f.Mode == 0o400)
	f = find(t, files, "/d")
	check("/d", f.Type == format.TypeDir && f.Size == 0 && f.Mode == 0o1700 && f.Hardlink == 0)
	f = find(t, files, "/link")
	check("/link", f.Type == format.TypeSymlink && f.Size == 0 && f.Mode == 0o777 && f.Target == "../no such target" && f.UID == owner)
	check("/abs", find(t, files, "/abs").Target == "/d/f")
	check("/", files[0].Type == format.TypeDir && files[0].Mode == 0o755)
	if report.Notes != nil || report.Skipped != nil || report.Dropped != nil || report.Unmatched != nil {
		t.Errorf("%+v", report)
	}
}

// For arbitrary names, the order is the same as in fs.WalkDir and format.ComparePaths.
func TestOrder(t *testing.T) {
	dir := t.TempDir()
	var names []string
	for _, name := range []string{"a", "a-b", "a.b", "a b", "a0", "A", "b", "aa", "-rf", "..x", "a\nb", "a\\x2db", "a\xffb",
		"\xc3\xa4", "\x01", strings.Repeat("l", 255), "~", "[", "a,b"} {
		names = append(names, name, name+"!", name+"/")
	}
	for i, name := range names {
		name = strings.TrimSuffix(name, "/")
		if i%3 == 2 { // a directory next to files that sort before and after it
			for _, sub := range []string{"a", "-", "z"} {
				path := filepath.Join(dir, name[:min(len(name), 254)]+"+", sub)
				if err := os.MkdirAll(path, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			continue
		}
		if len(name) > 255 {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var want []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		want = append(want, "/"+strings.TrimPrefix(strings.TrimPrefix(path, dir), "/"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	files, _ := mustWalk(t, dir, Options{})
	wantPaths(t, files, want...)
	if got := paths(files); !slices.IsSortedFunc(got, format.ComparePaths) {
		t.Errorf("not in order: %q", got)
	}
}

// Deep trees need no more descriptors than flat ones, and paths can be longer than the kernel
// accepts.
func TestDeep(t *testing.T) {
	levels := 4000
	if testing.Short() {
		levels = 1000 // more bytes than PATH_MAX
	}
	dir := fast(t)
	name := "level"
	deepen(t, dir, levels, name)

	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	few := unix.Rlimit{Cur: 24, Max: limit.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	files, _, err := walk(t, dir, Options{})
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	last := files[len(files)-1]
	if len(files) != levels+2 || len(last.Path) != levels*(len(name)+1)+len("/link") || last.Target != "target" {
		t.Errorf("%d records, the last with %d bytes and target %q", len(files), len(last.Path), last.Target)
	}
}

// deepen makes nested directories of the same name, and a link in the last one.
func deepen(t *testing.T, dir string, levels int, name string) {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range levels {
		if err := unix.Mkdirat(fd, name, 0o755); err != nil {
			t.Fatal(err)
		}
		next, err := unix.Openat(fd, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
		fd = next
	}
	if err := unix.Symlinkat("target", fd, "link"); err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
}

// Scan itself refuses paths that are too long for the stream, so that stages in one process behave
// the same. All such paths are listed, and directories among them are not read.
func TestTooLong(t *testing.T) {
	for _, test := range []struct {
		levels int
		name   string
		want   string
	}{
		{format.MaxDepth, "d", "8197 bytes, 4097 names"},
		{300, strings.Repeat("n", 255), "65792 bytes, 257 names"},
	} {
		if test.levels > 1000 && testing.Short() {
			continue
		}
		dir := fast(t)
		deepen(t, dir, test.levels, test.name)
		add(t, dir, "zz = x", "pipe |")
		_, _, err := walk(t, dir, Options{})
		if err == nil || !strings.Contains(err.Error(), "found 1 overlong path: the limit is 65536 bytes and 4096 names") ||
			!strings.Contains(err.Error(), "… ("+test.want+")") || !strings.Contains(err.Error(), "/pipe (FIFO)") {
			t.Errorf("got %v, want %q", err, test.want)
		}
		if files, _ := mustWalk(t, dir, Options{Prune: []string{"/" + test.name, "/pipe"}}); len(files) != 2 {
			t.Errorf("%d records", len(files))
		}
	}
}

func TestManyEntries(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 10_000
	}
	dir := fast(t)
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for i := range n {
		if err := unix.Symlinkat("t", fd, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	files, _ := mustWalk(t, dir, Options{})
	if len(files) != n+1 || !slices.IsSortedFunc(paths(files), format.ComparePaths) {
		t.Errorf("%d records", len(files))
	}
}

func TestHardLinks(t *testing.T) {
	outside := makeTree(t, "x = x")
	dir := filepath.Join(filepath.Dir(outside), "root")
	add(t, dir, "b/one = x", "c = same inode elsewhere", "lonely = x", "gone/one = x", "pipe |", "sym -> x")
	for _, link := range [][2]string{
		{dir + "/b/one", dir + "/a"}, {dir + "/b/one", dir + "/z"}, {outside + "/x", dir + "/out"},
		{dir + "/gone/one", dir + "/left"}, {dir + "/pipe", dir + "/pipe2"}, {dir + "/sym", dir + "/sym2"},
	} {
		if err := os.Link(link[0], link[1]); err != nil {
			t.Fatal(err)
		}
	}
	files, _ := mustWalk(t, dir, Options{Prune: []string{"/gone"}, Special: SpecialKeep})
	group := func(path string) int64 { return find(t, files, path).Hardlink }
	for _, same := range [][]string{{"/a", "/b/one", "/z"}, {"/pipe", "/pipe2"}, {"/sym", "/sym2"}} {
		for _, path := range same {
			if g := group(path); g == 0 || g != group(same[0]) {
				t.Errorf("%s is in group %d", path, g)
			}
		}
	}
	if group("/lonely") != 0 || group("/c") != 0 || group("/b") != 0 {
		t.Error("a file with one name is in a group")
	}
	// If a file's other names are outside the image, its group contains only one name, which does
	// no harm.
	seen := map[int64]int{}
	for _, f := range files {
		seen[f.Hardlink]++
	}
	if seen[group("/out")] != 1 || seen[group("/left")] != 1 || len(seen) != 6 {
		t.Errorf("groups: %v", seen)
	}
	for g := range seen {
		if g < 0 || g >= int64(len(seen)) {
			t.Errorf("group %d is not dense", g)
		}
	}
}

// Inode numbers are unique only within a device.
func TestHardLinksAcrossMounts(t *testing.T) {
	dir := makeTree(t, "one/", "two/")
	for _, sub := range []string{"/one", "/two"} { // new file systems assign the same inode numbers
		if err := unix.Mount("tmpfs", dir+sub, "tmpfs", 0, "size=1m"); err != nil {
			t.Skipf("needs to mount: %v", err)
		}
		t.Cleanup(func() { _ = unix.Unmount(dir+sub, unix.MNT_DETACH) })
		add(t, dir+sub, "a = x")
		if err := os.Link(dir+sub+"/a", dir+sub+"/b"); err != nil {
			t.Fatal(err)
		}
	}
	files, _ := mustWalk(t, dir, Options{CrossMounts: true})
	one, two := find(t, files, "/one/a").Hardlink, find(t, files, "/two/a").Hardlink
	if one == 0 || two == 0 || one == two || find(t, files, "/one/b").Hardlink != one || find(t, files, "/two/b").Hardlink != two {
		t.Errorf("groups %d and %d", one, two)
	}
}

func TestCancelled(t *testing.T) {
	dir := makeTree(t, "a/b/c = x", "d = x")
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	why := errors.New("someone pressed a key")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	n := 0
	for _, err = range Walk(ctx, root, Options{}, &Report{}) {
		n++
		if n == 2 { // in the middle of the walk
			cancel(why)
		}
	}
	if !errors.Is(err, why) || n > 4 {
		t.Errorf("%d records and %v", n, err)
	}
}

// The consumer can stop at any record.
func TestStopped(t *testing.T) {
	dir := makeTree(t, "a/b/c = x", "d = x")
	files, _ := mustWalk(t, dir, Options{})
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for most := range len(files) {
		n := 0
		for range Walk(t.Context(), root, Options{}, &Report{}) {
			if n++; n > most {
				break
			}
		}
	}
}

func TestDeterministic(t *testing.T) {
	dir := makeTree(t, "d/", "e/")
	for i := range 300 {
		add(t, dir, fmt.Sprintf("d/%d = x", i*7919%1000), fmt.Sprintf("e/%d -> x", i))
	}
	if err := os.Link(dir+"/d/0", dir+"/e/zero"); err != nil {
		t.Fatal(err)
	}
	first, _ := mustWalk(t, dir, Options{})
	for range 3 {
		again, _ := mustWalk(t, dir, Options{})
		if !reflect.DeepEqual(first, again) {
			t.Fatal("two scans differ")
		}
	}
}

// Nothing in the tree changes, including access times, except those of symlinks.
func TestUntouched(t *testing.T) {
	dir := makeTree(t, "a/b/f = x", "a/CACHEDIR.TAG = "+cacheTag, "link -> a", "pipe |")
	setXattr(t, dir+"/a/b/f", "user.x", "y")
	look := func() map[string]string {
		all := map[string]string{}
		for _, path := range []string{"", "/a", "/a/b", "/a/b/f", "/a/CACHEDIR.TAG", "/link", "/pipe"} {
			var st unix.Stat_t
			if err := unix.Lstat(dir+path, &st); err != nil {
				t.Fatal(err)
			}
			if path == "/link" {
				st.Atim = unix.Timespec{}
			}
			all[path] = fmt.Sprintf("%+v", st)
		}
		return all
	}
	for path := range look() { // atime before mtime: the kernel would update it
		times := []unix.Timespec{{Sec: 1e9}, {Sec: 2e9}}
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, dir+path, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			t.Fatal(err)
		}
	}
	before := look()
	mustWalk(t, dir, Options{Special: SpecialKeep, SkipCaches: true})
	mustWalk(t, dir, Options{Special: SpecialKeep})
	if after := look(); !reflect.DeepEqual(before, after) {
		t.Errorf("before %v\nafter %v", before, after)
	}
}
