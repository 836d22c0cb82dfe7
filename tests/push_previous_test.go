package tests

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/tests/clients"
)

// If nothing except the manifest of a previous image can be read, the build warns and continues.
func TestPreviousImageThatCannotBeReadWhole(t *testing.T) {
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
			if res.code != 0 || strings.Count(res.stderr, "chunkah: previous layout: ") != 1 || !strings.Contains(res.stderr, "planning without the previous layout") {
				t.Errorf("%s, --previous %s: status %d\n%s", name, previous, res.code, res.stderr)
			}
		}
	}
	broken.Store(nil)
	if got := rechunk(t, root, dest, "--previous", "auto"); got != want {
		t.Errorf("the manifest is %s, want %s", got, want)
	}
}

// Kept layers of a base image are mounted in the registry. They are read once, for their file
// names, and are not sent. Unchanged layers of the previous image are mounted too, and are not read
// if this user has read them before.
func TestKeptBaseIsMounted(t *testing.T) {
	clients.Need(t, "docker-registry", "skopeo")
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	c := clients.NewCounter(t, clients.NewRegistry(t, clients.RegistryOptions{}))
	host, sent := counted(t, c.Host)
	base := tarOf(t, "base", 1<<20)
	if err := pushable(t, base, tarOf(t, "app", 1000)).push(t.Context(), host, "build/app:1"); err != nil {
		t.Fatal(err)
	}
	last := "" // the layer that the first build has made
	for i, to := range []string{"prod/app:1", "next/app:1", "third/app:1"} {
		args := []string{"--keep-base", "1"}
		if i > 0 {
			args = append(args, "--previous", "docker://"+host+"/prod/app:1")
		}
		sent.Store(0)
		c.Take()
		rechunk(t, "docker://"+host+"/build/app:1", "docker://"+host+"/"+to, args...)
		if n := sent.Load(); n > 100_000 {
			t.Errorf("%s: %d bytes reached the registry", to, n)
		}
		read := c.TakeBlobs()
		if n := read[layerOf(base).Digest.String()]; n > 1<<20+100_000 {
			t.Errorf("%s: %d bytes of the base are read", to, n)
		}
		if n := read[last]; i == 2 && n > 0 {
			t.Errorf("%s: %d bytes of the previous layer are read", to, n)
		}
		var m v1.Manifest
		if err := json.Unmarshal([]byte(skopeoInspect(t, "docker://"+host+"/"+to, "--raw")), &m); err != nil {
			t.Fatal(err)
		}
		top := m.Layers[len(m.Layers)-1].Digest.String()
		if last != "" && last != top {
			t.Errorf("%s: the layer is %s, not %s", to, top, last)
		}
		last = top
		clients.Run(t, exec.Command("chunkah", "verify", "docker://"+host+"/"+to))
	}
}
