package registry

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/opencontainers/go-digest"

	"chunkah/lib/oci"
)

// mounts makes the registry mount a blob from team/previous, and counts the mounts.
func (s *server) mounts(blob []byte, n *int) fault {
	return func(kind string, _ int, w http.ResponseWriter, r *http.Request) bool {
		query := r.URL.Query()
		if kind != "POST upload" || query.Get("from") != "team/previous" || query.Get("mount") != descriptor(blob).Digest.String() {
			return false
		}
		*n++
		s.inner.ServeHTTP(w, withBlob(r, blob))
		return true
	}
}

// A blob in another repository of the registry is mounted, and no other request is sent to that
// repository.
func TestPushMounts(t *testing.T) {
	s := newServer(t)
	repo, _ := s.open(t, "team/app:1")
	layer, fresh, again := random(t, 1000), random(t, 50), random(t, 60)
	mounted := 0
	s.with(s.mounts(layer, &mounted))
	p, err := repo.Push(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Discard()
	img := newImage(t, layer, fresh, again)
	err = img.write(p, map[digest.Digest]string{
		descriptor(layer).Digest: s.ref(t, "team/previous:1").String(),
		descriptor(fresh).Digest: "registry.example/team/elsewhere:1",
		descriptor(again).Digest: repo.Ref().String(),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.check(t, "1", img)
	if want := int64(50 + 60 + len(img.built.Config.Data)); s.received != want || mounted != 1 {
		t.Errorf("%d bytes were sent and %d blobs mounted, want %d and 1", s.received, mounted, want)
	}
	if got := s.seen("POST upload"); got != 5 { // one before the push, one mount, three blobs
		t.Errorf("%d uploads were opened, want 5", got)
	}
}

// If a mount fails for any reason, the blob is sent. If no mount from a repository works, the
// repository is not tried again.
func TestPushRefusedMounts(t *testing.T) {
	isMount := func(f fault) fault {
		return func(kind string, n int, w http.ResponseWriter, r *http.Request) bool {
			return r.URL.Query().Get("mount") != "" && f(kind, n, w, r)
		}
	}
	always := func(do func(http.ResponseWriter, *http.Request)) fault {
		return isMount(times(always, "POST upload", do))
	}
	for name, test := range map[string]struct {
		fault fault
		asked int
	}{
		"400": {always(status(400)), 1}, "401": {always(status(401)), 1}, "403": {always(status(403)), 1}, "405": {always(status(405)), 1},
		"409": {always(status(409)), 1}, "500": {always(status(500)), 1}, "501": {always(status(501)), 1}, "503": {always(status(503)), 1},
		"not this blob": {always(status(404)), 2},
		"another blob":  {always(status(201, digestHeader, descriptor(nil).Digest.String())), 1},
		"broken off":    {always(breakOff(0)), 1},
		"no Location":   {always(status(202)), 1},
		"an upload":     {nil, 2}, // the registry's response if it cannot mount
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			repo, clock := s.open(t, "team/app:1")
			asked := 0
			s.with(func(kind string, n int, w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Query().Get("mount") != "" {
					asked++
				}
				return test.fault != nil && test.fault(kind, n, w, r)
			})
			p, err := repo.Push(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer p.Discard()
			img := newImage(t, random(t, 100), random(t, 100))
			for _, l := range img.layers { // sequentially
				from := s.ref(t, "team/previous:1").String()
				if err := p.Blob(descriptor(l), oci.Hint{Image: from}, func(w io.Writer) error { _, err := w.Write(l); return err }); err != nil {
					t.Fatal(err)
				}
			}
			if err := img.write(p, nil); err != nil {
				t.Fatal(err)
			}
			s.check(t, "1", img)
			if asked != test.asked || len(clock.waits) > 0 {
				t.Errorf("%d mounts were asked for, want %d; waits: %q", asked, test.asked, clock.warns)
			}
		})
	}
}

// If a token server refuses rights to two repositories at the same time, the client requests rights
// to only one repository.
func TestPushWithoutRightsToMount(t *testing.T) {
	for _, code := range []int{400, 401, 403, 404} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			s := newServer(t)
			tokens := &tokens{good: 1000}
			s.with(func(kind string, n int, w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/token" && len(r.URL.Query()["scope"]) > 1 {
					w.WriteHeader(code)
					return true
				}
				return tokens.answer(kind, n, w, r)
			})
			repo, clock := s.open(t, "team/app:1")
			t.Setenv("REGISTRY_AUTH_FILE", userPass(t, repo.Ref().Registry))
			img := newImage(t, random(t, 100))
			if err := img.push(t.Context(), repo, s.ref(t, "team/previous:1")); err != nil {
				t.Fatal(err)
			}
			s.check(t, "1", img)
			if len(clock.waits) > 0 {
				t.Errorf("tried again: %q", clock.warns)
			}
		})
	}
}

// withBlob turns a mount request for the in-memory registry into a POST that contains the blob.
func withBlob(r *http.Request, blob []byte) *http.Request {
	post := r.Clone(r.Context())
	post.URL.RawQuery = "digest=" + descriptor(blob).Digest.String()
	post.Body, post.ContentLength = io.NopCloser(bytes.NewReader(blob)), int64(len(blob))
	return post
}
