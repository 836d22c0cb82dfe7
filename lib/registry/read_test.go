package registry

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// serve answers with a blob and supports ranges, like a web server. It ends the connection after n
// bytes of the blob, unless n is below 0.
func serve(blob []byte, n int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		if n < 0 {
			n = len(blob)
		}
		http.ServeContent(&cutOff{w, n}, r, "", time.Time{}, bytes.NewReader(blob))
	}
}

// cutOff ends the connection after a number of bytes.
type cutOff struct {
	http.ResponseWriter
	left int
}

func (c *cutOff) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p[:min(len(p), c.left)])
	if c.left -= n; n < len(p) {
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, err
}

// noRanges hides the Range header from a server.
func noRanges(do func(http.ResponseWriter, *http.Request)) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Range")
		do(w, r)
	}
}

func TestBlobRecovers(t *testing.T) {
	blob := random(t, 8<<20)
	// then cuts off the first n responses and completes the rest.
	then := func(n int, cut, rest func(http.ResponseWriter, *http.Request)) fault {
		return func(kind string, i int, w http.ResponseWriter, r *http.Request) bool {
			if i <= n {
				cut(w, r)
			} else {
				rest(w, r)
			}
			return true
		}
	}
	whole := serve(blob, -1)
	for _, test := range []struct {
		name     string
		fault    fault
		requests int
	}{
		{"at once", then(0, nil, whole), 1},
		{"500", then(1, status(500), whole), 2},
		{"broken off before the answer", then(1, breakOff(0), whole), 2},
		{"broken off at its first byte", then(1, serve(blob, 0), whole), 2},
		{"broken off in the middle", then(1, serve(blob, 5<<20), whole), 2},
		{"broken off at its last byte", then(1, serve(blob, len(blob)-1), whole), 2},
		{"broken off five times at once", then(5, serve(blob, 1000), whole), 6},
		{"broken off after each MiB", then(always, serve(blob, freshStart), nil), 8},
		{"ranges refused", func(_ string, i int, w http.ResponseWriter, r *http.Request) bool {
			switch {
			case i == 1:
				serve(blob, 3<<20)(w, r)
			case r.Header.Get("Range") != "":
				w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			default:
				whole(w, r)
			}
			return true
		}, 3},
		{"no ranges", then(2, noRanges(serve(blob, 3<<20)), noRanges(whole)), 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t)
			repo, _ := s.open(t, "team/app:1")
			s.with(func(kind string, n int, w http.ResponseWriter, r *http.Request) bool {
				return kind == "GET blob" && test.fault(kind, n, w, r)
			})
			in, err := repo.Blob(t.Context(), descriptor(blob))
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			got, err := io.ReadAll(in)
			if err != nil || !bytes.Equal(got, blob) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if n := s.seen("GET blob"); n != test.requests {
				t.Errorf("%d requests, want %d", n, test.requests)
			}
		})
	}
}

