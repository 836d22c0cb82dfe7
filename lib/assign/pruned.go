package assign

import "fmt"

// pruned warns of a package database of which the image gets a part: its package manager
// would see other packages than there are. To leave out all of it is somebody's wish.
func (c *claims) pruned(t *Tree) []string {
	if c.result == nil || t.Partial {
		return nil
	}
	all := c.result.Database
	first, missing := "", 0
	for _, path := range all {
		if _, kept := t.Lookup(path); kept {
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
		first, missing, len(all), c.repo.Name())}
}
