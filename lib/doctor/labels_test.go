package doctor

import (
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"chunkah/lib/oci"
)

func TestOSTreeLabels(t *testing.T) {
	last, other := digest.FromString("last"), digest.FromString("other")
	labels := map[string]string{"ostree.commit": "1", "ostree.final-diffid": last.String(), "rpmostree.inputhash": "2", "containers.bootc": "1"}
	for name, test := range map[string]struct {
		opt  Options
		want bool
	}{
		"no image":        {Options{}, false},
		"no labels":       {Options{Config: &oci.Config{}, DiffIDs: []digest.Digest{other}}, false},
		"labels are true": {Options{Config: &oci.Config{Labels: labels}, DiffIDs: []digest.Digest{last, other}}, false},
		"other layers":    {Options{Config: &oci.Config{Labels: labels}, DiffIDs: []digest.Digest{other}}, true},
		"ignored":         {Options{Config: &oci.Config{Labels: labels}, DiffIDs: []digest.Digest{other}, Ignore: []ID{"ostree-labels"}}, false},
	} {
		test.opt.Ignore = append(test.opt.Ignore, "api-directories", "ostree-link") // there are no files
		found := New(test.opt).Findings()
		if test.want != (len(found) == 1) {
			t.Errorf("%s: got %+v", name, found)
		}
		if test.want && (found[0].ID != "ostree-labels" || !strings.HasSuffix(found[0].Advice, "--label ostree.commit- --label ostree.final-diffid-")) {
			t.Errorf("%s: got %+v", name, found[0])
		}
	}
}
