// Package rpm is the component repo of rpm packages. It reads the rpm database of a tree and claims
// the files that its packages installed.
//
// A database with missing parts is an error. It never results in a shorter list of packages. A
// single package with an unreadable header causes a warning. The source is never modified, because
// the database is read from a private copy that is unlinked as soon as it is open.
//
// # Databases
//
// The directories are tried in this order: /usr/lib/sysimage/rpm, /usr/share/rpm and /var/lib/rpm.
// In each, the kinds of database are tried from new to old: rpmdb.sqlite (SQLite), Packages.db
// (ndb) and Packages (Berkeley DB). The first database that contains a package is read. Other
// databases that contain packages are ignored with a warning.
//
// # Components
//
// A component is a source package: "rpm/glibc" for glibc, glibc-common and so on. A package without
// a source is its own component. The mtime clamp is the newest build time of its packages. Its
// updates are the times of their changelogs, in unix seconds. rpm records only the day and uses
// noon UTC as the time. Distributions may keep only the entries of the last few years. The newest
// build is treated as an update if it is more than a week newer than the newest entry, because such
// a rebuild adds no entry.
//
// The database and the regular files in its directory change whenever a package changes. They are
// the component "rpm/.database", even if packages list them. No package can have that name.
//
// # Claims
//
// A package claims a path that it lists if a file of the same type exists at that path, with three
// exceptions:
//
//   - A %ghost file is not claimed, because the package does not ship it. Such a file is a cache or
//     a log, created on the system from other packages (/etc/ld.so.cache) or by use, and would
//     change the package's layer in every build.
//   - A file that is not in the normal state is not claimed. It was not installed by this package
//     (skipped documentation and languages), was replaced by another package's file, or is on a
//     shared file system. If a file exists at its path, it came from elsewhere.
//   - If a regular file does not exist at its path, the repo searches for it, by size and digest,
//     among the files that no repo claims. It is not claimed if another component lists the same
//     contents.
package rpm

import (
	"context"
	"errors"

	"chunkah/lib/assign"
)

// Repo is the rpm repo. Its zero value is ready for use.
type Repo struct {
	// TempDir is the directory for the private copy of the database. Empty means $TMPDIR or /tmp.
	TempDir string
}

// Name implements assign.Repo.
func (Repo) Name() string { return repoName }

// Load reads the tree's rpm database. It returns nil, nil if there is none.
func (r Repo) Load(ctx context.Context, t *assign.Tree) (*assign.Result, error) {
	dbs, err := findDatabases(t.Root)
	if err != nil || len(dbs) == 0 {
		return nil, err
	}
	l, chosen, err := r.choose(ctx, t, dbs)
	if err != nil {
		return nil, err
	}
	l.warn(&dbs[chosen])
	if err := r.warnOthers(ctx, l, dbs, chosen); err != nil {
		return nil, err
	}
	if err := l.claimDirs(dbs); err != nil {
		return nil, err
	}
	l.warnPruned(&dbs[chosen])
	if err := l.needs(&dbs[chosen]); err != nil {
		return nil, err
	}
	return l.result(), nil
}

// choose reads the databases in order up to the first that contains packages. It returns that
// database and its index. If no database contains packages, it returns the first.
func (r Repo) choose(ctx context.Context, t *assign.Tree, dbs []database) (*loader, int, error) {
	var empty error
	for i := range dbs {
		l, db := newLoader(t), &dbs[i]
		err := db.read(ctx, t.Root, r.TempDir, l.add)
		switch {
		case err != nil && db.size == 0:
			// A database without packages is an old leftover, unless no other database exists.
			if empty == nil {
				empty = err
			}
		case err != nil:
			return nil, 0, err
		case l.broken > 0 && l.broken == l.read:
			return nil, 0, db.wrap(l.damage())
		case l.read > 0:
			return l, i, nil
		}
	}
	return newLoader(t), 0, empty
}

// errStop tells a reader to stop after the first package of a database.
var errStop = errors.New("stop")

// warnOthers warns about each database after the chosen database that contains packages or cannot
// be read.
func (r Repo) warnOthers(ctx context.Context, l *loader, dbs []database, chosen int) error {
	for _, db := range dbs[chosen+1:] {
		err := db.read(ctx, l.tree.Root, r.TempDir, func(int64, []byte) error { return errStop })
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errStop):
			l.out.Warn("skipping rpm database %q: the packages are read from %q", db.path, dbs[chosen].path)
		case err != nil && db.size > 0:
			l.out.Warn("skipping rpm database: %v", err)
		}
	}
	return nil
}
