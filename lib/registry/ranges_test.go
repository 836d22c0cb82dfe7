package registry

import (
	"net/http"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/oci"
)

// After a push of zstd:chunked layers, one request checks whether the registry serves parts of
// them.
func TestRangesAreChecked(t *testing.T) {
	marked := map[string]string{"io.github.containers.zstd-chunked.manifest-checksum": digest.FromString("").String()}
	for name, tt := range map[string]struct {
		annotations map[string]string
		status      int
		want        string // part of the only warning
		requests    int
	}{
		"ordinary layers":  {nil, http.StatusNotImplemented, "", 0},
		"supported":        {marked, http.StatusPartialContent, "", 1},
		"ignored":          {marked, http.StatusOK, "", 1},
		"not implemented":  {marked, http.StatusNotImplemented, "cannot pull this image", 1},
		"not satisfiable":  {marked, http.StatusRequestedRangeNotSatisfiable, "cannot pull this image", 1},
		"bad request":      {marked, http.StatusBadRequest, "pulls whole layers", 1},
		"lost permissions": {marked, http.StatusForbidden, "403", 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.with(func(kind string, _ int, w http.ResponseWriter, r *http.Request) bool {
				if kind != "GET blob" {
					return false
				}
				if got := r.Header.Get("Range"); got != "bytes=0-0,2-2" {
					t.Errorf("range %q", got)
				}
				w.WriteHeader(tt.status)
				return true
			})
			repo, c := s.open(t, "app:1")
			p, err := repo.Push(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			layer := []byte("a layer")
			config := &oci.Config{}
			config.Platform = v1.Platform{Architecture: "amd64", OS: "linux"}
			d := v1.Descriptor{
				MediaType: v1.MediaTypeImageLayerZstd, Digest: digest.FromBytes(layer), Size: int64(len(layer)), Annotations: tt.annotations,
			}
			img := oci.Image{Config: config, Layers: []oci.Layer{{Descriptor: d, DiffID: d.Digest}}}
			built, err := img.Build()
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range []oci.Document{{Descriptor: d, Data: layer}, built.Config, built.Manifest} {
				if err := p.Blob(b.Descriptor, oci.Hint{}, oci.Data(b.Data)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := p.Finish(built.Index); err != nil {
				t.Fatal(err)
			}
			if err := p.Commit(); err != nil {
				t.Fatal(err)
			}
			said := strings.Join(c.warns, "\n")
			if !strings.Contains(said, tt.want) || (tt.want == "") != (said == "") || s.seen("GET blob") != tt.requests {
				t.Errorf("%d requests, and it says %q; want %d and %q", s.seen("GET blob"), said, tt.requests, tt.want)
			}
		})
	}
}
