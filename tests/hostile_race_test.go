package tests

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"chunkah/tests/mkroot"
)

const (
	// raceDirs is the number of directories that are swapped in turn.
	raceDirs = 40
	// raceRuns is the number of runs of each command. A few thousand swaps happen during these
	// runs.
	raceRuns  = 20
	raceInner = "what stands inside"
	raceOuter = "what is outside !!" // has the same length as the contents inside, so that sizes do not distinguish them
)

// While another process replaces directories and files with links to the outside, no command opens
// anything outside the root. No output contains data from outside, and the kernel reports no open.
func TestLaw6NothingOutsideIsOpened(t *testing.T) {
	if testing.Short() {
		t.Skip("runs hundreds of commands")
	}
	for _, way := range []string{"", withoutOpenat2} {
		name := "with openat2"
		if way != "" {
			name = "without openat2"
		}
		t.Run(name, func(t *testing.T) {
			place := racePlace(t)
			packed := stream(t, `chunkah-scan "$ROOT" | chunkah-assign | chunkah-pack --max 4`, place+"/root")
			guard := watch(t, place+"/outside", place+"/outside/x")
			s := startSwapping(place)
			ended := map[int]int{}
			for range raceRuns {
				for _, cmd := range []*exec.Cmd{
					exec.Command("chunkah-scan", place+"/root"),
					exec.Command("chunkah-write", "-T", "2"),
					exec.Command("chunkah-write", "--compress", "gzip", "-o", t.TempDir()+"/out"),
					exec.Command("chunkah", "build", "--rootfs", place+"/root"),
				} {
					if cmd.Args[0] == "chunkah-write" {
						cmd.Stdin = strings.NewReader(packed)
					}
					res := start(t, behind(t, way, cmd))
					if strings.Contains(res.stdout, raceOuter) {
						t.Errorf("%q: wrote data from outside", cmd.Args)
					}
					if res.code > 1 || res.code == 1 && !strings.Contains(res.stderr, "/d") {
						t.Errorf("%q: status %d: %q", cmd.Args, res.code, res.stderr)
					}
					ended[res.code]++
				}
			}
			if n := guard.opened(t); n > 0 {
				t.Errorf("%d events of files outside", n)
			}
			// To check the guard, a reader without protection follows the links, and the kernel
			// must report this.
			for end := time.Now().Add(deadline); guard.opened(t) == 0 && time.Now().Before(end); {
				_, _ = os.ReadFile(place + "/root/d00/x/f")
			}
			swaps := s.end(t)
			if !guard.ever {
				t.Error("no race ever led out: the test shows nothing")
			}
			t.Logf("%d swaps, statuses %v", swaps, ended)
		})
	}
}

// racePlace returns a directory that contains a root and, next to the root, files with the same
// names. One of these files is a pipe without a writer.
func racePlace(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	for i := range raceDirs {
		fmt.Fprintf(&text, "file /root/d%02d/x/f text=%q\nfile /root/d%02d/x/g text=%q\n", i, raceInner, i, raceInner)
	}
	fmt.Fprintf(&text, "file /outside/x/f text=%q\nfifo /outside/x/g\n", raceOuter)
	return mkroot.Make(t, text.String())
}

// A swapper replaces files in a root with links, and restores them.
type swapper struct {
	stop chan struct{}
	done chan error
	n    int
}

func startSwapping(place string) *swapper {
	s := &swapper{stop: make(chan struct{}), done: make(chan error, 1)}
	go func() { s.done <- s.run(place) }()
	return s
}

func (s *swapper) run(place string) error {
	link := place + "/link"
	for r := rand.New(rand.NewPCG(1, 2)); ; s.n++ {
		select {
		case <-s.stop:
			return nil
		default:
		}
		dir := fmt.Sprintf("/d%02d", r.IntN(raceDirs))
		to, at := "/outside", dir
		switch r.IntN(4) {
		case 0:
			to, at = "/outside/x", dir+"/x"
		case 1:
			to, at = "/outside/x/f", dir+"/x/f"
		case 2:
			to, at = "/outside/x/g", dir+"/x/g"
		}
		if r.IntN(2) == 0 {
			to = strings.Repeat("../", 20) + place + to
		} else {
			to = place + to
		}
		if err := os.Symlink(to, link); err != nil {
			return err
		}
		for range 2 {
			if err := unix.Renameat2(unix.AT_FDCWD, place+"/root"+at, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE); err != nil {
				return err
			}
		}
		if err := os.Remove(link); err != nil {
			return err
		}
	}
}

// end stops the swapper and returns the number of swaps.
func (s *swapper) end(t *testing.T) int {
	t.Helper()
	close(s.stop)
	if err := <-s.done; err != nil {
		t.Error(err)
	}
	return s.n
}

// A guard receives the kernel's events for every open and read in some directories.
type guard struct {
	fd   int
	ever bool // there was an event
}

func watch(t *testing.T, dirs ...string) *guard {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	for _, dir := range dirs {
		if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_OPEN|unix.IN_ACCESS|unix.IN_CLOSE); err != nil {
			t.Fatal(err)
		}
	}
	return &guard{fd: fd}
}

// opened returns the number of events since the last call.
func (g *guard) opened(t *testing.T) (n int) {
	t.Helper()
	buf := make([]byte, 64*kib)
	for {
		got, err := unix.Read(g.fd, buf)
		if err == unix.EAGAIN {
			g.ever = g.ever || n > 0
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < got; n++ {
			at += unix.SizeofInotifyEvent + int(buf[at+12]) // the length of the name
		}
	}
}

// withoutOpenat2 is an environment variable. If it is set, this binary runs its arguments as a
// command instead of the tests. The kernel refuses openat2 for this command, like kernels before
// Linux 5.6 and the filters of old container engines.
const withoutOpenat2 = "CHUNKAH_TEST_WITHOUT_OPENAT2"

// behind changes a command so that it runs in the given way. An empty way changes nothing.
func behind(t *testing.T, way string, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	if way == "" {
		return cmd
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	outer := exec.Command(self, cmd.Args...)
	outer.Stdin, outer.Dir, outer.Env = cmd.Stdin, cmd.Dir, append(os.Environ(), way+"=1")
	return outer
}

// refuseOpenat2 runs the command without openat2. It returns only on errors.
func refuseOpenat2(args []string) error {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return err
	}
	runtime.LockOSThread() // the filter applies to this thread
	const errno = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the system call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_OPENAT2, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: errno},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil {
		return err
	}
	if _, err := unix.Openat2(unix.AT_FDCWD, ".", &unix.OpenHow{Flags: unix.O_PATH}); err != unix.ENOSYS {
		return fmt.Errorf("openat2 is not refused, but ends with %q", fmt.Sprint(err))
	}
	return syscall.Exec(path, args, os.Environ())
}
