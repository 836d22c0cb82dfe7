//go:build linux && amd64

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

	"golang.org/x/sys/unix"

	"chunkah/tests/clients"
	"chunkah/tests/inject"
)

// smallDisk mounts a 1 MB tmpfs on a directory. The returned function fills the tmpfs with an
// unnamed file, except for the given number of free bytes.
func smallDisk(t *testing.T, dir string) (fill func(free int64)) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		clients.Lack(t, "needs to mount a tmpfs: "+err.Error())
	}
	return func(free int64) {
		f, err := os.CreateTemp(dir, "filler")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		var st unix.Statfs_t
		if err := errors.Join(os.Remove(f.Name()), unix.Statfs(dir, &st)); err != nil {
			t.Fatal(err)
		}
		left := int64(st.Bavail) * st.Bsize
		if _, err := io.CopyN(f, zeros{}, max(left-free, 0)); err != nil {
			t.Fatal(err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// The output, the temporary files, the cache, or all three are on a 1 MB disk that may become full.
// Either the command succeeds, or it names the path and leaves existing files unchanged.
func TestFaultsOfSmallDisks(t *testing.T) {
	clients.Need(t, "root")
	eachFaultJob(t, func(t *testing.T, p faultPlace, j faultJob) {
		p.fresh(t, j)
		whole := p.run(t, j, inject.Fault{})
		full := 0
		for _, place := range []string{".", "out", "tmp", "cache"} {
			for _, free := range []int64{0, 16 << 10, 300 << 10} {
				t.Run(fmt.Sprint(place, free), func(t *testing.T) {
					if p.onSmallDisk(t, j, whole, place, free) {
						full++
					}
				})
			}
		}
		t.Logf("%d times full", full)
	})
}

// onSmallDisk runs the job with a small disk at one of these paths, and reports whether the disk
// became full.
func (p faultPlace) onSmallDisk(t *testing.T, j faultJob, whole faultResult, place string, free int64) bool {
	t.Helper()
	p.fresh(t, faultJob{})
	dir := filepath.Join(p.dir, place)
	fill := smallDisk(t, dir)
	defer func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	p.folders(t)
	if j.before != "" {
		p.shell(t, j.before)
	}
	before, _ := p.look(t)
	fill(free)
	r := p.run(t, j, inject.Fault{})
	if r.finished(whole) {
		p.tidy(t, r)
		return false
	}
	p.failed(t, j, r, whole, before, j.failure(), dir, "/dev/stdout", "TMPDIR")
	if !strings.Contains(r.stderr, "no space left on device") {
		t.Errorf("no message says that the disk is full: %s", r.stderr)
	}
	return true
}

// If the reader of a pipe closes the pipe, the command ends as with SIGPIPE, but without leftovers.
// If the command writes only messages to the pipe, it continues.
func TestFaultsOfClosedPipes(t *testing.T) {
	clients.Need(t)
	p := newFaultPlace(t)
	for _, line := range []string{
		"chunkah-scan $ROOT", "chunkah-assign <$IN/scan", "chunkah-assign --summary <$IN/scan", "chunkah-pack --plan $DIR/out/plan <$IN/assign",
		"chunkah-write <$IN/pack", "chunkah-write --compress gzip <$IN/pack", "chunkah-write -o docker-archive:- <$IN/pack",
		"chunkah build --rootfs $ROOT", "chunkah build --rootfs $ROOT -o $DIR/out/a --plan -", "chunkah build --rootfs $ROOT --compress zstd --cache $DIR/cache",
		"chunkah index oci-archive:$IN/gzip", "chunkah diff $ROOT $IN", "chunkah diff --json $ROOT $IN",
	} {
		for _, read := range []int64{0, 1} {
			t.Run(fmt.Sprint(line, read), func(t *testing.T) { p.closedPipe(t, line, read) })
		}
		t.Run(line+" 2>&-", func(t *testing.T) {
			p.fresh(t, faultJob{})
			cmd := exec.Command("sh", "-c", p.expand(line))
			cmd.Env = append(os.Environ(), "TMPDIR="+p.dir+"/tmp")
			deaf := deafPipe(t)
			defer deaf.Close()
			cmd.Stderr = deaf
			if err := cmd.Run(); err != nil && !strings.Contains(line, " diff ") {
				t.Error(err)
			}
		})
	}
}

// closedPipe runs a command and closes its standard output after some bytes.
func (p faultPlace) closedPipe(t *testing.T, line string, read int64) {
	t.Helper()
	p.fresh(t, faultJob{})
	cmd := exec.Command("sh", "-c", "exec "+p.expand(line))
	cmd.Env = append(os.Environ(), "TMPDIR="+p.dir+"/tmp")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out := deafPipe(t)
	if read > 0 {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		// With a pipe of one page, not all output fits before the pipe is closed.
		if _, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, os.Getpagesize()); err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = io.CopyN(io.Discard, r, read) // there can be less
			r.Close()
		}()
		out.Close()
		out = w
	}
	defer out.Close()
	cmd.Stdout = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.Close()
	_ = cmd.Wait() // the status is checked
	made, temps := p.look(t)
	if code := cmd.ProcessState.ExitCode(); code != 128+int(syscall.SIGPIPE) {
		if read > 0 && code <= 1 {
			return // a short output was written before the pipe was closed
		}
		t.Errorf("status %d: %s", code, &stderr)
	}
	if strings.Contains(stderr.String(), "broken pipe") {
		t.Errorf("standard error is %q", &stderr)
	}
	if len(made)+len(temps) > 0 {
		t.Errorf("there is %v and %q", made, temps)
	}
}

// deafPipe returns the write end of a pipe without a reader.
func deafPipe(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return w
}

// A stream that is truncated at any position is an error, and there is no output.
func TestFaultsOfCutStreams(t *testing.T) {
	clients.Need(t)
	p := newFaultPlace(t)
	for _, j := range faultJobs() {
		if j.stdin == "" {
			continue
		}
		stream, err := os.ReadFile(p.expand(j.stdin))
		if err != nil {
			t.Fatal(err)
		}
		lines := slices.Collect(strings.Lines(string(stream)))
		cuts := []int{0, 1, len(lines[0]) - 1, len(lines[0]), len(stream) / 2, len(stream) - len(lines[len(lines)-1]), len(stream) - 2}
		for _, cut := range cuts {
			before := p.fresh(t, j)
			args := strings.Fields(p.expand(j.args))
			cmd := exec.Command(args[0], args[1:]...)
			cmd.Stdin = strings.NewReader(string(stream[:cut]))
			stderr := fails(t, 1, cmd)
			if !strings.Contains(stderr, ": stdin: ") {
				t.Errorf("%s after %d bytes: %s", j.name, cut, stderr)
			}
			if made, temps := p.look(t); len(made) != len(before) || len(temps) > 0 {
				t.Errorf("%s after %d bytes: there is %v and %q", j.name, cut, made, temps)
			}
		}
	}
}
