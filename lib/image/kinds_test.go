package image

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"chunkah/lib/oci"
	mk "chunkah/tests/mkimage"
)

// An archive must be a file or a pipe, and a blob in a layout must be a file. Other file types are
// refused without blocking.
func TestOtherKindsAreRefused(t *testing.T) {
	dir := t.TempDir()
	zero, socket := filepath.Join(dir, "zero"), filepath.Join(dir, "socket")
	for _, err := range []error{os.Symlink("/dev/zero", zero), unix.Mknod(socket, unix.S_IFSOCK|0o600, 0)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	sources := map[string]string{}
	for _, path := range []string{"/dev/zero", "/dev/null", "/dev/random", zero, socket} {
		for _, form := range []string{"oci-archive:", "docker-archive:"} {
			sources[form+path] = "is not a regular file"
		}
	}
	sources["oci-archive:"+dir] = "is a directory"
	for name, plant := range map[string]func(path string) error{
		"FIFO":   func(path string) error { return unix.Mkfifo(path, 0o600) },
		"device": func(path string) error { return os.Symlink("/dev/zero", path) },
	} {
		layout := small(t, "", "x", mk.Plain).Layout(t)
		src := Location{Transport: testLayout, Path: layout}
		img, err := Open(context.Background(), src, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []string{img.Layers[0].Descriptor.Digest.Encoded(), img.Config.Descriptor.Digest.Encoded()} {
			layout := small(t, "", "x", mk.Plain).Layout(t)
			blob := filepath.Join(layout, "blobs/sha256", d)
			if err := errors.Join(os.Remove(blob), plant(blob)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			sources["oci:"+layout] = "is not a regular file"
		}
		mustClose(t, img)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for source, want := range sources {
			if _, err := textOf(t, source, Options{}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v", source, err)
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("it waits for ever")
	}
}

// chunkah can read every index.json that it can write, up to the size limit.
func TestLargestIndexIsRead(t *testing.T) {
	layout := small(t, "", "x", mk.Plain).Layout(t)
	index := filepath.Join(layout, "index.json")
	data, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	head := strings.TrimSuffix(strings.TrimSpace(string(data)), "}") + `,"annotations":{"x":"`
	for size, whole := range map[int]bool{oci.MaxDocument: true, oci.MaxDocument + 1: false} {
		text := head + strings.Repeat("x", size-len(head)-3) + `"}}`
		if err := os.WriteFile(index, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := textOf(t, "oci:"+layout, Options{}); (err == nil) != whole {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}
