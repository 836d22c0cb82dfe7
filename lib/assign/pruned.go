package assign

import "fmt"

// pruned warns if the image contains only a part of a package database, because the package manager
// would see the wrong packages. Leaving out the whole database is the user's choice and gives no
// warning.
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
