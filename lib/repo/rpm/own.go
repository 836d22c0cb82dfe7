package rpm

import (
	"fmt"
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
)

// claimFolders claims the databases and the regular files of the folders that they
// were found in. It returns a warning for those that programs left behind: they differ from
// build to build, and nothing needs them.
func (c *collector) claimFolders(dbs []database) (warnings []string, err error) {
	var done, left []string
	for _, db := range dbs {
		if i, ok := c.tree.Lookup(db.path); ok {
			c.claimOwn(i) // a link in the folder may lead out of it
		}
		if slices.Contains(done, db.folder) {
			continue
		}
		done = append(done, db.folder)
		names, err := c.tree.Root.ReadDir(db.folder)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			path := strings.TrimSuffix(db.folder, "/") + "/" + name
			i, ok := c.tree.Lookup(path)
			if !ok || c.tree.Files[i].Type != format.TypeFile {
				continue
			}
			c.claimOwn(i)
			if isLeftover(name, c.tree.Files[i].Size) {
				left = append(left, fmt.Sprintf("%q", path))
			}
		}
	}
	if len(left) > 0 {
		warnings = append(warnings, fmt.Sprintf("finding %s: left over by a program that read or wrote the rpm database; without them the image would be easier to reproduce", strings.Join(left, ", ")))
	}
	return warnings, nil
}

func (c *collector) claimOwn(i int) {
	comp := c.component(ownName)
	c.comps[comp].interval = ownInterval
	c.own[i] = true
	c.claims = append(c.claims, assign.Claim{File: i, Component: comp})
}

// isLeftover reports whether a file beside a database is only of use while a
// program has it open: SQLite's log and shared memory, Berkeley DB's environment,
// locks. rpm itself keeps an empty .rpm.lock for ever; that one is left alone.
func isLeftover(name string, size int64) bool {
	switch {
	case strings.HasSuffix(name, "-wal"), strings.HasSuffix(name, "-shm"), strings.HasPrefix(name, "__db."):
		return true
	case strings.HasSuffix(name, ".lock"), strings.HasSuffix(name, "-journal"):
		return size > 0 || name != ".rpm.lock"
	}
	return false
}
