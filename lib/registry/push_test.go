package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/oci"
)

func TestPush(t *testing.T) {
	s := newServer(t)
	repo, _ := s.open(t, "team/app:1")
	old := newImage(t, random(t, 100_000), random(t, 200_000), nil)
	if err := old.push(t.Context(), repo); err != nil {
		t.Fatal(err)
	}
	s.check(t, "1", old)

	// What the registry has is not sent, and is not even made.
	changed := newImage(t, old.layers[0], random(t, 3000))
	s.with(nil)
	repo, _ = s.open(t, "team/app:1")
	if err := changed.push(t.Context(), repo); err != nil {
		t.Fatal(err)
	}
	s.check(t, "1", changed)
	if want := int64(3000 + len(changed.built.Config.Data)); s.received != want {
		t.Errorf("%d bytes of blobs were sent, want %d", s.received, want)
	}
	if last := s.requests[len(s.requests)-1]; last != "PUT tag" || s.seen("PUT tag") != 1 {
		t.Errorf("requests %q: want one for the tag, the last", s.requests)
	}
	p, err := repo.Push(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Abort()
	err = p.Blob(descriptor(old.layers[1]), func(io.Writer) error { t.Error("a blob that is there is written"); return nil })
	if err != nil {
		t.Error(err)
	}
	for name, want := range map[string]bool{"held": true, "other": false} {
		blob := old.layers[1]
		if !want {
			blob = []byte(name)
		}
		if got, err := p.Has(t.Context(), descriptor(blob)); err != nil || got != want {
			t.Errorf("Has(%s) = %t, %v, want %t", name, got, err, want)
		}
	}
}

func TestPushIndex(t *testing.T) {
	s := newServer(t)
	repo, _ := s.open(t, "team/app:all")
	images := []*image{newImage(t, random(t, 10)), newImage(t, random(t, 20))}
	var index bytes.Buffer
	fmt.Fprintf(&index, `{"schemaVersion":2,"mediaType":%q,"manifests":[`, v1.MediaTypeImageIndex)
	p, err := repo.Push(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Abort()
	for i, img := range images {
		m := img.built.Manifest
		if i > 0 {
			index.WriteByte(',')
		}
		fmt.Fprintf(&index, `{"mediaType":%q,"digest":%q,"size":%d}`, m.Descriptor.MediaType, m.Descriptor.Digest, m.Descriptor.Size)
		if err := p.Blob(descriptor(img.layers[0]), oci.Data(img.layers[0])); err != nil {
			t.Fatal(err)
		}
		for _, doc := range []oci.Document{img.built.Config, m} {
			if err := p.Blob(doc.Descriptor, oci.Data(doc.Data)); err != nil {
				t.Fatal(err)
			}
		}
	}
	index.WriteString(`]}`)
	if err := p.Commit(index.Bytes()); err != nil {
		t.Fatal(err)
	}
	if got := s.manifest(t, "all"); !bytes.Equal(got, index.Bytes()) {
		t.Errorf("the tag is %q, want %q", got, index.Bytes())
	}
	if err := p.Blob(descriptor(nil), oci.Data(nil)); !errors.Is(err, errFinished) {
		t.Errorf("Blob after Commit: %v", err)
	}
	if data, mediaType, err := repo.Manifest(t.Context(), "all"); err != nil || mediaType != v1.MediaTypeImageIndex || !bytes.Equal(data, index.Bytes()) {
		t.Errorf("Manifest: %q, %v", mediaType, err)
	}
}

// Each of these passes by itself, or is something that another attempt gets round.
func TestPushRecovers(t *testing.T) {
	layer := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	// lie answers as the registry does, but for a header.
	lie := func(s *server, name, value string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			s.inner.ServeHTTP(lying{w, name, value}, r)
		}
	}
	other := descriptor(nil).Digest.String()
	for _, test := range []struct {
		name  string
		fault func(*server) fault
		waits []time.Duration // nil for one of our own
	}{
		{"ping 500", func(*server) fault { return once("GET ping", status(500)) }, nil},
		{"ping broken off", func(*server) fault { return once("GET ping", breakOff(0)) }, nil},
		{"head 503", func(*server) fault { return once("HEAD blob", status(503)) }, nil},
		{"head 429 with seconds", func(*server) fault { return once("HEAD blob", status(429, "Retry-After", "7")) }, []time.Duration{7 * time.Second}},
		{"head 503 with a date", func(*server) fault {
			return once("HEAD blob", status(503, "Date", "Mon, 02 Jan 2006 15:04:05 GMT", "Retry-After", "Mon, 02 Jan 2006 15:05:05 GMT"))
		}, []time.Duration{time.Minute}},
		{"head with another digest", func(s *server) fault {
			return once("HEAD blob", status(200, digestHeader, other, "Content-Length", fmt.Sprint(len(layer))))
		}, []time.Duration{}},
		{"head with another size", func(s *server) fault { return once("HEAD blob", status(200, "Content-Length", "3")) }, []time.Duration{}},
		{"upload 502", func(*server) fault { return once("POST upload", status(502)) }, nil},
		{"blob 500", func(*server) fault { return once("PUT blob", status(500)) }, nil},
		{"blob 429 at once", func(*server) fault { return once("PUT blob", early(429, "Retry-After", "1")) }, []time.Duration{time.Second}},
		{"blob broken off at once", func(*server) fault { return once("PUT blob", breakOff(0)) }, nil},
		{"blob broken off in the middle", func(*server) fault { return once("PUT blob", breakOff(int64(len(layer)/2))) }, nil},
		{"blob broken off at its end", func(*server) fault { return once("PUT blob", breakOff(int64(len(layer)))) }, nil},
		{"manifest 500", func(*server) fault { return once("PUT manifest", status(500)) }, nil},
		{"tag broken off", func(*server) fault { return once("PUT tag", breakOff(0)) }, nil},
		{"no digest in answers", func(s *server) fault { return times(always, "PUT blob", lie(s, digestHeader, "")) }, []time.Duration{}},
		{"answers without Location", func(s *server) fault { return times(always, "PUT blob", lie(s, "Location", "")) }, []time.Duration{}},
		{"five times", func(*server) fault { return times(5, "PUT tag", status(500)) }, make([]time.Duration, 5)},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t)
			repo, clock := s.open(t, "team/app:1")
			s.with(test.fault(s))
			img := newImage(t, layer)
			if err := img.push(t.Context(), repo); err != nil {
				t.Fatal(err)
			}
			s.with(nil)
			s.check(t, "1", img)
			want := test.waits
			if want == nil {
				want = make([]time.Duration, 1)
			}
			for i, got := range clock.waits {
				most := defaultBackoff << i
				if i < len(want) && want[i] == 0 && got >= most/2 && got <= most {
					want[i] = got
				}
			}
			if !slices.Equal(clock.waits, want) {
				t.Errorf("waits of %v, want %v", clock.waits, want)
			}
		})
	}
}

