package placestest

import (
	"fmt"
	"strings"

	"chunkah/lib/assign"
)

// Releases sets the mtime in all records of the root and loads a repo. It returns the components
// with their updates, one per line.
func (r *Root) Releases(repo assign.Repo, mtime int64) string {
	r.t.Helper()
	tree := r.Tree()
	for _, f := range tree.Files {
		f.MTime = mtime
	}
	result, err := repo.Load(r.t.Context(), tree)
	r.check(err)
	var lines strings.Builder
	seen := make(map[string]bool)
	for _, p := range result.Packages {
		if c := p.Component; !seen[c.Name] {
			seen[c.Name] = true
			fmt.Fprintln(&lines, c.Name, c.Updates)
		}
	}
	return lines.String()
}
