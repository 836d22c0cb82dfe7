package write

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/compress"
	"chunkah/lib/oci"
	"chunkah/lib/temp"
)

var errCause = errors.New("cause")

// outputs returns options for all ways to write layers to an output.
func outputs(dir string) map[string]Options {
	list := map[string]Options{}
	for _, algorithm := range []compress.Algorithm{compress.None, compress.Gzip, compress.Zstd} {
		for _, output := range []string{"out", "layout/"} {
			opt := to(filepath.Join(dir, output))
			opt.SpoolDir, opt.Threads, opt.Compression.Algorithm = dir, 3, algorithm
			list[fmt.Sprint(output, " ", algorithm)] = opt
		}
	}
	return list
}

// A run that is cancelled at any time returns the cause soon, and leaves no files or goroutines.
func TestCancelled(t *testing.T) {
	files := map[string]string{}
	for i := range 8 {
		files[fmt.Sprintf("d%d/a", i)] = bulk(300_000*(i+1), byte(i))
	}
	stream := packed(t, plant(t, files))
	before := runtime.NumGoroutine()
	dir := t.TempDir()
	for name, opt := range outputs(dir) {
		for _, after := range []time.Duration{0, 100 * time.Microsecond, time.Millisecond, 4 * time.Millisecond, 12 * time.Millisecond} {
			ctx, cancel := context.WithCancelCause(context.Background())
			timer := time.AfterFunc(after, func() { cancel(errCause) })
			if after == 0 {
				cancel(errCause)
			}
			in := source(stream)
			_, err := complete(ctx, &in, opt)
			late := ctx.Err() != nil
			timer.Stop()
			cancel(nil)
			if err == nil { // the run finished before it was cancelled
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				if err := os.Mkdir(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if !errors.Is(err, errCause) || err.Error() != errCause.Error() || !late {
				t.Errorf("%s after %v: %v", name, after, err)
			}
			empty(t, dir)
		}
	}
	noMoreGoroutines(t, before)
}

func noMoreGoroutines(t *testing.T, before int) {
	t.Helper()
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	buf := make([]byte, 1<<16)
	t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
}

// A large file does not delay a cancelled run.
func TestCancelledInLargeFile(t *testing.T) {
	root := t.TempDir()
	f, err := os.Create(filepath.Join(root, "large"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(1<<40), f.Close()); err != nil {
		t.Skipf("no file of a terabyte here: %v", err)
	}
	stream := []format.Record{header(root), layerRecord(0), file("/large", 1<<40)}
	for name, opt := range outputs(t.TempDir()) {
		if opt.Compression.Algorithm == compress.None && strings.HasPrefix(name, "layout") {
			continue // this case would fill the disk
		}
		ctx, cancel := context.WithTimeoutCause(context.Background(), 30*time.Millisecond, errCause)
		in := source(stream)
		if _, err := complete(ctx, &in, opt); !errors.Is(err, errCause) { // reading the whole file would take a quarter of an hour
			t.Errorf("%s: got %v", name, err)
		}
		cancel()
	}
}

// If the disk is full, the error names the path, and no output remains.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: a small disk is mounted")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("mounting a tmpfs: %v", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	root := plant(t, map[string]string{"a/x": "x", "b/large": bulk(3_000_000, 1), "c/y": bulk(500_000, 2)})
	stream := packed(t, root)
	before, fds := runtime.NumGoroutine(), openFiles(t)
	for name, opt := range outputs(dir) {
		in := source(stream)
		_, err := complete(context.Background(), &in, opt)
		if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", name, err)
		}
		empty(t, dir)
	}
	noMoreGoroutines(t, before)
	if now := openFiles(t); now > fds {
		t.Errorf("%d files are open, %d before", now, fds)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil || st.Bfree < st.Blocks-4 {
		t.Errorf("%d of %d blocks are free, %v", st.Bfree, st.Blocks, err)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("needs /proc")
	}
	return len(fds)
}

type failing struct {
	left int
	err  error
}

func (w *failing) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, w.err
	}
	return len(p), nil
}

// If an output fails at any point, Run returns its error.
func TestBrokenOutput(t *testing.T) {
	stream := packed(t, plant(t, map[string]string{"a/x": bulk(400_000, 1), "b/y": bulk(500_000, 2)}))
	before := runtime.NumGoroutine()
	for _, algorithm := range []compress.Algorithm{compress.None, compress.Gzip} {
		for _, left := range []int{0, 600, 300_000, 900_000} {
			opt := toWriter(&failing{left, errCause})
			opt.Compression.Algorithm, opt.SpoolDir = algorithm, t.TempDir()
			fails(t, opt, stream, "cause")
		}
	}
	noMoreGoroutines(t, before)
}

// Spools are unnamed files, and layers that are not compressed are not spooled.
func TestSpoolsHaveNoName(t *testing.T) {
	root := sample(t)
	for _, algorithm := range []compress.Algorithm{compress.None, compress.Zstd} {
		dir := t.TempDir()
		opt := to(filepath.Join(dir, "out"))
		opt.Compression.Algorithm = algorithm
		spools := 0
		opt.Create = hook(t, opt.Create, &hooked{before: func(v1.Descriptor) {
			entries, err := os.ReadDir(dir)
			if err != nil || len(entries) != 1 || !temp.Is(entries[0].Name()) {
				t.Errorf("%s: %v, %v", algorithm, entries, err)
			}
			spools += deleted(t, dir)
		}})
		run(t, opt, packed(t, root))
		if (spools > 0) != (algorithm == compress.Zstd) {
			t.Errorf("%s: %d spools were seen", algorithm, spools)
		}
	}
}

// deleted counts the open unnamed files below dir.
func deleted(t *testing.T, dir string) (n int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("needs /proc")
	}
	for _, fd := range fds {
		name, err := os.Readlink("/proc/self/fd/" + fd.Name())
		if err == nil && strings.HasPrefix(name, dir) && strings.HasSuffix(name, " (deleted)") {
			n++
		}
	}
	return n
}

// If the spool directory does not exist, the error names it.
func TestNoSpoolDir(t *testing.T) {
	opt := toWriter(io.Discard)
	opt.Compression.Algorithm = compress.Gzip
	stream := packed(t, plant(t, map[string]string{"a/x": "x"}))
	in := source(stream)
	opt.SpoolDir = "/no/such/folder"
	if _, err := complete(context.Background(), &in, opt); err == nil || !strings.Contains(err.Error(), `creating a temporary file for layer data in "/no/such/folder": no such file`) {
		t.Errorf("got %v", err)
	}
}

// Wrong options are reported before the stream is read.
func TestOptions(t *testing.T) {
	opt := toWriter(io.Discard)
	opt.Compression = compress.Settings{Algorithm: "lzma"}
	if _, err := complete(context.Background(), nil, opt); err == nil || !strings.Contains(err.Error(), "lzma") {
		t.Errorf("got %v", err)
	}
	opt.Compression = compress.Settings{Algorithm: compress.Gzip, Level: 10}
	if _, err := complete(context.Background(), nil, opt); err == nil || !strings.Contains(err.Error(), "10") {
		t.Errorf("got %v", err)
	}
	opt = Options{Create: func() (oci.Destination, error) { return nil, errCause }}
	fails(t, opt, []format.Record{header(""), layerRecord(0), dir("/d")}, "cause")
}