// lying changes a header of an answer.
type lying struct {
	http.ResponseWriter
	name, value string
}

func (l lying) WriteHeader(code int) {
	l.Header().Set(l.name, l.value)
	if l.value == "" {
		l.Header().Del(l.name)
	}
	l.ResponseWriter.WriteHeader(code)
}

// These end a push, at once or after all attempts, with words, and the tag stays.
func TestPushFails(t *testing.T) {
	layer := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	sum := descriptor(layer).Digest.String()
	other := descriptor(nil).Digest.String()
	// twist lets the registry do its work and then lies about it.
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
	redirect := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		http.Redirect(w, r, r.URL.String()+"&again", http.StatusTemporaryRedirect)
	}
	for _, test := range []struct {
		name  string
		fault func(*server) fault
		tries int // of the request that fails
		kind  string
		words []string
	}{
		{"no rights", answer("POST upload", denied), 1, "POST upload", []string{"opening an upload", "/team/app", "403", "DENIED: not yours", "podman login"}},
		{"not logged in", answer("POST upload", status(401)), 1, "POST upload", []string{"401", "no credentials", "podman login 127.0.0.1"}},
		{"no such repository", answer("POST upload", status(404)), 1, "POST upload", []string{"404"}},
		{"upload without Location", answer("POST upload", status(202)), 1, "POST upload", []string{"no Location"}},
		{"head 403", answer("HEAD blob", status(403)), 1, "HEAD blob", []string{"pushing blob", sum, "/team/app", "403"}},
		{"blob 400", answer("PUT blob", status(400)), 1, "PUT blob", []string{sum, "400 Bad Request"}},
		{"blob 413", answer("PUT blob", status(413)), 1, "PUT blob", []string{sum, "does not take so much"}},
		{"blob 500 for ever", answer("PUT blob", status(500)), 6, "PUT blob", []string{sum, "tried 6 times", "500 Internal Server Error"}},
		{"blob broken off for ever", answer("PUT blob", breakOff(100)), 6, "PUT blob", []string{sum, "tried 6 times"}},
		{"asked to wait for a day", answer("PUT blob", status(503, "Retry-After", "86400")), 1, "PUT blob", []string{"try again in 24h"}},
		{"blob stored under another digest", twist("PUT blob", digestHeader, other), 1, "PUT blob", []string{sum, "calls it", other}},
		{"redirect loop", answer("PUT blob", redirect), 10, "PUT blob", []string{sum, "stopped after 10 redirects"}},
		{"redirect that drops the blob", answer("PUT blob", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			http.Redirect(w, r, "/v2/", http.StatusFound)
		}), 1, "PUT blob", []string{sum, "redirects a PUT"}},
		{"manifest 400", answer("PUT manifest", status(400)), 1, "PUT manifest", []string{"pushing manifest", "400"}},
		{"manifest stored under another digest", twist("PUT manifest", digestHeader, other), 1, "PUT manifest", []string{"calls it", other}},
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

