//go:build linux && amd64

package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"chunkah/tests/clients"
	"chunkah/tests/inject"
)

// If a file is a named pipe whose other end is never opened, a signal ends the wait.
func TestFaultsOfPipesNobodyOpens(t *testing.T) {
	clients.Need(t)
	place := newFaultPlace(t)
	for _, args := range []string{
		"chunkah build --rootfs $ROOT -o $DIR/pipe",
		"chunkah build --rootfs $ROOT -o docker-archive:$DIR/pipe",
		"chunkah build --rootfs $ROOT -o $DIR/out/a --config $DIR/pipe",
		"chunkah build --rootfs $ROOT -o $DIR/out/a --map $DIR/pipe",
		"chunkah build --rootfs $ROOT -o $DIR/out/a --previous $DIR/pipe",
		"chunkah build --rootfs $ROOT -o $DIR/out/a --plan $DIR/pipe",
		"chunkah build --from oci-archive:$DIR/pipe -o $DIR/out/a",
		"chunkah doctor $ROOT --map $DIR/pipe",
		"chunkah inspect oci-archive:$IN/gzip --html $DIR/pipe",
		"chunkah verify oci-archive:$DIR/pipe",
	} {
		j := faultJob{name: strings.ReplaceAll(args, "/", "|"), args: args}
		t.Run(j.name, func(t *testing.T) {
			p := place
			p.dir = t.TempDir()
			before := p.fresh(t, j)
			pipe := filepath.Join(p.dir, "pipe")
			if err := unix.Mkfifo(pipe, 0o600); err != nil {
				t.Fatal(err)
			}
			r := p.run(t, j, inject.Fault{At: 1, Signal: syscall.SIGTERM, Counts: func(c inject.Call) bool {
				return c.Name == "openat" && c.Path == pipe
			}})
			if r.Hit == nil {
				t.Fatalf("the pipe is not opened: %s", r.stderr)
			}
			p.failed(t, j, r, faultResult{stdout: nothing}, before, 128+int(syscall.SIGTERM), ": terminated\n")
		})
	}
}

// If a pipe's reader stops reading, a signal still ends the command.
func TestFaultsOfPipesNobodyEmpties(t *testing.T) {
	clients.Need(t)
	place := newFaultPlace(t)
	for _, args := range []string{
		"chunkah-scan $ROOT", "chunkah-assign --rootfs $ROOT --summary", "chunkah build --rootfs $ROOT -o -", "chunkah build --rootfs $ROOT -o $DIR/pipe",
		"chunkah build --rootfs $ROOT -o docker-archive:$DIR/pipe", "chunkah build --rootfs $ROOT -o $DIR/out/a --explain",
		"chunkah build --rootfs $ROOT -o $DIR/out/a --plan -", "chunkah diff $ROOT $IN", "chunkah diff --json $ROOT oci:$IN/layout",
		"chunkah doctor $ROOT", "chunkah inspect oci-archive:$IN/gzip", "chunkah inspect oci-archive:$IN/gzip --html -",
		"chunkah reuse oci:$IN/layout oci-archive:$IN/gzip",
	} {
		t.Run(strings.ReplaceAll(args, "/", "|"), func(t *testing.T) {
			p := place
			p.dir = t.TempDir()
			p.folders(t)
			pipe := fullPipe(t, filepath.Join(p.dir, "pipe"))
			words := strings.Fields(p.expand(args))
			cmd := exec.Command(words[0], words[1:]...)
			var stderr strings.Builder
			cmd.Stdout, cmd.Stderr = pipe, &stderr
			if strings.HasPrefix(args, "chunkah-assign") {
				in, err := os.Open(filepath.Join(p.in, "scan"))
				if err != nil {
					t.Fatal(err)
				}
				defer in.Close()
				cmd.Stdin = in
			}
			out, err := inject.Run(cmd, inject.Fault{At: 1, Signal: syscall.SIGTERM, Counts: func(c inject.Call) bool {
				return c.Name == "write" && c.Path == pipe.Name()
			}})
			switch {
			case err != nil:
				t.Fatal(err)
			case out.Hit == nil:
				t.Errorf("nothing is written: %s", stderr.String())
			case out.Hung:
				t.Error("it hangs")
			case out.Status.ExitStatus() != 128+int(syscall.SIGTERM) || !strings.HasSuffix(stderr.String(), ": terminated\n"):
				t.Errorf("status %d: %s", out.Status.ExitStatus(), stderr.String())
			}
			if _, temps := p.look(t); len(temps) > 0 {
				t.Errorf("%q is left", temps)
			}
		})
	}
}

// fullPipe makes a named pipe and fills it.
func fullPipe(t *testing.T, path string) *os.File {
	t.Helper()
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(path, os.O_RDWR, 0) // does not block
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pipe.Close() })
	size, err := unix.FcntlInt(pipe.Fd(), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pipe.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	return pipe
}

// No command opens a named pipe in place of a directory.
func TestFaultsOfPipesForFolders(t *testing.T) {
	clients.Need(t)
	place := newFaultPlace(t)
	for _, args := range []string{
		"chunkah build --rootfs $ROOT -o oci:$DIR/pipe",
		"chunkah build --rootfs $ROOT -o $DIR/out/a --cache $DIR/pipe",
		"chunkah build --from oci-archive:$IN/zstd -o $DIR/out/a --spool $DIR/pipe",
		"chunkah build --rootfs $DIR/pipe -o $DIR/out/a",
		"chunkah verify oci:$DIR/pipe",
	} {
		j := faultJob{name: strings.ReplaceAll(args, "/", "|"), args: args}
		t.Run(j.name, func(t *testing.T) {
			p := place
			p.dir = t.TempDir()
			before := p.fresh(t, j)
			if err := unix.Mkfifo(filepath.Join(p.dir, "pipe"), 0o600); err != nil {
				t.Fatal(err)
			}
			r := p.run(t, j, inject.Fault{})
			status := 1
			if strings.HasPrefix(args, "chunkah verify") {
				status = 2
			}
			p.failed(t, j, r, faultResult{stdout: nothing}, before, status, "not a directory", "no directory")
		})
	}
}
