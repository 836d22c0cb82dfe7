package tests

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"

	ggcr "github.com/google/go-containerregistry/pkg/registry"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// asked is a registry that records which blobs are read.
type asked struct {
	inner http.Handler
	mu    sync.Mutex
	blobs map[string]bool
}

func (a *asked) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, blob, ok := strings.Cut(r.URL.Path, "/blobs/sha256:"); ok && r.Method == http.MethodGet {
		a.mu.Lock()
		a.blobs["sha256:"+blob] = true
		a.mu.Unlock()
	}
	a.inner.ServeHTTP(w, r)
}

// take returns how many blobs were read since the last call.
func (a *asked) take() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := len(a.blobs)
	a.blobs = map[string]bool{}
	return n
}

func startAsked(t *testing.T) (*asked, string) {
	t.Helper()
	a := &asked{inner: ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0))), blobs: map[string]bool{}}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	return a, "docker://" + strings.TrimPrefix(server.URL, "http://") + "/app"
}

// For an image in a registry, chunkah inspect reads only the manifest and config, unless an option
// needs the layers.
func TestInspectLeavesLayersInTheRegistry(t *testing.T) {
	a, name := startAsked(t)
	root := mkroot.Make(t, "file /opt/a/f size=5000\nfile /srv/big size=2000000\n")
	clients.Run(t, exec.Command("chunkah", "build", "--rootfs", root, "--max", "2", "--compress", "gzip", "-o", name+":1"))
	a.take()
	got := clients.Run(t, exec.Command("chunkah", "inspect", name+":1"))
	if n := a.take(); n != 1 {
		t.Errorf("%d blobs were read, want the config alone", n)
	}
	if !strings.Contains(got, "bigfiles/srv/big") || !strings.Contains(got, " - ") {
		t.Errorf("got %s", got)
	}
	for _, option := range []string{"--download", "--components", "--tree", "--files=0"} {
		clients.Run(t, exec.Command("chunkah", "inspect", option, name+":1"))
		if n := a.take(); n != 3 {
			t.Errorf("%s: %d blobs were read, want all", option, n)
		}
	}
}

// chunkah reuse reads no layers either, because manifests contain the sizes.
func TestReuseLeavesLayersInTheRegistry(t *testing.T) {
	a, name := startAsked(t)
	for i, size := range []string{"5000", "5001"} {
		root := mkroot.Make(t, "file /opt/a/f size="+size+"\nfile /srv/big size=2000000\n")
		cmd := exec.Command("chunkah", "build", "--rootfs", root, "--max", "2", "--compress", "gzip", "-o", fmt.Sprintf("%s:%d", name, i+1))
		if i > 0 {
			cmd.Args = append(cmd.Args, "--previous", name+":1")
		}
		clients.Run(t, cmd)
	}
	a.take()
	got := clients.Run(t, exec.Command("chunkah", "reuse", name+":1", name+":2"))
	if n := a.take(); n != 2 {
		t.Errorf("%d blobs were read, want the configs alone", n)
	}
	if !strings.Contains(got, "in 1 of 2 layers") || !strings.Contains(got, "chunkah/unclaimed/opt/a: changed\n") {
		t.Errorf("got %s", got)
	}
	got = clients.Run(t, exec.Command("chunkah", "reuse", "--download", name+":1", name+":2"))
	if n := a.take(); n != 5 || !strings.Contains(got, "1 of 1 file changed") {
		t.Errorf("%d blobs were read, want 2 configs and 3 layers: %s", n, got)
	}
}

// For partial pulls, chunkah reuse reads only the tables of zstd:chunked layers.
func TestReuseReadsTablesAlone(t *testing.T) {
	_, inner := startAsked(t)
	host, _, _ := strings.Cut(strings.TrimPrefix(inner, "docker://"), "/")
	counter := clients.NewCounter(t, host)
	name := "docker://" + counter.Host + "/app"
	for i, size := range []string{"5000", "5001"} {
		root := mkroot.Make(t, "file /opt/a/f size="+size+"\nfile /srv/big size=2000000\n")
		clients.Run(t, exec.Command("chunkah", "build", "--rootfs", root, "--max", "2", "--compress", "zstd:chunked", "-o", fmt.Sprintf("%s:%d", name, i+1)))
	}
	counter.Take()
	got := clients.Run(t, exec.Command("chunkah", "reuse", "--partial", name+":1", name+":2"))
	read := int64(0)
	for _, n := range counter.TakeBlobs() {
		read += n
	}
	if !strings.Contains(got, "podman with partial pulls downloads") || strings.Contains(got, "whole") || read > 50_000 {
		t.Errorf("%d bytes of blobs were read: %s", read, got)
	}
}
