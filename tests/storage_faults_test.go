package tests

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// An image is written directly into the storage, without an archive or another temporary file.
func TestToStorageWritesOnce(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root", "podman")
	e, root := clients.NewEngine(t), debianRoot(t)
	cmd := exec.Command("chunkah", "build", "--skip-special-files", "--rootfs", root, "--config-str", "{}", "-o", placeIn(e, "overlay", "app:1"))
	clients.Run(t, cmd)
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		t.Fatal("the system reports no usage")
	}
	var size int64 // on the disk
	if _, err := fmt.Sscan(clients.Run(t, exec.Command("du", "--summarize", "--block-size=1", filepath.Dir(e.Store()))), &size); err != nil {
		t.Fatal(err)
	}
	if wrote := usage.Oublock * 512; wrote > size*115/100 {
		t.Errorf("%d bytes are written for a storage of %d", wrote, size)
	} else {
		t.Logf("%d bytes are written for a storage of %d", wrote, size)
	}
}

// grainedRoot makes a root for many layers with large files, so that there is enough time to kill a
// command.
func grainedRoot(t *testing.T) string {
	t.Helper()
	root := mkroot.Make(t, "dir /usr\n")
	for i := range 24 {
		dir := fmt.Sprintf("%s/usr/part%d", root, i)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for j := range 20 {
			text := strings.Repeat(fmt.Sprintf("%d of %d\n", j, i), 10_000)
			if err := os.WriteFile(fmt.Sprintf("%s/%d", dir, j), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}

// partMap makes a map that puts each directory of grainedRoot into its own layer.
func partMap(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "map.json")
	var entries []string
	for i := range 24 {
		entries = append(entries, fmt.Sprintf(`"/usr/part%d": "part%d"`, i, i))
	}
	if err := os.WriteFile(file, []byte("{"+strings.Join(entries, ", ")+"}"), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// A killed command leaves the storage unchanged or with the whole image. The layers that the
// command has added become part of the next image, or the next run removes them.
func TestToStorageKills(t *testing.T) {
	clients.Need(t, "root", "podman", "buildah")
	root, other := grainedRoot(t), smallRoot(t)
	paths := partMap(t)
	e := clients.NewEngine(t)
	e.Load(build(t, other, "--config-str", "{}", "-t", "localhost/old:1"))
	old := storedLayers(t, e)
	command := func() *exec.Cmd {
		return exec.Command("chunkah", "build", "--rootfs", root, "--map", paths, "--config-str", "{}", "-o", placeIn(e, "overlay", "app:1"))
	}
	half, whole := 0, 0
	for i := range 50 {
		cmd := command()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for len(layerDirs(t, e)) < len(old)+i/2 && syscall.Kill(cmd.Process.Pid, 0) == nil {
			if exited(cmd) {
				break
			}
			time.Sleep(time.Millisecond)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		switch names := strings.Fields(e.Podman("images", "--format", "{{.Repository}}")); {
		case slices.Equal(names, []string{"localhost/old"}):
			half++
		case len(names) == 2:
			whole++
			clients.Run(t, exec.Command("chunkah", "verify", placeIn(e, "overlay", "app:1")))
			e.Podman("rmi", "app:1")
		default:
			t.Fatalf("after kill %d podman lists %q", i, names)
		}
		if i%5 == 4 { // another image, whose run removes the layers of the killed command
			toStorage(t, e, "overlay", "other:1", "--rootfs", other, "--config-str", `{"config":{"User":"x"}}`)
			e.Podman("rmi", "other:1")
			if got := storedLayers(t, e); fmt.Sprint(got) != fmt.Sprint(old) {
				t.Fatalf("after kill %d the storage has the layers\n%v, want\n%v", i, got, old)
			}
		}
	}
	t.Logf("%d killed in time, %d too late", half, whole)
	if half < 25 {
		t.Errorf("only %d commands were killed in time", half)
	}
	clients.Run(t, command())
	clients.Run(t, exec.Command("chunkah", "diff", "--ignore-mtime", placeIn(e, "overlay", "app:1"), root))
	if left, err := filepath.Glob(filepath.Dir(e.Store()) + "/.chunkah-*"); err != nil || len(left) > 0 {
		t.Errorf("there is %q, %v", left, err)
	}
	if left, err := filepath.Glob(e.Store() + "/tempdirs/*"); err != nil || len(left) > 0 {
		t.Errorf("there is %q, %v", left, err)
	}
	container := strings.TrimSpace(e.Buildah(t.TempDir(), "from", "localhost/app:1"))
	e.Buildah(t.TempDir(), "rm", container)
	e.Podman("rmi", "--all", "--force")
	if left := layerDirs(t, e); len(left) > 0 {
		t.Errorf("after podman rmi --all there is %q", left)
	}
}

// exited reports whether a command has ended, without waiting for it.
func exited(cmd *exec.Cmd) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, cmd.Process.Pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err == nil && info.Signo != 0
}

// If an error occurs while layers are written, only the layers that were added are removed.
func TestToStorageFails(t *testing.T) {
	clients.Need(t, "root", "podman")
	e, root := clients.NewEngine(t), copyRoot(t, smallRoot(t))
	toStorage(t, e, "overlay", "old:1", "--rootfs", root, "--config-str", "{}")
	old := storedLayers(t, e)
	layers := filepath.Join(t.TempDir(), "layers")
	if err := os.WriteFile(root+"/usr/share/plain", []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	res := start(t, exec.Command("sh", "-c", `chunkah-scan --skip-special-files "$0" | chunkah-assign | chunkah-pack > "$1" && echo y >> "$0"/usr/share/big.bin && exec chunkah-write --config-str {} -o "$2" < "$1"`,
		root, layers, placeIn(e, "overlay", "old:1")))
	if res.code != 1 || !strings.Contains(res.stderr, `"/usr/share/big.bin"`) {
		t.Errorf("status %d: %s", res.code, res.stderr)
	}
	if got := storedLayers(t, e); fmt.Sprint(got) != fmt.Sprint(old) {
		t.Errorf("the storage has the layers\n%v, want\n%v", got, old)
	}
	if got := e.Podman("images", "--all", "--quiet"); strings.Count(got, "\n") != 1 {
		t.Errorf("there are the images %q", got)
	}
}

// If the storage becomes full, the command reports this, and the storage is unchanged.
func TestToStorageOnFullDisk(t *testing.T) {
	clients.Need(t, "root", "podman")
	disk := mount(t, "tmpfs", "-t", "tmpfs", "-o", "size=3m")
	place := fmt.Sprintf("containers-storage:[overlay@%s/s+%s/r]app:1", disk, disk)
	said := fails(t, 1, exec.Command("chunkah", "build", "--rootfs", grainedRoot(t), "--map", partMap(t), "--config-str", "{}", "-o", place))
	if !strings.Contains(said, "no space left on device") || !strings.Contains(said, disk+"/s") {
		t.Errorf("it says %s", said)
	}
	if left, err := filepath.Glob(disk + "/s/overlay/*/diff"); err != nil || len(left) > 0 {
		t.Errorf("there is %q, %v", left, err)
	}
	clients.Run(t, exec.Command("chunkah", "build", "--rootfs", mkroot.Make(t, "file /f text=x\n"), "--config-str", "{}", "-o", place))
	clients.Run(t, exec.Command("chunkah", "verify", place))
}

// If another process has locked the storage, the command prints a message and waits. A signal ends
// the wait.
func TestToStorageWhileLocked(t *testing.T) {
	clients.Need(t, "root", "podman")
	e, root := clients.NewEngine(t), smallRoot(t)
	toStorage(t, e, "overlay", "old:1", "--rootfs", root, "--config-str", "{}")
	for name, of := range map[string]string{"layers": "-layers/layers.lock", "the store": "/../storage.lock"} {
		f, err := os.OpenFile(e.Store()+of, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		whole := unix.Flock_t{Type: unix.F_WRLCK}
		if err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &whole); err != nil {
			t.Fatal(err)
		}
		for _, interrupted := range []bool{true, false} {
			cmd := exec.Command("chunkah", "build", "--skip-special-files", "--rootfs", root, "--config-str", "{}", "-o", placeIn(e, "overlay", "new:1"))
			stderr, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			said := readUntil(t, stderr, "waiting for another process that is writing to")
			if interrupted {
				err = cmd.Process.Signal(syscall.SIGINT)
			} else {
				free := unix.Flock_t{Type: unix.F_UNLCK}
				err = unix.FcntlFlock(f.Fd(), unix.F_SETLK, &free)
			}
			if err != nil {
				t.Fatal(err)
			}
			rest, err := io.ReadAll(stderr)
			if err != nil {
				t.Fatal(err)
			}
			err = cmd.Wait()
			var exit *exec.ExitError
			switch {
			case interrupted && (!errors.As(err, &exit) || exit.ExitCode() != 130):
				t.Errorf("%s, interrupted: %v: %s%s", name, err, said, rest)
			case !interrupted && err != nil:
				t.Errorf("%s: %v: %s%s", name, err, said, rest)
			}
		}
	}
}

// readUntil reads until some words have arrived.
func readUntil(t *testing.T, in io.Reader, words string) string {
	t.Helper()
	var said strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(said.String(), words) {
		n, err := in.Read(buf)
		said.Write(buf[:n])
		if err != nil {
			t.Fatalf("it says only %q", said.String())
		}
	}
	return said.String()
}

// A user without privileges gets an error that contains the command line to use.
func TestToStorageNeedsRoot(t *testing.T) {
	clients.Need(t, "root", "setpriv")
	chunkah, err := exec.LookPath("chunkah")
	if err != nil {
		t.Fatal(err)
	}
	openAbove(t, chunkah)
	cmd := exec.Command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", chunkah, "build", "--rootfs", "/etc/alternatives", "--config-str", "{}", "-o", "containers-storage:app:1")
	if res := start(t, cmd); res.code != 1 || !strings.Contains(res.stderr, "podman unshare chunkah") {
		t.Errorf("status %d: %s", res.code, res.stderr)
	}
}
