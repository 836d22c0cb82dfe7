package assign

import "fmt"

// pruned returns a warning if the image contains only part of a package database, because the
// package manager would then list the wrong packages. It returns no warning if the whole database
// is excluded, because that is deliberate.
func (c *claims) pruned(r *Result) []string {
	if c.tree.Partial {
		return nil
	}
	all := r.Database
	first, missing := "", 0
	for _, path := range all {
		if _, kept := c.tree.Lookup(path); kept {
			continue
		}
		if missing++; missing == 1 {
			first = path
		}
	}
	if missing == 0 || missing == len(all) {
		return nil
	}
	return []string{fmt.Sprintf("skipping %q: %d of %d files of the %s database are missing, so the database is damaged in the image: exclude the whole database, or none of its files",
		first, missing, len(all), c.name)}
}
