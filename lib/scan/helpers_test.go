package scan

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/pkg/xattr"
	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

// makeTree makes a tree from lines: "dir/", "link -> target", "pipe |", "socket #",
// "name = content".
func makeTree(t testing.TB, lines ...string) string {
	t.Helper()
	dir := t.TempDir()
	add(t, dir, lines...)
	return dir
}

func add(t testing.TB, dir string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if err := addOne(dir, line); err != nil {
			t.Fatal(err)
		}
	}
}

func addOne(dir, line string) error {
	name, rest, _ := strings.Cut(line, " ")
	path := filepath.Join(dir, name)
	if strings.HasSuffix(line, "/") && rest == "" {
		return os.MkdirAll(path, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	kind, value, _ := strings.Cut(rest, " ")
	switch kind {
	case "->":
		return os.Symlink(value, path)
	case "|":
		return unix.Mkfifo(path, 0o644)
	case "#":
		return unix.Mknod(path, unix.S_IFSOCK|0o644, 0)
	}
	return os.WriteFile(path, []byte(value), 0o644)
}

func setXattr(t testing.TB, path, name, value string) {
	t.Helper()
	err := xattr.LSet(path, name, []byte(value))
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EPERM) && os.Geteuid() != 0 {
		t.Skipf("needs root and a file system with xattrs: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// bind makes the tree at from visible at to as well, with a bind mount.
func bind(t *testing.T, from, to string) {
	t.Helper()
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("needs to mount: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(to, unix.MNT_DETACH) })
}

// fast returns a directory in memory if possible.
func fast(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256m,nr_inodes=1m"); err == nil {
		t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	}
	return dir
}

// walk returns all records of a tree.
func walk(t testing.TB, dir string, opt Options) ([]*format.File, *Report, error) {
	t.Helper()
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	report := &Report{}
	files, err := gather(t.Context(), root, opt, report)
	return files, report, err
}

func gather(ctx context.Context, root *rootfs.Root, opt Options, report *Report) (files []*format.File, err error) {
	for f, err := range Walk(ctx, root, opt, report) {
		if err != nil {
			return files, err
		}
		if err := f.Validate(); err != nil {
			return files, err
		}
		files = append(files, f)
	}
	return files, nil
}

// mustWalk is like walk, but a fault fails the test.
func mustWalk(t testing.TB, dir string, opt Options) ([]*format.File, *Report) {
	t.Helper()
	files, report, err := walk(t, dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	return files, report
}

func paths(files []*format.File) []string {
	var list []string
	for _, f := range files {
		list = append(list, f.Path)
	}
	return list
}

func wantPaths(t *testing.T, files []*format.File, want ...string) {
	t.Helper()
	if got := paths(files); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// find returns the record of a path, or an empty record if no record has this path.
func find(t testing.TB, files []*format.File, path string) *format.File {
	t.Helper()
	for _, f := range files {
		if f.Path == path {
			return f
		}
	}
	t.Errorf("%q is missing", path)
	return &format.File{}
}

// wantFault compares an error of several lines exactly.
func wantFault(t *testing.T, err error, want ...string) {
	t.Helper()
	var faults *FaultsError
	if !errors.As(err, &faults) || err.Error() != strings.Join(want, "\n") {
		t.Errorf("got  %v\nwant %v", err, strings.Join(want, "\n"))
	}
}

// asNobody runs f on a thread with the rights of an unprivileged user. The thread ends with f.
func asNobody(t testing.TB, f func() error) {
	t.Helper()
	needRoot(t)
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		done <- func() error {
			for _, call := range [][4]uintptr{
				{unix.SYS_SETGROUPS, 0, 0, 0},
				{unix.SYS_SETRESGID, 65534, 65534, 65534},
				{unix.SYS_SETRESUID, 65534, 65534, 65534},
			} {
				if _, _, errno := unix.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
					return errno
				}
			}
			return f()
		}()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to switch users")
	}
}
