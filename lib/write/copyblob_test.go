package write

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/oci"
)

// A blob that this run has already hashed is copied without hashing it again. If its file was
// replaced or has changed since then, the blob is hashed. If the file changes while it is copied,
// the copy fails.
func TestCopyVerifiedBlob(t *testing.T) {
	text := strings.Repeat("x", 2*copyBuffer)
	for name, test := range map[string]struct {
		before, during func(path string) error
		text, want     string
	}{
		"unchanged": {text: text},
		"unchanged, with other bytes than its digest": {text: "y" + text[1:]},
		"other bytes": {text: text, want: "does not match its digest", before: func(path string) error {
			return os.WriteFile(path, []byte("y"+text[1:]), 0o666)
		}},
		"another file": {text: text, want: "", before: func(path string) error {
			return errors.Join(os.WriteFile(path+"2", []byte(text), 0o666), os.Rename(path+"2", path))
		}},
		"changed during the copy": {text: text, want: "changed during the build", during: func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt([]byte("y"), copyBuffer+1)
			return errors.Join(err, f.Close())
		}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "blob")
			if err := os.WriteFile(path, []byte(test.text), 0o666); err != nil {
				t.Fatal(err)
			}
			verified, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond) // old kernels count time in ticks
			if test.before != nil {
				if err := test.before(path); err != nil {
					t.Fatal(err)
				}
			}
			k := StoredLayer{Verified: verified, Open: func(context.Context) (io.ReadCloser, error) { return os.Open(path) }}
			k.Layer = oci.Layer{Descriptor: v1.Descriptor{Digest: digest.FromString(text), Size: int64(len(text))}}
			var got bytes.Buffer
			out := writerFunc(func(p []byte) (int, error) {
				if test.during != nil {
					if err := test.during(path); err != nil {
						return 0, err
					}
				}
				return got.Write(p)
			})
			w := &writer{access: oci.BlobFiles}
			err = w.copyBlob(t.Context(), out, k)
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Fatalf("got %v, want %q", err, test.want)
				}
				return
			}
			if err != nil || got.String() != test.text {
				t.Fatalf("got %d bytes, %v", got.Len(), err)
			}
		})
	}
}

type writerFunc func(p []byte) (int, error)

func (w writerFunc) Write(p []byte) (int, error) { return w(p) }
