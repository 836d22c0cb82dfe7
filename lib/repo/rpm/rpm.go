// Package rpm is the component repo of rpm packages: it reads the rpm database
// of a tree and claims the files that its packages installed.
//
// It promises that a database with a hole is an error and never a shorter list of
// packages, that a single package whose header cannot be read is named in a warning,
// and that the source is not touched: the database is read from a
// private copy that is unlinked as soon as it is open.
//
// # Databases
//
// The folders are looked at in this order, /usr/lib/sysimage/rpm, /usr/share/rpm
// and /var/lib/rpm, and in each the forms from new to old: rpmdb.sqlite (SQLite),
// Packages.db (ndb) and Packages (Berkeley DB). The first that holds a package
// counts; another one that holds packages too is left out with a warning.
//
// # Components
//
// A component is a source package, "rpm/glibc" for glibc, glibc-common and so on;
// a package without one is its own. Its mtime clamp is the newest build time of
// its packages. Its updates are the times of their changelogs, in unix seconds;
// rpm knows the day alone and says noon UTC, and distributions may keep only the
// entries of some years. The newest build counts as an update where it came more
// than a week after the newest entry: a rebuild that nobody wrote down.
//
// The database and the regular files of its folder belong to the component
// "rpm/.database", whatever packages say, since they change with every package.
// No package can be named like that: names begin with a letter, digit or '_'.
//
// # Claims
//
// A package claims the paths that it lists where a file of the same type is, with
// three exceptions.
//
//   - What it calls %ghost it does not ship: caches and logs, made on the spot
//     from other packages (/etc/ld.so.cache) or from use. In its layer they would
//     change it with every build. Nobody claims them here.
//   - What is not in the normal state was not installed by this package (left-out
//     documentation and languages), or another package's file took its place, or
//     it is on a shared file system. If something is there, it came another way.
//   - A regular file that is not at its path but elsewhere, unclaimed, with the
//     same size and digest, is claimed there, weakly; not where another component
//     lists the same contents.
package rpm

import (
	"context"
	"errors"

	"chunkah/lib/assign"
)

// Repo is the rpm repo. Its zero value is ready for use.
type Repo struct {
	// TempDir is the folder for the private copy of the database; where it is
	// empty, $TMPDIR or /tmp.
	TempDir string
}

// Name implements assign.Repo.
func (Repo) Name() string { return repoName }

// Load reads the tree's rpm database, nil, nil where it has none.
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
	if err := l.claimFolders(dbs); err != nil {
		return nil, err
	}
	l.warnPruned(&dbs[chosen])
	return l.result(), nil
}

// choose reads the databases in order up to the first that holds packages. It
// returns them and its number; the first one's if none holds any.
func (r Repo) choose(ctx context.Context, t *assign.Tree, dbs []database) (*loader, int, error) {
	var empty error
	for i := range dbs {
		l, db := newLoader(t), &dbs[i]
		err := db.read(ctx, t.Root, r.TempDir, l.add)
		switch {
		case err != nil && db.size == 0:
			// The leftover of another time, unless it is all there is.
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

// errStop ends the reading of a database at its first package.
var errStop = errors.New("stop")

// warnOthers warns of each database behind the chosen one that holds packages too, or
// may do so.
func (r Repo) warnOthers(ctx context.Context, l *loader, dbs []database, chosen int) error {
	for _, db := range dbs[chosen+1:] {
		err := db.read(ctx, l.tree.Root, r.TempDir, func(int64, []byte) error { return errStop })
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errStop):
			l.out.Warn("leaving out rpm database %q: the packages are read from %q", db.path, dbs[chosen].path)
		case err != nil && db.size > 0:
			l.out.Warn("leaving out rpm database: %v", err)
		}
	}
	return nil
}
