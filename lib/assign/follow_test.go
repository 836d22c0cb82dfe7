package assign

import (
	"context"
	"reflect"
	"testing"

	"chunkah/format"
)

// stub is a repo that says what it was told to.
type stub struct {
	name   string
	result Result
}

func (s *stub) Name() string                                 { return s.name }
func (s *stub) Load(context.Context, *Tree) (*Result, error) { return &s.result, nil }

func TestFollow(t *testing.T) {
	var files []*format.File
	for _, path := range []string{"/a", "/a.c", "/b", "/b.c", "/c", "/c.c", "/d", "/d.c"} {
		files = append(files, &format.File{Path: path, Type: format.TypeFile, Size: 1})
	}
	files[0].Components = []string{"given/a", "second"}
	own := &stub{name: "first", result: Result{
		Components: []*format.Component{{Name: "first/d"}},
		Claims:     []Claim{{File: 7, Component: 0}}, // the claim wins
		Follows:    []Follow{{1, 0}, {3, 2}, {5, 4}, {7, 6}},
	}}
	later := &stub{name: "later", result: Result{
		Components: []*format.Component{{Name: "later/b"}, {Name: "later/c"}},
		Claims:     []Claim{{File: 2, Component: 0}, {File: 6, Component: 0}},
	}}
	later.result.Weak = func(context.Context) ([]Claim, error) { return []Claim{{File: 4, Component: 1}}, nil }
	out, err := Assign(t.Context(), NewTree(nil, files), []Repo{own, later})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{1: "given/a", 3: "later/b", 5: "later/c", 7: "first/d"} {
		if got := files[i].Components; want != "" && (len(got) != 1 || got[0] != want) {
			t.Errorf("%s is of %q, want %q", files[i].Path, got, want)
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

// The last claims count where no weak one does, whatever the order of the repos, and what
// follows a file that they have given a component does so too.
func TestLastClaims(t *testing.T) {
	files := records("/a", "/b", "/c", "/c.c")
	claims := func(list ...Claim) func(context.Context) ([]Claim, error) {
		return func(context.Context) ([]Claim, error) { return list, nil }
	}
	past := &stub{name: "past", result: Result{
		Components: []*format.Component{{Name: "past/x"}}, Last: claims(Claim{0, 0}, Claim{1, 0}, Claim{2, 0}), Follows: []Follow{{3, 2}},
	}}
	now := &stub{name: "now", result: Result{
		Components: []*format.Component{{Name: "now/y"}}, Claims: []Claim{{0, 0}}, Weak: claims(Claim{1, 0}),
	}}
	mustAssign(t, files, past, now)
	wantTags(t, files, "/a now/y", "/b now/y", "/c past/x", "/c.c past/x")

	past.result.Last = func(context.Context) ([]Claim, error) { return nil, errBroken }
	if _, err := Assign(t.Context(), NewTree(nil, records("/a", "/b", "/c", "/c.c")), []Repo{past}); err == nil || err.Error() != "past: the database is broken" {
		t.Errorf("got %v", err)
	}
}
