package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"chunkah/tests/bound"
)

// fake serves handler on a socket, like a daemon.
func fake(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "docker.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	t.Setenv("DOCKER_HOST", "unix://"+socket)
	c, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	if !c.Runs() {
		t.Error("it does not run")
	}
	return c
}

// Image names are sent unchanged, and errors from the daemon are passed on.
func TestCalls(t *testing.T) {
	var got string
	c := fake(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = fmt.Sprintf("%s %s %s", r.Method, r.URL, body)
		switch {
		case strings.Contains(r.URL.Path, "missing"):
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"message":"no such image"}`)
		case strings.Contains(r.URL.Path, "broken"):
			w.WriteHeader(http.StatusInternalServerError)
		case strings.HasSuffix(r.URL.Path, "/json"):
			_, _ = io.WriteString(w, `{"Id":"sha256:01"}`)
		case strings.HasSuffix(r.URL.Path, "/get"):
			_, _ = io.WriteString(w, "archive")
			if strings.Contains(r.URL.Path, "cut") {
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}
		case r.URL.Path == "/images/load":
			_, _ = io.WriteString(w, `{"stream":"loading"}`+"\n")
			if string(body) == "bad" {
				_, _ = io.WriteString(w, `{"error":"it is no tar"}`)
			}
		}
	})
	ctx := t.Context()
	if id, err := c.ID(ctx, "registry.example:5000/a/b:1"); id != "sha256:01" || err != nil || got != "GET /images/registry.example:5000/a/b:1/json " {
		t.Errorf("%q, %v by %q", id, err, got)
	}
	for name, want := range map[string]string{"app:1": "archive", "cut": ""} {
		in, err := c.Save(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if want != "" && (string(data) != want || err != nil) || want == "" && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: read %q, %v", name, data, err)
		}
	}
	if _, err := c.ID(ctx, "missing"); !errors.Is(err, fs.ErrNotExist) || err.Error() != `the Docker daemon reports "no such image"` {
		t.Errorf("missing: %v", err)
	}
	if _, err := c.ID(ctx, "broken"); err == nil || !strings.Contains(err.Error(), `reports "500 Internal Server Error"`) {
		t.Errorf("broken: %v", err)
	}
	if err := c.Load(ctx, strings.NewReader("tar")); err != nil || got != "POST /images/load?quiet=1 tar" {
		t.Errorf("%v by %q", err, got)
	}
	if err := c.Load(ctx, strings.NewReader("bad")); err == nil || err.Error() != `the Docker daemon reports "it is no tar"` {
		t.Errorf("bad: %v", err)
	}
	if err := c.Ping(ctx); err != nil || got != "GET /_ping " {
		t.Errorf("%v by %q", err, got)
	}
	cut := errors.New("the source ended")
	if err := c.Load(ctx, io.MultiReader(strings.NewReader("x"), failing{cut})); !errors.Is(err, cut) {
		t.Errorf("a stream without an end: %v", err)
	}
	why := errors.New("enough")
	stopped, cancel := context.WithCancelCause(ctx)
	cancel(why)
	if err := c.Ping(stopped); !errors.Is(err, why) {
		t.Errorf("stopped: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// Without a daemon, the error is not the error for a missing image.
func TestNoDaemon(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix:///nonexistent")
	c, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ID(t.Context(), "app"); err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), `no Docker daemon at "/nonexistent"`) {
		t.Errorf("got %v", err)
	}
	if c.Runs() {
		t.Error("it runs")
	}
}

func TestSocketOf(t *testing.T) {
	for host, want := range map[string]string{"": systemSocket, "unix:///run/d.sock": "/run/d.sock", "tcp://127.0.0.1:2375": "", "ssh://host": "", "unix://d.sock": ""} {
		got, err := socketOf(host, t.TempDir())
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v", host, got, err)
		}
	}
}

// An error in an arbitrary response is reported.
func FuzzLoaded(f *testing.F) {
	f.Add(`{"stream":"x"}` + "\n" + `{"error":"y"}`)
	f.Add(`{"error":""}`)
	f.Add("[]")
	f.Fuzz(func(t *testing.T, said string) {
		bound.Input(t, len(said))
		err := loaded(strings.NewReader(said))
		if after := loaded(strings.NewReader(said + "\n" + `{"error":"late"}`)); after == nil {
			t.Errorf("%q and an error are none, %v alone", said, err)
		}
	})
}
