package temp

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func left(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := Left(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range paths {
		names = append(names, filepath.Base(p))
	}
	return names
}

// If no directory is writable, Dir returns Memory. The path is absolute, since SQLite treats a
// relative path in a URI as a host.
func TestDir(t *testing.T) {
	t.Setenv("TMPDIR", "")
	dir := t.TempDir()
	if got := Dir("/nonexistent", dir); got != dir {
		t.Errorf("got %q, want %q", got, dir)
	}
	if got := Dir("/nonexistent"); got != Memory && Writable(Memory) {
		t.Errorf("got %q, want %q", got, Memory)
	}
	t.Chdir(dir)
	t.Setenv("TMPDIR", ".")
	if got := Dir("/nonexistent"); got != dir {
		t.Errorf("TMPDIR is .: got %q, want %q", got, dir)
	}
}

// Unlocked files are leftovers, and locked files are not.
func TestLeft(t *testing.T) {
	dir := t.TempDir()
	file, err := Create(dir, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	unfinished, err := Mkdir(dir, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	if names := left(t, dir); names != nil {
		t.Errorf("%q are locked but reported as left", names)
	}
	if err := errors.Join(file.Close(), unfinished.Close()); err != nil {
		t.Fatal(err)
	}
	want := []string{filepath.Base(file.Name()), filepath.Base(unfinished.Name())}
	slices.Sort(want)
	if names := left(t, dir); !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}

// Left ignores all other files, never blocks, and opens no pipe.
func TestLeftIgnoresOthers(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".chunkah-a", "chunkah-b.tmp", "image"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	err := errors.Join(
		unix.Mkfifo(filepath.Join(dir, ".chunkah-pipe.tmp"), 0o600),
		os.Symlink("image", filepath.Join(dir, ".chunkah-link.tmp")),
		os.Symlink(".", filepath.Join(dir, ".chunkah-loop.tmp")))
	if err != nil {
		t.Fatal(err)
	}
	if names := left(t, dir); names != nil {
		t.Errorf("got %q", names)
	}
	if paths, err := Left(filepath.Join(dir, "none")); paths != nil || err != nil {
		t.Errorf("a missing directory: %q, %v", paths, err)
	}
	if _, err := Left(filepath.Join(dir, "image")); err == nil {
		t.Error("a file was listed")
	}
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Left(pipe); err == nil {
		t.Error("a pipe was listed")
	}
}

// A file that is renamed during the check is treated as finished.
func TestLeftWhileFinished(t *testing.T) {
	dir := t.TempDir()
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			f, err := Create(dir, 0o600)
			if err == nil {
				err = errors.Join(os.Rename(f.Name(), filepath.Join(dir, "image")), f.Close())
			}
			if err != nil {
				done <- err
				return
			}
		}
	}()
	for range 5 {
		if names := left(t, dir); names != nil {
			t.Errorf("%q were reported as left", names)
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