// Whatever goes wrong from whichever request on, the tag is the old image or the new one, and the next run makes it the
// new one.
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

// An end of the context ends a wait and a transfer, and its cause is told.
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
		repo, _ := s.open(t, "team/app:1")
		ctx, cancel := context.WithCancelCause(t.Context())
		s.with(once("PUT blob", func(w http.ResponseWriter, r *http.Request) {
			cancel(cause)
			_, _ = io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		}))
		if err := newImage(t, random(t, 10<<20)).push(ctx, repo); !errors.Is(err, cause) {
			t.Errorf("error %v, want %v", err, cause)
		}
	})
}

// What write says counts more than what came of it on the way, and is not tried again.
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
			contains(t, p.Blob(descriptor(big), test.write), "pushing blob", descriptor(big).Digest.String(), test.words)
			if len(clock.waits) > 0 {
				t.Errorf("tried again: %q", clock.warns)
			}
			if err := p.Commit([]byte(`{}`)); err == nil {
				t.Error("Commit after an error: no error")
			}
		})
	}
}

// A blob goes from its source to the network, and from there to its reader, and is nowhere in between.
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
			status(http.StatusCreated)(w, r)
		case "GET blob":
			_ = pages(w) // or the reader sees it
		default:
			return false
		}
		return true
	})
	p, err := repo.Push(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Abort()
	for name, do := range map[string]func() error{
		"pushed": func() error { return p.Blob(d, pages) },
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

// The blobs of a previous image come from its repository.
func TestPushMounts(t *testing.T) {
	s := newServer(t)
	repo, _ := s.open(t, "team/app:1")
	layer := random(t, 1000)
	previous := s.ref(t, "team/previous:1")
	elsewhere, err := ParseRef("registry.example/team/app:1")
	if err != nil {
		t.Fatal(err)
	}
	mounted := 0
	s.with(func(kind string, _ int, w http.ResponseWriter, r *http.Request) bool {
		query := r.URL.Query()
		if kind != "POST upload" || query.Get("mount") != descriptor(layer).Digest.String() {
			return false
		}
		if from := query.Get("from"); from != "team/previous" {
			t.Errorf("mount from %q", from)
		}
		mounted++
		s.inner.ServeHTTP(w, withBlob(r, layer))
		return true
	})
	img := newImage(t, layer, random(t, 50))
	if err := img.push(t.Context(), repo, previous, elsewhere); err != nil {
		t.Fatal(err)
	}
	s.check(t, "1", img)
	if want := int64(50 + len(img.built.Config.Data)); s.received != want || mounted != 1 {
		t.Errorf("%d bytes were sent and %d blobs mounted, want %d and 1", s.received, mounted, want)
	}
	p, err := repo.Push(t.Context(), previous)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Abort()
	layer = random(t, 1000)
	if ok, err := p.Has(t.Context(), descriptor(layer)); err != nil || !ok || mounted != 2 {
		t.Errorf("Has of what can be mounted: %t, %v", ok, err)
	}
}

// withBlob turns the request for a mount into one that the registry in memory knows: a blob sent with the POST.
func withBlob(r *http.Request, blob []byte) *http.Request {
	post := r.Clone(r.Context())
	post.URL.RawQuery = "digest=" + descriptor(blob).Digest.String()
	post.Body, post.ContentLength = io.NopCloser(bytes.NewReader(blob)), int64(len(blob))
	return post
}
