package source

import (
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"chunkah/format"
)

// A header is not trusted: it cannot make a stage block on a pipe, read endlessly from a device, or
// open more than a few trees.
func TestHostileHeaders(t *testing.T) {
	pipe := t.TempDir() + "/pipe"
	if err := unix.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, test := range []struct {
		name   string
		header format.Header
		want   string
	}{
		{"archive in a pipe", format.Header{Sources: []string{"oci-archive:" + pipe}}, `is not a regular file: chunkah-scan needs an archive`},
		{"docker archive in a pipe", format.Header{Sources: []string{"docker-archive:" + pipe}}, `is not a regular file`},
		{"root tar in a pipe", format.Header{Sources: []string{"tar:" + pipe}}, `is not a regular file`},
		{"root tar without end", format.Header{Sources: []string{"tar:/dev/zero"}}, `is not a regular file`},
		{"storage of nothing", format.Header{Sources: []string{"containers-storage:[overlay@" + dir + "]x"}}, "images.json: no such file"},
		{"layers of a root tar", format.Header{Sources: []string{"tar:x"}, KeepLayers: 1}, "no layers to keep"},
		{"archive without end", format.Header{Sources: []string{"oci-archive:/dev/zero"}}, `"oci-archive:/dev/zero": open /dev/zero: is not a regular file`},
		{"layout in a pipe", format.Header{Sources: []string{"oci:" + pipe}}, "not a directory"},
		{"directory in a pipe", format.Header{Sources: []string{"dir:" + pipe}}, "not a directory"},
		{"standard input", format.Header{Sources: []string{"oci-archive:-"}}, "is not a regular file"},
		{"a transport of others", format.Header{Sources: []string{"ostree:x"}}, "unknown transport"},
		{"a registry where there is none", format.Header{Sources: []string{"docker://localhost:1/x"}}, "no registry client"},
		{"many", format.Header{Sources: slices.Repeat([]string{"dir:" + dir}, maxSources+1)}, "65 sources exceed the limit of 64"},
		{"layers of a directory", format.Header{Sources: []string{"dir:" + dir}, KeepLayers: 1}, "no layers to keep"},
		{"layers of several", format.Header{Sources: []string{"dir:" + dir, "dir:" + dir}, KeepLayers: 1}, "only if there is a single source"},
		{"none", format.Header{KeepLayers: 1}, "no source"},
	} {
		t.Run(test.name, func(t *testing.T) {
			done := make(chan error, 1)
			go func() {
				set, err := OpenHeader(t.Context(), &test.header, Options{})
				if err == nil {
					set.Close()
				}
				done <- err
			}()
			select {
			case err := <-done:
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got %v, want %q", err, test.want)
				}
			case <-time.After(time.Minute):
				t.Fatal("it waits for ever")
			}
		})
	}
}
