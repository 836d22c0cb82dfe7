package registry

import (
	"net/http"
	"strings"
	"testing"
)

// Commit moves the tag. Before that, the finished image can be read by its digest.
func TestPushIsReadableBeforeItsTag(t *testing.T) {
	s := newServer(t)
	repo, _ := s.open(t, "team/app:1")
	old, img := newImage(t, random(t, 10)), newImage(t, random(t, 20))
	if err := old.push(t.Context(), repo); err != nil {
		t.Fatal(err)
	}
	for _, commit := range []bool{false, true} {
		p, err := repo.Push(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.Readable = true
		if err := img.blobs(p, nil); err != nil {
			t.Fatal(err)
		}
		at, err := p.Finish(img.built.Index)
		if err != nil {
			t.Fatal(err)
		}
		ref, err := ParseRef(at[0].Ref)
		if err != nil || ref.Digest != img.built.Manifest.Descriptor.Digest {
			t.Errorf("it is to be found at %+v: %v", at, err)
		}
		if _, _, err := repo.Manifest(t.Context(), ref.Identifier()); err != nil {
			t.Error(err)
		}
		s.check(t, "1", old)
		end, want := p.Discard, old
		if commit {
			end, want = p.Commit, img
		}
		if err := end(); err != nil {
			t.Error(err)
		}
		s.check(t, "1", want)
	}
}

// In a registry that accepts manifests only with a tag, an image cannot be read before its tag
// moves.
func TestPushIsReadableNowhere(t *testing.T) {
	for _, readable := range []bool{false, true} {
		s := newServer(t)
		repo, _ := s.open(t, "team/app:1")
		s.with(func(_ string, _ int, w http.ResponseWriter, r *http.Request) bool {
			byDigest := r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/sha256:")
			if byDigest {
				http.Error(w, "", http.StatusBadRequest)
			}
			return byDigest
		})
		p, err := repo.Push(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer p.Discard()
		img := newImage(t, random(t, 20))
		p.Readable = readable
		if err := img.blobs(p, nil); err != nil {
			t.Fatal(err)
		}
		_, err = p.Finish(img.built.Index)
		switch {
		case readable:
			contains(t, err, "400 Bad Request: --verify needs the manifest in the registry before the tag moves")
		case err != nil:
			t.Error(err)
		default:
			if err := p.Commit(); err != nil {
				t.Error(err)
			}
			s.check(t, "1", img)
		}
	}
}
