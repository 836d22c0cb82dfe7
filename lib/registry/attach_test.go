package registry

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/oci"
)

const documentType = "application/spdx+json"

func spdx(text string) Attachment {
	return Attachment{Type: documentType, Title: "x.json", Data: []byte(text)}
}

// subjectOf pushes an image and returns its manifest.
func subjectOf(t *testing.T, repo *Repository) v1.Descriptor {
	t.Helper()
	if err := newImage(t, random(t, 10)).push(t.Context(), repo); err != nil {
		t.Fatal(err)
	}
	raw, _, err := repo.Manifest(t.Context(), "1")
	if err != nil {
		t.Fatal(err)
	}
	return describe(v1.MediaTypeImageManifest, raw)
}

// referrersOf reads the list of referrers from the fallback tag.
func referrersOf(t *testing.T, repo *Repository, subject digest.Digest) []v1.Descriptor {
	t.Helper()
	index, _, err := repo.fallback(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	return index.Manifests
}

// TestAttachFallback checks that documents are added to an index in a registry without the API.
func TestAttachFallback(t *testing.T) {
	s := newServer(t)
	repo, _ := s.open(t, "app:1")
	subject := subjectOf(t, repo)
	var want []digest.Digest
	for _, text := range []string{"one", "two", "one"} {
		at, err := repo.Attach(t.Context(), subject, spdx(text))
		if err != nil {
			t.Fatal(err)
		}
		if len(want) < 2 {
			want = append(want, at.Digest)
		} else if at.Digest != want[0] {
			t.Errorf("the same document got another manifest: %s", at.Digest)
		}
	}
	list := referrersOf(t, repo, subject.Digest)
	if len(list) != 2 || list[0].Digest != want[0] || list[1].Digest != want[1] || list[0].ArtifactType != documentType {
		t.Fatalf("got %+v", list)
	}
	raw, _, err := repo.Manifest(t.Context(), want[1].String())
	if err != nil {
		t.Fatal(err)
	}
	var m v1.Manifest
	if err := json.Unmarshal(raw, &m); err != nil || m.Subject == nil || m.Subject.Digest != subject.Digest || m.ArtifactType != documentType || m.Layers[0].Annotations[v1.AnnotationTitle] != "x.json" {
		t.Fatalf("got %s, %v", raw, err)
	}
	blob, err := repo.Blob(t.Context(), m.Layers[0])
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(blob); err != nil || string(got) != "two" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestAttachAPI checks that a registry with the API needs no fallback tag.
func TestAttachAPI(t *testing.T) {
	s := newServer(t)
	s.inner = registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))
	repo, _ := s.open(t, "app:1")
	subject := subjectOf(t, repo)
	s.with(func(_ string, _ int, w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			w.Header().Set(subjectHeader, subject.Digest.String())
		}
		return false
	})
	at, err := repo.Attach(t.Context(), subject, spdx("one"))
	if err != nil {
		t.Fatal(err)
	}
	if list := referrersOf(t, repo, subject.Digest); len(list) != 0 {
		t.Errorf("fallback tag: %+v", list)
	}
	resp, err := http.Get(s.URL + "/v2/app/referrers/" + subject.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var index v1.Index
	if err := json.NewDecoder(resp.Body).Decode(&index); err != nil || len(index.Manifests) != 1 || index.Manifests[0].Digest != at.Digest {
		t.Errorf("got %+v, %v", index, err)
	}
}

// TestAttached checks that an image's documents are found in all three places. If the registry does
// not respond, Attached returns no error.
func TestAttached(t *testing.T) {
	s := newServer(t)
	repo, _ := s.open(t, "app:1")
	subject := subjectOf(t, repo)
	if got := repo.Attached(t.Context(), subject.Digest); len(got) != 0 {
		t.Errorf("nothing attached: %q", got)
	}
	if _, err := repo.Attach(t.Context(), subject, spdx("one")); err != nil {
		t.Fatal(err)
	}
	raw, _, err := repo.Manifest(t.Context(), "1")
	if err != nil {
		t.Fatal(err)
	}
	doc := oci.Document{Descriptor: describe(v1.MediaTypeImageManifest, raw), Data: raw}
	if err := (&Push{repo: repo}).put(t.Context(), doc, fallbackTag(subject.Digest)+".sig"); err != nil {
		t.Fatal(err)
	}
	if got := repo.Attached(t.Context(), subject.Digest); !slices.Equal(got, []string{documentType, "signature"}) {
		t.Errorf("got %q", got)
	}
	s.with(func(_ string, _ int, w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v2/app/referrers/"+subject.Digest.String() {
			_, _ = io.WriteString(w, `{"mediaType":"`+v1.MediaTypeImageIndex+`","manifests":[{"artifactType":"api"}]}`)
			return true
		}
		return false
	})
	if got := repo.Attached(t.Context(), subject.Digest); !slices.Equal(got, []string{"api", "signature"}) {
		t.Errorf("with the API: %q", got)
	}
	s.with(func(_ string, _ int, w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusForbidden)
		return true
	})
	if got := repo.Attached(t.Context(), subject.Digest); len(got) != 0 {
		t.Errorf("no rights: %q", got)
	}
}

// TestAttachRace checks that entries that another program adds at the same time are merged.
func TestAttachRace(t *testing.T) {
	s := newServer(t)
	repo, _ := s.open(t, "app:1")
	subject := subjectOf(t, repo)
	other := v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: subject.Digest, Size: subject.Size, ArtifactType: "other"}
	raw, err := json.Marshal(v1.Index{MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{other}})
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	s.with(func(_ string, _ int, w http.ResponseWriter, r *http.Request) (answered bool) {
		if r.Method != http.MethodPut || r.URL.Path != "/v2/app/manifests/"+fallbackTag(subject.Digest) {
			return false
		}
		once.Do(func() {
			p := &Push{repo: repo}
			doc := oci.Document{Descriptor: describe(v1.MediaTypeImageIndex, raw), Data: raw}
			w.WriteHeader(http.StatusPreconditionFailed)
			answered = true
			s.mu.Lock()
			s.fault = nil
			s.mu.Unlock()
			if err := p.put(t.Context(), doc, fallbackTag(subject.Digest)); err != nil {
				t.Error(err)
			}
		})
		return answered
	})
	if _, err := repo.Attach(t.Context(), subject, spdx("one")); err != nil {
		t.Fatal(err)
	}
	if list := referrersOf(t, repo, subject.Digest); len(list) != 2 || list[0].ArtifactType != "other" {
		t.Errorf("got %+v", list)
	}
}

// TestAttachForeignTag checks that a tag with the name of the fallback tag but other content is not
// changed.
func TestAttachForeignTag(t *testing.T) {
	s := newServer(t)
	repo, _ := s.open(t, "app:1")
	subject := subjectOf(t, repo)
	s.with(func(_ string, _ int, w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && r.URL.Path == "/v2/app/manifests/"+fallbackTag(subject.Digest) {
			_, _ = io.WriteString(w, `{"mediaType":"`+v1.MediaTypeImageManifest+`"}`)
			return true
		}
		return false
	})
	_, err := repo.Attach(t.Context(), subject, spdx("one"))
	contains(t, err, "attaching", "not an index of referrers")
}
