// Package bigfiles is the component repo of large files that no package owns. Each file is its own
// component, named after its path, so that a change to one file does not affect the others. All
// hard links to an inode are one component, named after the first path.
package bigfiles

import (
	"context"

	"chunkah/format"
	"chunkah/lib/assign"
)

const repoName = "bigfiles"

// least is the smallest size, in bytes, of a file with its own component. A smaller layer is not
// worth a request to a registry.
const least = 1 << 20

// Repo is the bigfiles repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return repoName }

// Load implements assign.Repo. All claims are fallback claims, because packages take precedence.
func (Repo) Load(_ context.Context, t *assign.Tree) (*assign.Result, error) {
	return &assign.Result{Fallback: func(ctx context.Context) (*assign.Result, error) {
		r := &assign.Result{}
		for i, f := range t.Files {
			if f.Type != format.TypeFile || f.Size < least || t.Claimed(i) || t.Links(i)[0] != i {
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
