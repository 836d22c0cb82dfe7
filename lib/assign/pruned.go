package assign

import "fmt"

// pruned warns of a package database of which the image gets only a part: the package
// manager would see the wrong packages. Leaving out all of it is a choice.
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
	return []string{fmt.Sprintf("leaving out %q and with it %d of %d files of the %s database, which is damaged in the image: leave out all of it, or none",
		first, missing, len(all), c.name)}
}
