package rootfs

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// makeTree makes a tree from lines: "dir/", "link -> target", "pipe |", or "name = content".
func makeTree(t testing.TB, lines ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, line := range lines {
		if err := makeEntry(dir, line); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func makeEntry(dir, line string) error {
	if name, target, ok := strings.Cut(line, " -> "); ok {
		return os.Symlink(target, filepath.Join(dir, name))
	}
	if name, ok := strings.CutSuffix(line, "/"); ok {
		return os.MkdirAll(filepath.Join(dir, name), 0o755)
	}
	if name, ok := strings.CutSuffix(line, " |"); ok {
		return unix.Mkfifo(filepath.Join(dir, name), 0o644)
	}
	name, content, _ := strings.Cut(line, " = ")
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(content), 0o644)
}

// eachWay runs a test on the running kernel, and again as if the kernel were old, without openat2,
// without listxattrat and without mount points in statx.
func eachWay(t *testing.T, dir string, test func(t *testing.T, r *Root)) {
	t.Run("new kernel", func(t *testing.T) { test(t, open(t, dir)) })
	t.Run("old kernel", func(t *testing.T) { test(t, asOld(t, open(t, dir))) })
}

func asOld(t testing.TB, r *Root) *Root {
	t.Helper()
	mounts, err := readMounts(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	r.plain, r.noListAt, r.mounts = true, true, mounts
	return r
}

func open(t testing.TB, dir string) *Root {
	t.Helper()
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func openDir(t testing.TB, r *Root, path string) *Dir {
	t.Helper()
	d, err := r.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// read returns the content of a file in the tree.
func read(r *Root, path string) (string, error) {
	f, err := r.OpenFile(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	content, err := io.ReadAll(f)
	return string(content), err
}

func descriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// asNobody runs f on a thread with the rights of an unprivileged user. The thread ends with f.
func asNobody(t testing.TB, f func() error) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to switch users")
	}
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
