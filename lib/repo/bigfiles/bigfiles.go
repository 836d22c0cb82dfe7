// Package bigfiles is the component repo of large files that no package owns. Each is a
// component of its own, named after its path, so that a change to one does not cost the
// others. All names of an inode are one component, named after the first.
package bigfiles

import (
	"context"

	"chunkah/format"
	"chunkah/lib/assign"
)

const repoName = "bigfiles"

// Least is the size from which a file gets a component of its own, in bytes: a
// layer for less is not worth a request to a registry.
const Least = 1 << 20

// Repo is the bigfiles repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return repoName }

// Load implements assign.Repo. It only claims as a fallback: any package comes first.
func (Repo) Load(_ context.Context, t *assign.Tree) (*assign.Result, error) {
	return &assign.Result{Fallback: func(ctx context.Context) (*assign.Result, error) {
		r := &assign.Result{}
		for i, f := range t.Files {
			if f.Type != format.TypeFile || f.Size < Least || t.Claimed(i) || t.Links(i)[0] != i {
				continue
			}
			name := repoName + format.Text(f.Path)
			if len(name) > format.MaxText {
				continue // no name for a component
			}
			p := &assign.Package{Component: &format.Component{Name: name, IntervalDays: assign.AppInterval}}
			r.Packages = append(r.Packages, p)
			r.Claims = append(r.Claims, assign.Claim{File: i, Package: p})
		}
		return r, context.Cause(ctx)
	}}, nil
}
