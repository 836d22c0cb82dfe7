// Package bigfiles is the component repo of large files that no package owns. Each is its own
// component with the name of its path, so that a change to one does not affect the others. All
// names of an inode are one component with the first name.
package bigfiles

import (
	"context"

	"chunkah/format"
	"chunkah/lib/assign"
)

const repoName = "bigfiles"

// Least is the size from which a file gets its own component, in bytes: a smaller layer is not
// worth a request to a registry.
const Least = 1 << 20

// Repo is the bigfiles repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return repoName }

// Load implements assign.Repo. All claims are fallbacks: packages take precedence.
func (Repo) Load(_ context.Context, t *assign.Tree) (*assign.Result, error) {
	return &assign.Result{Fallback: func(ctx context.Context) (*assign.Result, error) {
		r := &assign.Result{}
		for i, f := range t.Files {
			if f.Type != format.TypeFile || f.Size < Least || t.Claimed(i) || t.Links(i)[0] != i {
				continue
			}
			name := repoName + format.Text(f.Path)
			if len(name) > format.MaxText {
				continue // not a valid component name
			}
			p := &assign.Package{Component: &format.Component{Name: name, IntervalDays: assign.AppInterval}}
			r.Packages = append(r.Packages, p)
			r.Claims = append(r.Claims, assign.Claim{File: i, Package: p})
		}
		return r, context.Cause(ctx)
	}}, nil
}
