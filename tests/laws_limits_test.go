package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
	"chunkah/tests/rpmroot"
)

// If many paths have the same fault, one error lists all paths.
func TestLaw7EveryPathIsNamed(t *testing.T) {
	t.Run("special files", func(t *testing.T) {
		text := "file /usr/a text=a\n"
		var want []string
		for i := range 40 {
			path := fmt.Sprintf("/usr/lib/dir/pipe%02d", i)
			want = append(want, path)
			text += "fifo " + path + "\n"
		}
		want = append(want, "/run/socket")
		text += "socket /run/socket\n"
		stderr := fails(t, 1, exec.Command("chunkah-scan", mkroot.Make(t, text)))
		for _, path := range want {
			if n := countPath(stderr, path); n != 1 {
				t.Errorf("%s is named %d times", path, n)
			}
		}
		for _, option := range []string{"--skip-special-files", "--keep-special-files"} {
			if !strings.Contains(stderr, option) {
				t.Errorf("there is no advice: no %s in\n%s", option, stderr)
			}
		}
	})
	t.Run("unreadable files", func(t *testing.T) {
		unreadable(t, "file /a text=a mode=0000\nfile /d/b text=b mode=0000\nfile /c text=c\n", "/a", "/d/b")
	})
	t.Run("unreadable directories", func(t *testing.T) {
		unreadable(t, "dir /e mode=0000\ndir /d/f mode=0600\nfile /d/f/g text=x\ndir /d/h mode=0100\n", "/e", "/d/f/g", "/d/h")
	})
	t.Run("damaged database", func(t *testing.T) {
		for name, damage := range map[string]func(data []byte) []byte{
			"truncated": func(data []byte) []byte { return data[:len(data)/2] },
			"garbled": func(data []byte) []byte {
				clear(data[4096:]) // all pages except the first
				return data
			},
			"empty": func([]byte) []byte { return nil },
		} {
			t.Run(name, func(t *testing.T) {
				root := copyRoot(t, rpmRoot(t))
				db := filepath.Join(root, rpmroot.DB, "rpmdb.sqlite")
				data, err := os.ReadFile(db)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(db, damage(data), 0o644); err != nil {
					t.Fatal(err)
				}
				stderr := fails(t, 1, exec.Command("chunkah", "build", "--rootfs", root))
				if !strings.Contains(stderr, rpmroot.DB+"/rpmdb.sqlite") {
					t.Errorf("the database is not named in %q", stderr)
				}
			})
		}
	})
}

// unreadable builds a root as an ordinary user. The build must fail and name all the paths.
func unreadable(t *testing.T, text string, paths ...string) {
	t.Helper()
	root := mkroot.Make(t, text)
	// Unreadable directories could not be removed at the end of the test.
	t.Cleanup(func() { clients.Run(t, exec.Command("chmod", "-R", "u+rwx", root)) })
	openAbove(t, root)
	cmd := exec.Command("chunkah", "build", "--rootfs", root)
	if os.Geteuid() == 0 {
		openAbove(t, filepath.Join(scratch, "bin", "chunkah"))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		clients.Run(t, exec.Command("chown", "-R", "65534:65534", root))
	}
	stderr := fails(t, 1, cmd)
	for _, path := range paths {
		if n := countPath(stderr, path); n != 1 {
			t.Errorf("%s is named %d times in\n%s", path, n, stderr)
		}
	}
}

// openAbove permits any user to enter the temporary directories above a path.
func openAbove(t *testing.T, path string) {
	t.Helper()
	for dir := filepath.Dir(path); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// memoryBound is the amount of memory, in KiB, by which a build with files of any size may exceed a
// build of a tiny root.
const memoryBound = 64 << 10

func TestLaw8MemoryDoesNotGrowWithBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("hashes gigabytes")
	}
	tiny := peakMemory(t, mkroot.Make(t, "file /a size=100\n"))
	huge := peakMemory(t, mkroot.Make(t, "file /a size=2147483648 sparse=1\nfile /b size=400000000 sparse=1\n"))
	t.Logf("peak memory: %d KiB with a tiny root, %d KiB with 2.4 GB", tiny, huge)
	if huge > tiny+memoryBound {
		t.Errorf("peak memory is %d KiB with 2.4 GB, %d KiB with 100 bytes", huge, tiny)
	}
}

// peakMemory runs chunkah build and returns its peak memory in KiB. It reads the value while the
// process runs, because the kernel's value after the exit includes this process.
func peakMemory(t *testing.T, root string) int {
	t.Helper()
	cmd := exec.Command("chunkah", "build", "--rootfs", root, "-o", "/dev/null")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	peak := 0
	for {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
			return peak
		case <-time.After(2 * time.Millisecond):
			peak = max(peak, highWater(cmd.Process.Pid))
		}
	}
}

// highWater returns a process's peak resident memory in KiB, or 0 if the process has ended.
func highWater(pid int) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	words := strings.Fields(rest)
	if len(words) == 0 {
		return 0
	}
	kib, err := strconv.Atoi(words[0])
	if err != nil {
		return 0
	}
	return kib
}
