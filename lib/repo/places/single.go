package places

import (
	"context"

	"chunkah/format"
	"chunkah/lib/assign"
)

// Single finds the components of files that say themselves what they are of, each
// for itself, wherever they are: "go/cmd" of programs, "java/ant" of archives. Files
// of one name are one component. The claims are weak: what a file says of itself
// counts for less than a package that lists it. The result is nil where there are no
// such files.
//
// Of regular files that nobody has claimed, is tells by the record which may be
// such, and name reads one and returns what stands behind the repo's name, "" where
// it is none after all.
func Single(t *assign.Tree, repo string, is func(t *assign.Tree, i int) bool, name func(t *assign.Tree, i int) (string, error)) *assign.Result {
	s := &single{tree: t, repo: repo, is: is, name: name, index: make(map[string]int)}
	if s.next(0) == len(t.Files) {
		return nil
	}
	s.result.Weak = s.claims
	return &s.result
}

// single is one call of Single.
type single struct {
	tree   *assign.Tree
	repo   string
	is     func(*assign.Tree, int) bool
	name   func(*assign.Tree, int) (string, error)
	result assign.Result
	index  map[string]int // components by their names
}

// next returns the first record from i on that may be such a file.
func (s *single) next(i int) int {
	for i < len(s.tree.Files) && (s.tree.Files[i].Type != format.TypeFile || s.tree.Claimed(i) || !s.is(s.tree, i)) {
		i++
	}
	return i
}

// claims looks at what nobody has claimed.
func (s *single) claims(ctx context.Context) (list []assign.Claim, err error) {
	for i := s.next(0); i < len(s.tree.Files); i = s.next(i + 1) {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		name, err := s.name(s.tree, i)
		if err != nil {
			return nil, err
		}
		if name == "" {
			continue
		}
		s.result.Packages++
		list = append(list, assign.Claim{File: i, Component: s.component(s.repo + "/" + format.Text(name))})
	}
	return list, nil
}

func (s *single) component(name string) int {
	i, known := s.index[name]
	if !known {
		i = len(s.result.Components)
		s.index[name] = i
		s.result.Components = append(s.result.Components, &format.Component{Name: name})
	}
	return i
}
