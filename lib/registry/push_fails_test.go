package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"chunkah/lib/oci"
)

// With each of these faults, a push fails, either immediately or after all attempts, and the tag is
// not moved.
func TestPushFails(t *testing.T) {
	layer := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	sum := descriptor(layer).Digest.String()
	other := descriptor(nil).Digest.String()
	// twist changes a header of the registry's response.
	twist := func(kind, name, value string) func(*server) fault {
		return func(s *server) fault {
			return times(always, kind, func(w http.ResponseWriter, r *http.Request) {
				s.inner.ServeHTTP(lying{w, name, value}, r)
			})
		}
	}
	answer := func(kind string, do func(http.ResponseWriter, *http.Request)) func(*server) fault {
		return func(*server) fault { return times(always, kind, do) }
	}
	denied := func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"errors":[{"code":"DENIED","message":"not yours"}]}`)
	}
	endless := func(code int) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(code)
			for {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		}
	}
	redirect := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		http.Redirect(w, r, r.URL.String()+"&again", http.StatusTemporaryRedirect)
	}
	for _, test := range []struct {
		name  string
		fault func(*server) fault
		tries int // attempts of the failing request
		kind  string
		words []string
	}{
		{"no rights", answer("POST upload", denied), 1, "POST upload", []string{"opening an upload", "/team/app", "403", "DENIED: not yours", "podman login"}},
		{"not logged in", answer("POST upload", status(401)), 1, "POST upload", []string{"401", "no credentials", "podman login 127.0.0.1"}},
		{"no such repository", answer("POST upload", status(404)), 1, "POST upload", []string{"404"}},
		{"upload without Location", answer("POST upload", status(202)), 1, "POST upload", []string{"no Location"}},
		{"blob 400", answer("PUT blob", status(400)), 2, "PUT blob", []string{"pushing blob", sum, "/team/app", "400 Bad Request"}},
		{"blob 403", answer("PUT blob", status(403)), 1, "PUT blob", []string{sum, "403 Forbidden"}},
		{"blob 413", answer("PUT blob", status(413)), 1, "PUT blob", []string{sum, "rejects requests of this size"}},
		{"an endless 403", answer("PUT blob", endless(403)), 1, "PUT blob", []string{sum, "403 Forbidden"}},
		{"an endless 500", answer("PUT tag", endless(500)), 6, "PUT tag", []string{"500 Internal Server Error"}},
		{"an endless ping", func(*server) fault {
			return func(kind string, _ int, w http.ResponseWriter, r *http.Request) bool {
				if kind == "GET ping" {
					endless(200)(w, r)
				} else if kind == "POST upload" {
					w.WriteHeader(http.StatusForbidden)
				}
				return kind != "PUT tag"
			}
		}, 1, "POST upload", []string{"403 Forbidden"}},
		{"blob 500 for ever", answer("PUT blob", status(500)), 6, "PUT blob", []string{sum, "tried 6 times", "500 Internal Server Error"}},
		{"blob broken off for ever", answer("PUT blob", breakOff(100)), 6, "PUT blob", []string{sum, "tried 6 times"}},
		{"asked to wait for a day", answer("PUT blob", status(503, "Retry-After", "86400")), 1, "PUT blob", []string{"try again in 24h"}},
		{"blob stored under another digest", twist("PUT blob", digestHeader, other), 1, "PUT blob", []string{sum, "reports a different digest", other}},
		{"redirect loop", answer("PUT blob", redirect), 10, "PUT blob", []string{sum, "stopped after 10 redirects"}},
		{"redirect that drops the blob", answer("PUT blob", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			http.Redirect(w, r, "/v2/", http.StatusFound)
		}), 1, "PUT blob", []string{sum, "redirects a PUT"}},
		{"tag 403", answer("PUT tag", status(403)), 1, "PUT tag", []string{`moving tag "1"`, "403"}},
		{"tag 500 for ever", answer("PUT tag", status(500)), 6, "PUT tag", []string{`moving tag "1"`, "tried 6 times"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t)
			repo, _ := s.open(t, "team/app:1")
			old := newImage(t, []byte("old"))
			if err := old.push(t.Context(), repo); err != nil {
				t.Fatal(err)
			}
			repo, _ = s.open(t, "team/app:1") // not logged in
			s.with(test.fault(s))
			err := newImage(t, layer).push(t.Context(), repo)
			if err == nil {
				t.Fatal("no error")
			}
			contains(t, err, test.words...)
			if n := s.seen(test.kind); n != test.tries {
				t.Errorf("%s was sent %d times, want %d", test.kind, n, test.tries)
			}
			s.check(t, "1", old)
		})
	}
}

// After a failure at any request, the tag names the old image or the new image, and the next push
// succeeds.
func TestPushIsAllOrNothing(t *testing.T) {
	s := newServer(t)
	repo, _ := s.open(t, "team/app:1")
	old := newImage(t, random(t, 10))
	if err := old.push(t.Context(), repo); err != nil {
		t.Fatal(err)
	}
	s.with(nil)
	if err := newImage(t, random(t, 50_000)).push(t.Context(), repo); err != nil {
		t.Fatal(err)
	}
	total := len(s.requests)
	for how, do := range map[string]func(http.ResponseWriter, *http.Request){
		"broken off": breakOff(0), "broken off in the body": breakOff(20_000), "403": status(403), "500": status(500), "404": status(404),
		"done and broken off": func(_ http.ResponseWriter, r *http.Request) {
			s.inner.ServeHTTP(discard{http.Header{}}, r)
			panic(http.ErrAbortHandler)
		},
	} {
		for from := 1; from <= total; from++ {
			t.Run(fmt.Sprintf("%s from request %d on", how, from), func(t *testing.T) {
				repo, _ := s.open(t, "team/app:1")
				before, next := s.manifest(t, "1"), newImage(t, random(t, 50_000))
				seen := 0
				s.with(func(_ string, _ int, w http.ResponseWriter, r *http.Request) bool {
					s.mu.Lock()
					seen++
					n := seen
					s.mu.Unlock()
					if n >= from {
						do(w, r)
					}
					return n >= from
				})
				err := next.push(t.Context(), repo)
				s.with(nil)
				after := s.manifest(t, "1")
				isNew := bytes.Equal(after, next.built.Manifest.Data)
				if !isNew && !bytes.Equal(after, before) {
					t.Fatalf("the tag is neither image: %q", after)
				}
				if err == nil && !isNew {
					t.Error("no error, and the tag is the old image")
				}
				if err := next.push(t.Context(), repo); err != nil {
					t.Error(err)
				}
				s.check(t, "1", next)
			})
		}
	}
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// Cancelling the context ends a wait or a transfer, and the error contains the cause.
func TestPushStops(t *testing.T) {
	cause := errors.New("enough")
	t.Run("in a wait", func(t *testing.T) {
		s := newServer(t)
		noCredentials(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		opt := (&clock{}).options()
		opt.Wait = func(ctx context.Context, d time.Duration) error {
			cancel(cause)
			return sleep(ctx, time.Hour)
		}
		repo, err := Open(s.ref(t, "team/app:1"), opt)
		if err != nil {
			t.Fatal(err)
		}
		s.with(times(always, "PUT blob", status(500)))
		if err := newImage(t, []byte("x")).push(ctx, repo); !errors.Is(err, cause) {
			t.Errorf("error %v, want %v", err, cause)
		}
		if n := s.seen("PUT blob"); n != 1 {
			t.Errorf("%d attempts, want 1", n)
		}
	})
	t.Run("in a transfer", func(t *testing.T) {
		s := newServer(t)
		noCredentials(t)
		opt := (&clock{}).options()
		opt.Attempts = 1
		repo, err := Open(s.ref(t, "team/app:1"), opt)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		s.with(once("PUT blob", func(w http.ResponseWriter, r *http.Request) {
			cancel(cause)
			_, _ = io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		}))
		if err := newImage(t, random(t, 10<<20)).push(ctx, repo); !errors.Is(err, cause) || strings.Contains(err.Error(), "tried") {
			t.Errorf("error %v, want %v and no word of attempts", err, cause)
		}
	})
}

// If one blob cannot be pushed, the uploads of the other blobs are cancelled.
func TestPushFailsAsOne(t *testing.T) {
	s := newServer(t)
	repo, _ := s.open(t, "team/app:1")
	refused, waiting := random(t, 100), random(t, 200)
	arrived := make(chan struct{})
	s.with(times(always, "PUT blob", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Query().Get("digest") == descriptor(waiting).Digest.String() {
			close(arrived)
			<-r.Context().Done()
			return
		}
		<-arrived
		w.WriteHeader(http.StatusForbidden)
	}))
	err := newImage(t, refused, waiting).push(t.Context(), repo)
	contains(t, err, descriptor(refused).Digest.String(), "403")
}

// An error from write itself takes precedence over network errors, and is not retried.
func TestPushBlobThatCannotBeWritten(t *testing.T) {
	big := random(t, 1<<20)
	gone := errors.New("file has changed")
	for _, test := range []struct {
		name  string
		write func(io.Writer) error
		words string
	}{
		{"an error", func(w io.Writer) error { _, _ = w.Write(big[:1<<19]); return gone }, "file has changed"},
		{"too short", oci.Data(big[:1000]), "1047576 of 1048576 bytes are missing"},
		{"too long", func(w io.Writer) error { _ = oci.Data(big)(w); return oci.Data(big)(w) }, "more bytes than"},
		{"other bytes", oci.Data(make([]byte, 1<<20)), "400 Bad Request"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t)
			repo, clock := s.open(t, "team/app:1")
			p, err := repo.Push(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			contains(t, p.Blob(descriptor(big), oci.Hint{}, test.write), "pushing blob", descriptor(big).Digest.String(), test.words)
			if len(clock.waits) > 0 {
				t.Errorf("tried again: %q", clock.warns)
			}
			if err := appear(p, []byte(`{}`)); err == nil {
				t.Error("Commit after an error: no error")
			}
		})
	}
}
