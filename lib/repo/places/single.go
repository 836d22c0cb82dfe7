package places

import (
	"context"

	"chunkah/format"
	"chunkah/lib/assign"
)

// Single finds the components of files that name their own package, each for itself,
// wherever they are: "go/cmd" of programs, "java/ant" of archives. Files of one name
// are one component. They are claimed as a fallback: what a file says of itself counts
// for less than a package that lists it. The result is nil if there are no such files.
//
// Of regular files that no repo has claimed, is picks those to look at by their records,
// and name reads one and returns the name of its package, "" for none.
func Single(t *assign.Tree, repo string, is func(t *assign.Tree, i int) bool, name func(t *assign.Tree, i int) (string, error)) *assign.Result {
	next := func(i int) int {
		for i < len(t.Files) && (t.Files[i].Type != format.TypeFile || t.Claimed(i) || !is(t, i)) {
			i++
		}
		return i
	}
	if next(0) == len(t.Files) {
		return nil
	}
	return &assign.Result{Fallback: func(ctx context.Context) (*assign.Result, error) {
		c := New(repo, t)
		for i := next(0); i < len(t.Files); i = next(i + 1) {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
			name, err := name(t, i)
			if err != nil {
				return nil, err
			}
			if name != "" {
				c.Claim(c.AddTo(c.Component("/", name), name), i)
			}
		}
		return c.Result(), nil
	}}
}
