package places

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"chunkah/lib/assign"
)

// Files of one name are one component; who is not asked about, or has no name, is of
// none.
func TestSingle(t *testing.T) {
	tree := treeOf(t, t.TempDir(), "/", "/a.x/", "/a.x/one.x", "/b.x", "/c", "/d.x", "/e.x")
	is := func(t *assign.Tree, i int) bool { return strings.HasSuffix(t.Files[i].Path, ".x") }
	fault := errors.New("no light")
	var asked []string
	name := func(t *assign.Tree, i int) (string, error) {
		asked = append(asked, t.Files[i].Path)
		said := map[string]string{"/a.x/one.x": "lamp", "/b.x": "", "/d.x": "switch\xff", "/e.x": "lamp"}[t.Files[i].Path]
		if fault != nil && said == "" {
			return "", fault
		}
		return said, nil
	}
	r := Single(tree, "shop", is, name)
	if r == nil || len(r.Claims) > 0 || len(asked) > 0 {
		t.Fatalf("before it is asked: %+v, %q", r, asked)
	}
	if _, err := r.Fallback(t.Context()); !errors.Is(err, fault) {
		t.Errorf("got %v", err)
	}
	fault, asked = nil, nil
	r, err := Single(tree, "shop", is, name).Fallback(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"2 shop/lamp", "5 shop/switch\ufffd", "6 shop/lamp"}
	if got := describe(r); !reflect.DeepEqual(got, want) || len(r.Packages) != 3 || len(asked) != 4 {
		t.Errorf("got %q, %d packages, asked %q", got, len(r.Packages), asked)
	}

	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stopped)
	if _, err := Single(tree, "shop", is, name).Fallback(ctx); !errors.Is(err, stopped) {
		t.Errorf("cancelled: got %v", err)
	}
	nothing := func(*assign.Tree, int) bool { return false }
	if r := Single(tree, "shop", nothing, name); r != nil {
		t.Errorf("where nothing is: %+v", r)
	}
}
