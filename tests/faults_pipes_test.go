//go:build linux && amd64

package tests

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"chunkah/tests/clients"
	"chunkah/tests/inject"
)

// A named pipe may be in the place of any file, and whoever has its other end may
// never come: a signal ends the wait.
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

// A named pipe in the place of a folder is not opened.
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
			p.failed(t, j, r, faultResult{stdout: nothing}, before, status, "not a directory", "no directory", "not a folder")
		})
	}
}
