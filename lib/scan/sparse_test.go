package scan

import (
	"os"
	"slices"
	"testing"

	"chunkah/lib/rootfs"
)

// Files that grow in an image are named, wherever they lie and however they are left out.
func TestSparse(t *testing.T) {
	top := makeTree(t, "srv/db/data.mdb = x", "srv/small = x", "srv/whole = x", "left/out = x")
	for name, size := range map[string]int64{"srv/db/data.mdb": 1 << 30, "srv/small": leastHoles, "left/out": 1 << 30} {
		if err := os.Truncate(top+"/"+name, size); err != nil {
			t.Fatal(err)
		}
	}
	root, err := rootfs.Open(top)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	report := &Report{}
	if _, err := gather(t.Context(), root, Options{Prune: []string{"/left/"}}, report); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, f := range report.Sparse {
		paths = append(paths, f.Path)
		if f.Size != 1<<30 || f.Stored > 1<<20 {
			t.Errorf("got %+v", f)
		}
	}
	if !slices.Equal(paths, []string{"/srv/db/data.mdb"}) {
		t.Errorf("got %q", paths)
	}
	for _, tt := range []struct {
		size, stored int64
		want         bool
	}{
		{1 << 30, 0, true}, {1 << 30, 1 << 30, false}, {1 << 30, 1 << 28, false}, {1 << 30, 1 << 26, true},
		{leastHoles, 0, true}, {leastHoles - 1, 0, false}, {1 << 20, 0, false}, {0, 4096, false},
	} {
		if got := isSparse(rootfs.Stat{Size: tt.size, Stored: tt.stored}); got != tt.want {
			t.Errorf("%d bytes in %d: %t", tt.size, tt.stored, got)
		}
	}
}
