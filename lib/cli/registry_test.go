package cli

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/image"
	"chunkah/lib/oci"
	"chunkah/lib/transport"
)

// Concurrent uploads must be able to print warnings to the same console. The race detector checks
// this.
func TestConcurrentWarnings(t *testing.T) {
	const uploads = 8
	var arrived sync.WaitGroup // so that all warnings are concurrent
	arrived.Add(uploads)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodHead: // the wrong size causes the warning
			arrived.Done()
			arrived.Wait()
			w.Header().Set("Content-Length", "1")
		case http.MethodPost:
			w.Header().Set("Location", "/upload")
			w.WriteHeader(http.StatusAccepted)
		case http.MethodPut:
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Docker-Content-Digest", r.URL.Query().Get("digest"))
			w.WriteHeader(http.StatusCreated)
		}
	}))
	defer server.Close()
	t.Setenv("REGISTRY_AUTH_FILE", "")
	t.Setenv("HOME", t.TempDir())
	stderr, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	env := &Env{Name: wrapper, Stderr: stderr}
	target, err := transport.ParseDestination(strings.Replace(server.URL, "http:", "docker:", 1) + "/app:1")
	if err != nil {
		t.Fatal(err)
	}
	push, err := target.Create(t.Context(), target, image.CreateOptions{Registry: (&imageFlags{}).registryOptions(env)})
	if err != nil {
		t.Fatal(err)
	}
	defer push.Discard()
	var group sync.WaitGroup
	for i := range uploads {
		group.Go(func() {
			blob := []byte{byte(i), 0}
			d := v1.Descriptor{MediaType: v1.MediaTypeImageLayer, Digest: digest.FromBytes(blob), Size: int64(len(blob))}
			if err := push.Blob(d, oci.Hint{}, oci.Data(blob)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	said, err := os.ReadFile(stderr.Name())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(string(said), "\n"), "\n")
	if len(lines) != uploads {
		t.Errorf("%d warnings, want %d:\n%s", len(lines), uploads, said)
	}
	for _, line := range lines {
		if !strings.HasPrefix(line, "chunkah: pushing blob ") || !strings.HasSuffix(line, ": sending it again") {
			t.Errorf("a broken line %q", line)
		}
	}
}
