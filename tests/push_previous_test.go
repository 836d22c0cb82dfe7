package tests

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	ggcr "github.com/google/go-containerregistry/pkg/registry"

	"chunkah/tests/clients"
)

// If only the manifest of a previous image can be read, the build warns and continues.
func TestPreviousImageThatCannotBeReadWhole(t *testing.T) {
	noLogin(t)
	root := smallRoot(t)
	inner := ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)))
	var broken atomic.Pointer[http.HandlerFunc]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if do := broken.Load(); do != nil && r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			(*do)(w, r)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	defer server.Close()
	dest := "docker://" + strings.TrimPrefix(server.URL, "http://") + "/app:1"
	want := rechunk(t, root, dest)
	for name, do := range map[string]http.HandlerFunc{
		"gone":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
		"refused":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"other bytes": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) },
	} {
		broken.Store(&do)
		for _, previous := range []string{dest, "auto"} {
			res := start(t, exec.Command("chunkah", "build", "--rootfs", root, "-o", dest, "--previous", previous))
			if res.code != 0 || strings.Count(res.stderr, "chunkah: previous layout: ") != 1 || !strings.Contains(res.stderr, "planning without") {
				t.Errorf("%s, --previous %s: status %d\n%s", name, previous, res.code, res.stderr)
			}
		}
	}
	broken.Store(nil)
	if got := rechunk(t, root, dest, "--previous", "auto"); got != want {
		t.Errorf("the manifest is %s, want %s", got, want)
	}
}

// Kept layers of a base are mounted in the registry and not sent.
func TestKeptBaseIsMounted(t *testing.T) {
	clients.Need(t, "docker-registry")
	noLogin(t)
	host, sent := counted(t, clients.NewRegistry(t, clients.RegistryOptions{}))
	base := tarOf(t, "base", 1<<20)
	if err := pushable(t, base, tarOf(t, "app", 1000)).push(t.Context(), host, "build/app:1"); err != nil {
		t.Fatal(err)
	}
	sent.Store(0)
	rechunk(t, "docker://"+host+"/build/app:1", "docker://"+host+"/prod/app:1", "--keep-base", "1")
	if n := sent.Load(); n > 100_000 {
		t.Errorf("%d bytes reached the registry", n)
	}
	clients.Run(t, exec.Command("chunkah", "verify", "docker://"+host+"/prod/app:1"))
}
