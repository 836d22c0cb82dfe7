package tests

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
)

// A signal ends a push in every state, and the outcome for the tag is reported correctly. A push
// whose tag the registry has moved succeeds. If it is unknown whether the tag has moved, the
// message reports that.
func TestSignalWhilePushing(t *testing.T) {
	root := smallRoot(t)
	forever := func(_ http.Handler, _ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	moved := func(inner http.Handler, w http.ResponseWriter, r *http.Request) {
		time.Sleep(200 * time.Millisecond) // the signal arrives before the response
		inner.ServeHTTP(w, r)
	}
	for name, test := range map[string]struct {
		method, path string // of the request during which the signal arrives
		answer       func(inner http.Handler, w http.ResponseWriter, r *http.Request)
		code         int
		tagged       bool
		says         string
	}{
		"before anything":    {http.MethodGet, "/v2/", forever, 143, false, "terminated"},
		"in an upload":       {http.MethodPut, "/blobs/uploads/", forever, 143, false, "terminated"},
		"asking for the tag": {http.MethodHead, "/manifests/1", forever, 143, false, "terminated"},
		"the tag moves":      {http.MethodPut, "/manifests/1", moved, 0, true, ""},
		"the tag is refused": {http.MethodPut, "/manifests/1", func(_ http.Handler, w http.ResponseWriter, r *http.Request) {
			time.Sleep(200 * time.Millisecond)
			w.WriteHeader(http.StatusForbidden)
		}, 143, false, "terminated"},
		"nobody knows": {http.MethodPut, "/manifests/1", func(inner http.Handler, _ http.ResponseWriter, r *http.Request) {
			inner.ServeHTTP(httptest.NewRecorder(), r)
			<-r.Context().Done()
		}, 143, true, "no response from the registry: check the tag"},
	} {
		t.Run(name, func(t *testing.T) {
			inner := ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)))
			started := make(chan *os.Process, 1)
			var once sync.Once // a second signal ends a command immediately
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == test.method && strings.Contains(r.URL.Path, test.path) {
					once.Do(func() { _ = (<-started).Signal(syscall.SIGTERM) }) // an error affects the command's status
					test.answer(inner, w, r)
					return
				}
				inner.ServeHTTP(w, r)
			}))
			defer server.Close()
			cmd := exec.Command("chunkah", "build", "--rootfs", root, "-T", "1", "-o", "docker://"+strings.TrimPrefix(server.URL, "http://")+"/app:1")
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			started <- cmd.Process
			_ = cmd.Wait() // the status is checked below
			if code := cmd.ProcessState.ExitCode(); code != test.code || !strings.Contains(stderr.String(), test.says) {
				t.Errorf("status %d, want %d and %q in\n%s", code, test.code, test.says, stderr.String())
			}
			w := httptest.NewRecorder()
			inner.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v2/app/manifests/1", nil))
			if tagged := w.Code == http.StatusOK; tagged != test.tagged {
				t.Errorf("the tag is there: %t, want %t", tagged, test.tagged)
			}
		})
	}
}
