package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

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

	// Blobs that are already in the registry are neither sent nor produced.
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
	defer p.Discard()
	err = p.Blob(descriptor(old.layers[1]), oci.Hint{}, func(io.Writer) error { t.Error("a blob that is there is written"); return nil })
	if err != nil {
		t.Error(err)
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
	defer p.Discard()
	for i, img := range images {
		m := img.built.Manifest
		if i > 0 {
			index.WriteByte(',')
		}
		fmt.Fprintf(&index, `{"mediaType":%q,"digest":%q,"size":%d}`, m.Descriptor.MediaType, m.Descriptor.Digest, m.Descriptor.Size)
		if err := p.Blob(descriptor(img.layers[0]), oci.Hint{}, oci.Data(img.layers[0])); err != nil {
			t.Fatal(err)
		}
		for _, doc := range []oci.Document{img.built.Config, m} {
			if err := p.Blob(doc.Descriptor, oci.Hint{}, oci.Data(doc.Data)); err != nil {
				t.Fatal(err)
			}
		}
	}
	index.WriteString(`]}`)
	if err := appear(p, index.Bytes()); err != nil {
		t.Fatal(err)
	}
	if got := s.manifest(t, "all"); !bytes.Equal(got, index.Bytes()) {
		t.Errorf("the tag is %q, want %q", got, index.Bytes())
	}
	if err := p.Blob(descriptor(nil), oci.Hint{}, oci.Data(nil)); !errors.Is(err, errFinished) {
		t.Errorf("Blob after Commit: %v", err)
	}
	if data, mediaType, err := repo.Manifest(t.Context(), "all"); err != nil || mediaType != v1.MediaTypeImageIndex || !bytes.Equal(data, index.Bytes()) {
		t.Errorf("Manifest: %q, %v", mediaType, err)
	}
}

// Each of these faults is temporary, or another attempt avoids it.
func TestPushRecovers(t *testing.T) {
	layer := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	// lie changes a header of the registry's response.
	lie := func(s *server, name, value string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			s.inner.ServeHTTP(lying{w, name, value}, r)
		}
	}
	other := descriptor(nil).Digest.String()
	for _, test := range []struct {
		name  string
		fault func(*server) fault
		waits []time.Duration // nil for the default waits
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
		{"head 400", func(*server) fault { return times(always, "HEAD blob", status(400)) }, []time.Duration{}},
		{"head 403", func(*server) fault { return times(always, "HEAD blob", status(403)) }, []time.Duration{}},
		{"head 500", func(*server) fault { return times(always, "HEAD blob", status(500)) }, []time.Duration{}},
		{"head 405", func(*server) fault { return times(always, "HEAD blob", status(405)) }, []time.Duration{}},
		{"tag 500", func(*server) fault { return once("PUT tag", status(500)) }, nil},
		{"tag 204", func(s *server) fault { return times(always, "PUT tag", instead(s, 204)) }, []time.Duration{}},
		{"tag 202", func(s *server) fault { return times(always, "PUT tag", instead(s, 202)) }, []time.Duration{}},
		{"blob 202", func(s *server) fault { return times(always, "PUT blob", instead(s, 202)) }, []time.Duration{}},
		{"no head of a tag", func(*server) fault { return times(always, "HEAD tag", status(405)) }, []time.Duration{}},
		{"blob answered before it was sent", func(*server) fault {
			return once("PUT blob", func(w http.ResponseWriter, r *http.Request) { early(201)(w, r) })
		}, nil},
		{"blob 400 with the last request", func(s *server) fault { return inParts(s, 400, false) }, []time.Duration{}},
		{"blob 404 with the last request", func(s *server) fault { return inParts(s, 404, false) }, []time.Duration{}},
		{"blob 405 with the last request", func(s *server) fault { return inParts(s, 405, false) }, []time.Duration{}},
		{"blob overlooked with the last request", func(s *server) fault { return inParts(s, 400, true) }, []time.Duration{}},
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

// If net/http restarts a body on another connection, that body must be sent completely.
func TestBodyThatBeginsAgain(t *testing.T) {
	const text = "the body of a request"
	for part, whole := range map[int]bool{len(text): true, 5: false} {
		r := &Repository{opt: Options{}.withDefaults(), plain: plainHosts("registry.example", false)}
		r.inner = roundTripper(func(req *http.Request) (*http.Response, error) {
			_, first := io.ReadAll(req.Body)
			again, err := req.GetBody()
			if _, second := io.ReadFull(again, make([]byte, part)); first != nil || err != nil || second != nil {
				t.Error(first, err, second)
			}
			return &http.Response{StatusCode: http.StatusCreated, Body: http.NoBody}, nil
		})
		resp, err := r.roundTrip(t.Context(), &url.URL{Scheme: "https", Host: "registry.example"}, request{
			method: http.MethodPut, size: int64(len(text)),
			body: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
		}, "")
		if (err == nil) != whole {
			t.Errorf("%d of %d bytes are sent: %v", part, len(text), err)
		}
		if err == nil {
			drop(resp)
		}
	}
}

// instead lets the registry process a request, but answers with another status.
func instead(s *server, code int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		s.inner.ServeHTTP(discard{http.Header{}}, r)
		w.WriteHeader(code)
	}
}

// inParts refuses blobs in the request that ends their upload. If overlooks is set, the registry
// ignores the body instead, and therefore computes a wrong digest.
func inParts(s *server, code int, overlooks bool) fault {
	return func(kind string, _ int, w http.ResponseWriter, r *http.Request) bool {
		if kind != "PUT blob" || r.ContentLength == 0 {
			return false
		}
		if overlooks {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		w.WriteHeader(code)
		return true
	}
}

// lying changes a header of a response.
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

// The write function runs for one body at a time, and never for a body that was replaced.
func TestSource(t *testing.T) {
	running, calls := 0, 0 // deliberately without a lock, so that the race detector checks the calls
	src := &bodySource{size: 3, write: func(w io.Writer) error {
		if running++; running > 1 {
			t.Error("write runs twice at once")
		}
		calls++
		_, err := w.Write([]byte("abc"))
		running--
		return err
	}}
	first, _ := src.body()
	if _, err := first.Read(make([]byte, 1)); err != nil { // in the middle of write
		t.Fatal(err)
	}
	second, _ := src.body()
	if got, err := io.ReadAll(second); string(got) != "abc" || err != nil {
		t.Errorf("the second body is %q, %v", got, err)
	}
	if _, err := io.ReadAll(first); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("reading the first body on: %v", err)
	}
	late, _ := src.body()
	if err := src.wait(); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadAll(late); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("reading a body when all is over: %v", err)
	}
	if src.running.Wait(); calls != 2 {
		t.Errorf("write was called %d times, want 2", calls)
	}
}
