package registry

import (
	"errors"
	"testing"

	"chunkah/lib/oci"
)

// The tag moves only to what has been looked at, which is there by its digest.
func TestPushIsChecked(t *testing.T) {
	s := newServer(t)
	repo, _ := s.open(t, "team/app:1")
	old, img := newImage(t, random(t, 10)), newImage(t, random(t, 20))
	if err := old.push(t.Context(), repo); err != nil {
		t.Fatal(err)
	}
	wrong := errors.New("wrong")
	for _, fails := range []error{wrong, nil} {
		p, err := repo.Push(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		calls := 0
		p.Check = func(at oci.Target) error {
			calls++
			ref, err := ParseRef(at.Ref)
			if err != nil || at.Kind != oci.KindRegistry || ref.Digest != img.built.Manifest.Descriptor.Digest {
				t.Errorf("it is to be found at %+v: %v", at, err)
			}
			if _, _, err := repo.Manifest(t.Context(), ref.Identifier()); err != nil {
				t.Error(err)
			}
			s.check(t, "1", old)
			return fails
		}
		if err := img.write(p); !errors.Is(err, fails) || calls != 1 {
			t.Errorf("%v after %d checks, want %v", err, calls, fails)
		}
		if err := p.Abort(); err != nil {
			t.Error(err)
		}
		want := old
		if fails == nil {
			want = img
		}
		s.check(t, "1", want)
	}
}
