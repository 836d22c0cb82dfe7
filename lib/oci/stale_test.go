package oci

import (
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// Labels about layers are found by name, and are correct only if the last layer of their image is
// kept.
func TestAboutLayers(t *testing.T) {
	last, other := digest.FromString("last"), digest.FromString("other")
	c := &Config{
		Labels: map[string]string{
			"ostree.commit": "1", "ostree.final-diffid": last.String(), "ostree.layers.x": "", "ostree.bootable": "true", "containers.bootc": "1",
			"rpmostree.inputhash": "2", "io.buildah.version": "1.40", "version": "9", "ostree.layersx": "",
		},
		Annotations: map[string]string{"org.opencontainers.image.base.digest": "3", "org.opencontainers.image.base.name": "base", "ostree.commit": "1"},
	}
	all := "io.buildah.version org.opencontainers.image.base.digest ostree.commit ostree.final-diffid ostree.layers.x rpmostree.inputhash"
	for _, test := range []struct {
		keep []string
		kept []digest.Digest
		want string
	}{
		{nil, nil, all},
		{[]string{"ostree.commit", "none"}, nil, strings.Replace(all, "ostree.commit ", "", 1)},
		{nil, []digest.Digest{other}, all},
		{nil, []digest.Digest{other, last}, ""},
	} {
		if got := strings.Join(c.AboutLayers(test.keep, test.kept), " "); got != test.want {
			t.Errorf("keeping %v, %v: got %s", test.keep, test.kept, got)
		}
	}
	if _, wrong := c.Unmatched([]digest.Digest{other, last}); wrong {
		t.Error("the last layer is there")
	}
	if name, wrong := c.Unmatched([]digest.Digest{other}); !wrong || name != last.String() {
		t.Errorf("got %q, %v", name, wrong)
	}
	before := len(c.Labels)
	own := *c
	own.Drop(own.AboutLayers(nil, nil))
	if len(own.Labels) != 4 || len(own.Annotations) != 1 || len(c.Labels) != before {
		t.Errorf("left are %v, %v of %v", own.Labels, own.Annotations, c.Labels)
	}
	if delete(c.Labels, labelFinalDiffID); c.AboutLayers(nil, []digest.Digest{other}) != nil {
		t.Error("a base that is kept takes its labels along")
	}
}

// The structure of a config shows whether the config is from an image.
func TestOfImage(t *testing.T) {
	for text, want := range map[string]bool{
		`{"Labels":{"a":"b"}}`:                                                         false,
		`{"architecture":"amd64","os":"linux","config":{}}`:                            false,
		`{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers"}}`: true,
		`[{"Config":{},"RootFS":{"Type":"layers","Layers":["sha256:1"]}}]`:             true,
		`[{"Config":{}}]`: false,
	} {
		if c, err := ParseConfig([]byte(text)); err != nil || c.OfImage != want {
			t.Errorf("%s: got %+v, %v", text, c, err)
		}
	}
	var names []string
	for _, name := range aboutLayers {
		names = append(names, strings.TrimSuffix(name, "."))
	}
	if slices.Contains(names, "containers.bootc") || slices.Contains(names, "ostree.bootable") {
		t.Error("the label that makes an image bootable was removed")
	}
}
