package registry

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/oci"
)

// refusesOCI answers an OCI manifest with a status and an error code.
func refusesOCI(code int, why string) fault {
	return func(kind string, _ int, w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || !strings.Contains(r.Header.Get("Content-Type"), "vnd.oci") {
			return false
		}
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"errors":[{"code":%q,"message":"no"}]}`, why)
		return true
	}
}

func TestPushInDockersFormat(t *testing.T) {
	img := newImage(t, random(t, 1000))
	want, err := oci.ToDocker([]oci.Document{img.built.Manifest})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name              string
		code              int
		why               string
		convert, readable bool
		fails             string
	}{
		{"a bad request", http.StatusBadRequest, "MANIFEST_INVALID", true, false, ""},
		{"media type", http.StatusUnsupportedMediaType, "", true, false, ""},
		{"readable", http.StatusBadRequest, "MANIFEST_INVALID", true, true, ""},
		{"strict", http.StatusBadRequest, "MANIFEST_INVALID", false, false, "400 Bad Request"},
		{"another reason", http.StatusBadRequest, "MANIFEST_BLOB_UNKNOWN", true, false, "MANIFEST_BLOB_UNKNOWN"},
		{"no right", http.StatusForbidden, "DENIED", true, false, "403 Forbidden"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t)
			repo, c := s.open(t, "team/app:1")
			s.with(refusesOCI(test.code, test.why))
			p, err := repo.Push(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer p.Discard()
			p.Convert, p.Readable, p.Also = test.convert, test.readable, []string{"2"}
			if err := img.blobs(p, nil); err != nil {
				t.Fatal(err)
			}
			at, err := p.Finish(img.built.Index)
			if err == nil {
				err = p.Commit()
			}
			if test.fails != "" {
				contains(t, err, test.fails)
				if _, ok := errors.AsType[*FormatError](err); ok == test.convert {
					t.Errorf("got %T", err)
				}
				if p.Written(img.built.Manifest.Descriptor.Digest)[0] != img.built.Manifest.Descriptor.Digest || len(c.warns) > 0 {
					t.Errorf("it is converted, and says %q", c.warns)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, tag := range []string{"1", "2"} {
				if got := string(s.manifest(t, tag)); got != string(want[0].Data) {
					t.Errorf("tag %s is %s, want %s", tag, got, want[0].Data)
				}
			}
			if got := p.Written(img.built.Manifest.Descriptor.Digest)[0]; got != want[0].Descriptor.Digest {
				t.Errorf("converted to %q", got)
			}
			if test.readable && !strings.HasSuffix(at[0].Ref, want[0].Descriptor.Digest.String()) {
				t.Errorf("it is readable at %q", at[0].Ref)
			}
			if len(c.warns) != 1 || !strings.Contains(c.warns[0], "refuses OCI manifests") {
				t.Errorf("it says %q", c.warns)
			}
		})
	}
}

// If Docker's format is refused too, the first error is returned, without any warning.
func TestPushRefusedInBothFormats(t *testing.T) {
	s := newServer(t)
	repo, c := s.open(t, "team/app:1")
	n := 0
	s.with(func(_ string, _ int, w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/manifests/") {
			return false
		}
		n++
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"errors":[{"code":"TAG_INVALID","message":"answer %d: the tag is immutable"}]}`, n)
		return true
	})
	p, err := repo.Push(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Discard()
	p.Convert = true
	img := newImage(t, random(t, 10))
	contains(t, img.write(p, nil), "answer 1: the tag is immutable")
	if d := img.built.Manifest.Descriptor.Digest; len(c.warns) > 0 || p.Written(d)[0] != d || n != 2 {
		t.Errorf("%d requests; it says %q", n, c.warns)
	}
}

// Docker's manifests cannot describe layers compressed with zstd.
func TestPushZstdToDockersFormat(t *testing.T) {
	s := newServer(t)
	repo, _ := s.open(t, "team/app:1")
	s.with(refusesOCI(http.StatusBadRequest, "MANIFEST_INVALID"))
	layer := random(t, 10)
	d := descriptor(layer)
	d.MediaType = v1.MediaTypeImageLayerZstd
	config := &oci.Config{}
	config.Platform.Architecture, config.Platform.OS = "amd64", "linux"
	built, err := (&oci.Image{Config: config, Layers: []oci.Layer{{Descriptor: d, DiffID: d.Digest}}}).Build()
	if err != nil {
		t.Fatal(err)
	}
	p, err := repo.Push(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Discard()
	p.Convert = true
	contains(t, (&image{[][]byte{layer}, built}).write(p, nil), "MANIFEST_INVALID", "compressed with zstd", "use gzip")
}
