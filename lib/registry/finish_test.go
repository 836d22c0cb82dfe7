package registry

import "testing"

// The tag moves with Commit. Before that, the finished image can be read by its digest.
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
		ref, err := ParseRef(at.Ref)
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
