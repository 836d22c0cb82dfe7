package assign

import (
	"context"
	"reflect"
	"testing"

	"chunkah/format"
)

// stub is a repo that returns fixed results.
type stub struct {
	name   string
	result Result
}

func (s *stub) Name() string                                 { return s.name }
func (s *stub) Load(context.Context, *Tree) (*Result, error) { return &s.result, nil }

// of returns a package whose component is not shared.
func of(component string) *Package {
	return &Package{Component: &format.Component{Name: component}}
}

func fallback(r Result) func(context.Context) (*Result, error) {
	return func(context.Context) (*Result, error) { return &r, nil }
}

func TestFollow(t *testing.T) {
	var files []*format.File
	for _, path := range []string{"/a", "/a.c", "/b", "/b.c", "/c", "/c.c", "/d", "/d.c"} {
		files = append(files, &format.File{Path: path, Type: format.TypeFile, Size: 1})
	}
	files[0].Components = []string{"given/a", "second"}
	own := &stub{name: "first", result: Result{
		Claims:  []Claim{{7, of("first/d")}}, // the claim wins
		Follows: []Follow{{1, 0}, {3, 2}, {5, 4}, {7, 6}},
	}}
	later := &stub{name: "later", result: Result{
		Claims:   []Claim{{2, of("later/b")}, {6, of("later/b")}},
		Fallback: fallback(Result{Claims: []Claim{{4, of("later/c")}}}),
	}}
	out, err := Assign(t.Context(), NewTree(nil, files), []Repo{own, later})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{1: "given/a", 3: "later/b", 5: "later/c", 7: "first/d"} {
		if got := files[i].Components; want != "" && (len(got) != 1 || got[0] != want) {
			t.Errorf("%s belongs to %q, want %q", files[i].Path, got, want)
		}
	}
	if s := out.Summaries[0]; s.Files != 4 || s.Components != 1 {
		t.Errorf("summary: %+v", s)
	}
}

func TestMerge(t *testing.T) {
	list := merge(nil, []*format.Component{{Name: "rpm/a", IntervalDays: 3}, {Name: "map/b"}})
	list = merge(list, []*format.Component{{Name: "rpm/a", IntervalDays: 5, Updates: []int64{1}, MtimeClamp: 9, HasMtimeClamp: true}, {Name: "rpm/c"}})
	want := []*format.Component{{Name: "rpm/a", IntervalDays: 3, Updates: []int64{1}, MtimeClamp: 9, HasMtimeClamp: true}, {Name: "map/b"}, {Name: "rpm/c"}}
	if !reflect.DeepEqual(list, want) {
		t.Errorf("got %+v", list)
	}
}

// A fallback can return another fallback. It is applied after the first fallbacks of all repos, in
// any order. Follows are applied after each round.
func TestFallbackOfFallback(t *testing.T) {
	files := records("/a", "/b", "/c", "/c.c")
	x, y := of("past/x"), of("now/y")
	last := Result{Claims: []Claim{{0, x}, {1, x}, {2, x}}}
	past := &stub{name: "past", result: Result{Fallback: fallback(Result{Fallback: fallback(last)}), Follows: []Follow{{3, 2}}}}
	now := &stub{name: "now", result: Result{Claims: []Claim{{0, y}}, Fallback: fallback(Result{Claims: []Claim{{1, y}}})}}
	mustAssign(t, files, past, now)
	wantTags(t, files, "/a now/y", "/b now/y", "/c past/x", "/c.c past/x")

	past.result.Fallback = fallback(Result{Fallback: func(context.Context) (*Result, error) { return nil, errBroken }})
	if _, err := Assign(t.Context(), NewTree(nil, records("/a", "/b", "/c", "/c.c")), []Repo{past}); err == nil || err.Error() != "past: the database is broken" {
		t.Errorf("got %v", err)
	}
}