func TestBlobFails(t *testing.T) {
	blob := random(t, 100_000)
	d := descriptor(blob)
	endless := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(blob)
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	}
	range206 := func(value string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") == "" {
				serve(blob, 50_000)(w, r)
			} else {
				early(http.StatusPartialContent, "Content-Range", value)(w, r)
			}
		}
	}
	loop := func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.String(), http.StatusFound) }
	for _, test := range []struct {
		name     string
		do       func(http.ResponseWriter, *http.Request)
		requests int
		words    []string
	}{
		{"not there", status(404), 1, []string{"404"}},
		{"other bytes", serve(random(t, len(blob)), -1), 1, []string{"content with the digest"}},
		{"shorter", serve(blob[:5], -1), 1, []string{"announces 5 bytes, expected the remaining 100000"}},
		{"longer", serve(append(slices.Clip(blob), 0), -1), 1, []string{"announces 100001 bytes"}},
		{"endless", endless, 1, []string{"more than the expected 100000 bytes"}},
		{"broken off for ever", noRanges(serve(blob, 50_000)), 6, []string{"after 50000 of 100000 bytes", "tried 6 times"}},
		{"500 for ever", status(500), 6, []string{"tried 6 times", "500"}},
		{"another range", range206("bytes 7-99999/100000"), 2, []string{`the range "bytes 7-99999/100000"`}},
		{"no range", range206(""), 2, []string{`the range ""`}},
		{"redirects for ever", loop, 10, []string{"stopped after 10 redirects"}},
		{"to plain HTTP elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://storage.example/x", http.StatusFound)
		}, 1, []string{"refusing plain HTTP to", "storage.example", "--insecure"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t)
			repo, _ := s.open(t, "team/app:1")
			s.with(times(always, "GET blob", test.do))
			in, err := repo.Blob(t.Context(), d)
			if err == nil {
				defer in.Close()
				_, err = io.Copy(io.Discard, in)
			}
			if err == nil {
				t.Fatal("no error")
			}
			contains(t, err, append(test.words, "reading blob", d.Digest.String(), "/team/app")...)
			if absent := test.words[0] == "404"; errors.Is(err, fs.ErrNotExist) != absent {
				t.Errorf("%v is fs.ErrNotExist: %t, want %t", err, !absent, absent)
			}
			if n := s.seen("GET blob"); n != test.requests {
				t.Errorf("%d requests, want %d", n, test.requests)
			}
		})
	}
}

func TestBlobStops(t *testing.T) {
	s := newServer(t)
	repo, _ := s.open(t, "team/app:1")
	blob, cause := random(t, 1000), errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	s.with(times(always, "GET blob", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write(blob[:10])
		w.(http.Flusher).Flush()
		cancel(cause)
		<-r.Context().Done()
	}))
	in, err := repo.Blob(ctx, descriptor(blob))
	if err == nil {
		defer in.Close()
		_, err = io.Copy(io.Discard, in)
	}
	if n := s.seen("GET blob"); !errors.Is(err, cause) || n != 1 {
		t.Errorf("error %v after %d requests, want %v after 1", err, n, cause)
	}
}

