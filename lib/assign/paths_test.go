package assign

import (
	"fmt"
	"testing"
)

func TestBelow(t *testing.T) {
	tree := NewTree(nil, records("/", "/a/", "/a/1", "/a.b", "/c/1")) // "/c" has no record
	for dir, want := range map[string]string{"/": "1 5", "/a": "2 3", "/a.b": "4 4", "/a/1": "3 3", "/x": "5 5", "/c": "4 5"} {
		from, to := tree.Below(dir)
		if got := fmt.Sprint(from, " ", to); got != want {
			t.Errorf("%s: got %s, want %s", dir, got, want)
		}
	}
	for i, want := range []bool{true, true, false, false, false} {
		if got := tree.Holds(i); got != want {
			t.Errorf("%s holds something: %t", tree.Files[i].Path, got)
		}
	}
}
