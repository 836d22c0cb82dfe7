package regular

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Only regular files are opened, and opening never blocks.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	listener, err := net.Listen("unix", at("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, err := range []error{
		os.WriteFile(at("file"), []byte("text"), 0o600), unix.Mkfifo(at("fifo"), 0o600), os.Symlink("file", at("link")),
		os.Symlink("/dev/zero", at("device")), os.Symlink("fifo", at("to fifo")), os.Mkdir(at("folder"), 0o700), os.Symlink("loop", at("loop")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		for name, want := range map[string][2]error{
			"file": {nil, nil}, "link": {nil, ErrNot}, "fifo": {ErrNot, ErrNot}, "to fifo": {ErrNot, ErrNot}, "device": {ErrNot, ErrNot},
			"socket": {ErrNot, ErrNot}, "folder": {ErrNot, ErrNot}, "none": {fs.ErrNotExist, fs.ErrNotExist}, "loop": {unix.ELOOP, ErrNot},
		} {
			for i, open := range []func(string) (*os.File, error){Open, OpenOwn} {
				f, err := open(at(name))
				if !errors.Is(err, want[i]) {
					t.Errorf("%s: got %v, want %v", name, err, want[i])
				}
				if err == nil {
					if text, err := io.ReadAll(f); string(text) != "text" || err != nil {
						t.Errorf("%s: got %q, %v", name, text, err)
					}
					f.Close()
				}
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("it blocks")
	}
}