func TestManifest(t *testing.T) {
	s := newServer(t)
	repo, _ := s.open(t, "team/app:1")
	img := newImage(t, []byte("layer"))
	if err := img.push(t.Context(), repo); err != nil {
		t.Fatal(err)
	}
	sum := img.built.Manifest.Descriptor.Digest.String()
	good := func(name string, f fault) {
		s.with(f)
		for _, ref := range []string{"1", sum} {
			data, mediaType, err := repo.Manifest(t.Context(), ref)
			if err != nil || !bytes.Equal(data, img.built.Manifest.Data) || mediaType != v1.MediaTypeImageManifest {
				t.Errorf("%s: manifest %q: %q, %v", name, ref, mediaType, err)
			}
		}
	}
	good("as it is", nil)
	good("500 first", once("GET tag", status(500)))
	good("broken off first", once("GET manifest", func(w http.ResponseWriter, r *http.Request) {
		s.inner.ServeHTTP(&cutOff{w, 10}, r)
	}))

	// Only the digest and the content matter, not the media type or the compression of the
	// response.
	manifest := func(headers ...string) fault {
		return func(kind string, _ int, w http.ResponseWriter, _ *http.Request) bool {
			if kind != "GET tag" && kind != "GET manifest" {
				return false
			}
			w.Header()["Content-Type"] = nil // otherwise net/http would guess
			for i := 0; i < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1])
			}
			data := img.built.Manifest.Data
			if w.Header().Get("Content-Encoding") != "" {
				data = gzipped(data)
			}
			_, _ = w.Write(data)
			return true
		}
	}
	const oci = v1.MediaTypeImageManifest
	for contentType, want := range map[string]string{
		"": "", "?/": "", "application/json": "", "text/plain; charset=utf-8": "", "application/octet-stream": "", "binary/octet-stream": "",
		"application/vnd.docker.distribution.manifest.v1+prettyjws": "", oci: oci, oci + "; charset=utf-8": oci, strings.ToUpper(oci): oci,
	} {
		s.with(manifest("Content-Type", contentType))
		if contentType == "" {
			s.with(manifest())
		}
		for _, ref := range []string{"1", sum} {
			if data, mediaType, err := repo.Manifest(t.Context(), ref); err != nil || mediaType != want || !bytes.Equal(data, img.built.Manifest.Data) {
				t.Errorf("Content-Type %q: manifest %q: %q of type %q, %v, want %q", contentType, ref, data, mediaType, err, want)
			}
		}
	}
	good("in gzip", manifest("Content-Type", oci, "Content-Encoding", "gzip"))
	good("in gzip by its old name", manifest("Content-Type", oci, "Content-Encoding", "x-gzip"))

	var sent atomic.Int64
	huge := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", v1.MediaTypeImageManifest)
		w.Header().Set("Content-Length", fmt.Sprint(int64(5)<<30))
		for page := make([]byte, 1<<20); ; {
			n, err := w.Write(page)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	}
	for _, test := range []struct {
		name, ref string
		fault     fault
		words     string
	}{
		{"not there", "2", nil, "404"},
		{"other bytes", sum, times(always, "GET manifest", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", v1.MediaTypeImageManifest)
			fmt.Fprint(w, "{}")
		}), "content with the digest"},
		{"5 GiB", "1", times(always, "GET tag", huge), "larger than the limit of 4194304 bytes"},
		{"a bomb", "1", times(always, "GET tag", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(gzipped(make([]byte, 50<<20)))
		}), "larger than the limit of 4194304 bytes"},
		{"broken gzip", "1", times(always, "GET tag", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(gzipped(img.built.Manifest.Data)[:40])
		}), "tried 6 times"},
		{"500 for ever", "1", times(always, "GET tag", status(500)), "tried 6 times"},
		{"no digest", "sha256:x", nil, "invalid checksum digest"},
		{"a path", "../../x", nil, "neither a tag nor a digest"},
		{"nothing", "", nil, "neither a tag nor a digest"},
	} {
		s.with(test.fault)
		_, _, err := repo.Manifest(t.Context(), test.ref)
		if err == nil || !strings.Contains(err.Error(), test.words) {
			t.Errorf("%s: error %v, want it to say %q", test.name, err, test.words)
		}
	}
	if sent.Load() > 64<<20 { // more than fits into the buffers
		t.Errorf("%d bytes of a manifest were taken", sent.Load())
	}
}

func gzipped(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(data) // never fails
	_ = w.Close()
	return b.Bytes()
}

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "3": 3 * time.Second, "-1": 0, "1e3": 0, "99999999999999": 0, "soon": 0,
		"Mon, 02 Jan 2006 15:04:15 GMT": 10 * time.Second,
		"Mon, 02 Jan 2006 15:04:00 GMT": 0,
	} {
		header := http.Header{"Retry-After": {value}, "Date": {"Mon, 02 Jan 2006 15:04:05 GMT"}}
		if got := retryAfter(header); got != want {
			t.Errorf("Retry-After %q is %v, want %v", value, got, want)
		}
	}
}

func TestBackoffIsBounded(t *testing.T) {
	r := &Repository{opt: Options{}.withDefaults()}
	for attempt := 1; attempt < 100; attempt++ {
		if wait := r.backoff(attempt); wait < defaultBackoff/2 || wait > maxBackoff {
			t.Errorf("the wait after attempt %d is %v", attempt, wait)
		}
	}
}

// A refused connection to this machine is retried only once.
func TestRefusedOnLoopback(t *testing.T) {
	s := newServer(t)
	repo, clock := s.open(t, "team/app:1")
	s.Close()
	_, _, err := repo.Manifest(t.Context(), "1")
	if err == nil || !strings.Contains(err.Error(), "tried 2 times: ") || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("error %v", err)
	}
	if n := len(clock.waits); n != 1 {
		t.Errorf("%d waits, want 1", n)
	}
}
