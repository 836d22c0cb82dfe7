package interrupt

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func pipe(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOtherEndNeverOpens(t *testing.T) {
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(context.Background())
	called := make(chan struct{})
	go func() {
		<-called
		cancel(stopped)
	}()
	path := pipe(t)
	_, err := Open(ctx, path, func(path string) ([]byte, error) {
		close(called)
		return os.ReadFile(path)
	})
	if !errors.Is(err, stopped) {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(path, nil, 0); err != nil { // the abandoned call ends
		t.Error(err)
	}
}

func TestOtherEndOpens(t *testing.T) {
	path := pipe(t)
	wrote := make(chan error, 1)
	go func() { wrote <- os.WriteFile(path, []byte("text"), 0) }()
	got, err := Open(context.Background(), path, os.ReadFile)
	if string(got) != "text" || err != nil || <-wrote != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// Opening a regular file is never abandoned.
func TestFile(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	path := filepath.Join(t.TempDir(), "file")
	if _, err := Open(ctx, path, os.Create); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}
