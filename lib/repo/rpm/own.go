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
	var done, left, logs []string
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
			switch {
			case strings.HasSuffix(name, "-wal") && c.tree.Files[i].Size > 0:
				logs = append(logs, path)
			case isLeftover(name, c.tree.Files[i].Size):
				left = append(left, fmt.Sprintf("%q", path))
			}
		}
	}
	if len(left) > 0 {
		warnings = append(warnings, fmt.Sprintf("finding %s: left over by a program that read or wrote the rpm database; without them the image would be easier to reproduce", strings.Join(left, ", ")))
	}
	for _, log := range logs {
		warnings = append(warnings, fmt.Sprintf("finding %q: packages may be in this log alone, so it has to stay as long as the database is open; close the database in the root: sqlite3 %q 'PRAGMA journal_mode = DELETE'",
			log, strings.TrimSuffix(log, "-wal")))
	}
	return warnings, nil
}

// pruned warns of a database's log that was read here, and that the image is not to have:
// rpm in the image would see the packages of some time before.
func (db *database) pruned(t *assign.Tree) []string {
	st, err := t.Root.Lstat(db.path + "-wal")
	if err != nil || st.Size == 0 {
		return nil
	}
	if _, kept := t.Lookup(db.path + "-wal"); kept || t.Partial {
		return nil
	}
	return []string{fmt.Sprintf("leaving out %q: packages may be in this log alone, and the image's database does not have them; close the database in the root in place of --prune: sqlite3 %q 'PRAGMA journal_mode = DELETE'",
		db.path+"-wal", db.path)}
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
