package registry

import (
	"io"
	"net/http"
	"runtime"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/oci"
)

// A blob is never kept in memory, neither when it is pushed nor when it is read.
func TestBlobsAreNotKeptInMemory(t *testing.T) {
	const size, most = 64 << 20, 8 << 20
	page := make([]byte, 1<<20)
	sum := digest.SHA256.Digester()
	for range size / len(page) {
		sum.Hash().Write(page)
	}
	d := v1.Descriptor{MediaType: v1.MediaTypeImageLayer, Digest: sum.Digest(), Size: size}
	pages := func(w io.Writer) error {
		for range size / len(page) {
			if _, err := w.Write(page); err != nil {
				return err
			}
		}
		return nil
	}
	s := newServer(t)
	repo, _ := s.open(t, "team/app:1")
	s.with(func(kind string, _ int, w http.ResponseWriter, r *http.Request) bool {
		switch kind {
		case "PUT blob":
			status(http.StatusCreated, digestHeader, d.Digest.String())(w, r)
		case "GET blob":
			_ = pages(w) // the reader gets the error
		default:
			return false
		}
		return true
	})
	p, err := repo.Push(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Discard()
	for name, do := range map[string]func() error{
		"pushed": func() error { return p.Blob(d, oci.Hint{}, pages) },
		"read": func() error {
			in, err := repo.Blob(t.Context(), d)
			if err != nil {
				return err
			}
			defer in.Close()
			_, err = io.Copy(io.Discard, in)
			return err
		},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := do()
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; err != nil || got > most {
			t.Errorf("%s: %d bytes were allocated for a blob of %d: %v", name, got, size, err)
		}
	}
	if s.received != size {
		t.Errorf("%d bytes were sent, want %d", s.received, size)
	}
}
