package rpm

import (
	"path"
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/repo/pkgdb"
)

// claimDirs claims the databases and the regular files of their directories. It warns about files
// that programs left behind, because these files differ from build to build, and no program needs
// them.
func (l *loader) claimDirs(dbs []database) error {
	var done, left, logs []string
	for _, db := range dbs {
		if err := l.out.Own(db.path); err != nil { // a link in the directory can lead outside it
			return err
		}
		if slices.Contains(done, db.dir) {
			continue
		}
		done = append(done, db.dir)
		names, err := l.tree.Root.ReadDir(db.dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			path := format.Join(db.dir, name)
			i, ok := l.tree.Lookup(path)
			if !ok || l.tree.Files[i].Type != format.TypeFile {
				continue
			}
			if err := l.out.Own(path); err != nil {
				return err
			}
			switch {
			case strings.HasSuffix(name, "-wal") && l.tree.Files[i].Size > 0:
				logs = append(logs, path)
			case isLeftover(name, l.tree.Files[i].Size):
				left = append(left, path)
			}
		}
	}
	if len(left) > 0 {
		l.out.Warn("found %s: a program that used the rpm database left these files behind; remove them to make the image easier to reproduce", pkgdb.List(left))
	}
	for _, log := range logs {
		l.out.Warn("found %q: some packages may be only in this log, so keep it while the database is open; close the database in the root: sqlite3 %q 'PRAGMA journal_mode = DELETE'",
			log, strings.TrimSuffix(log, "-wal"))
	}
	return nil
}

// needs lists the files of a database that consists of several files: Packages or Packages.db, and
// its indexes. The names of all these files begin with a capital letter.
func (l *loader) needs(db *database) error {
	if name := path.Base(db.path); name != "Packages" && name != "Packages.db" {
		return nil
	}
	names, err := l.tree.Root.ReadDir(db.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name[0] >= 'A' && name[0] <= 'Z' {
			l.out.Needs(db.dir, name)
		}
	}
	return nil
}

// warnPruned warns if a database's log was read but is not in the image, because rpm in the image
// would use an older list of packages.
func (l *loader) warnPruned(db *database) {
	log := db.path + "-wal"
	st, err := l.tree.Root.Lstat(log)
	if err != nil || st.Size == 0 {
		return
	}
	if _, kept := l.tree.Lookup(log); !kept && !l.tree.Partial {
		l.out.Warn("skipping %q: some packages may be only in this log, and the image's database does not have them; close the database in the root instead of --prune: sqlite3 %q 'PRAGMA journal_mode = DELETE'",
			log, db.path)
	}
}

// isLeftover reports whether a file beside a database is useful only while a program has it open:
// SQLite's log and shared memory, Berkeley DB's environment, locks. rpm always keeps an empty
// .rpm.lock, which is not a leftover.
func isLeftover(name string, size int64) bool {
	switch {
	case strings.HasSuffix(name, "-wal"), strings.HasSuffix(name, "-shm"), strings.HasPrefix(name, "__db."):
		return true
	case strings.HasSuffix(name, ".lock"), strings.HasSuffix(name, "-journal"):
		return size > 0 || name != ".rpm.lock"
	}
	return false
}
