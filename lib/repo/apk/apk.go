// Package apk is the component repo of Alpine's packages. It reads the file lib/apk/db/installed,
// or usr/lib/apk/db/installed (since apk 3), and claims the files that its packages installed.
//
// # Database
//
// The file consists of entries, each followed by an empty line. A line is a letter, a colon and a
// value. P is the package's name, o is its origin, and t is its build time in unix seconds. F opens
// a directory, and M is the directory's mode. R names a file in the open directory, and a and Z are
// the file's mode and digest. Other letters do not concern files. If both database files exist, the
// first that contains packages is read. If the other file contains packages too, this causes a
// warning, unless both are in the same directory.
//
// The file is the only list of packages and files, so the repo checks that it is complete. A file
// that ends within a line is an error. A file that ends within an entry causes a warning. An
// invalid line causes a warning that names the line number and the package; the entry's other lines
// are still used.
//
// # Components
//
// A component is an origin: "apk/openssl" for libssl3, libcrypto3 and so on. A package without an
// origin is its own component. The clamp is the newest build time of its packages. The updates are
// their build times, because the database contains no history.
//
// apk's own files are "apk/.database": the database directory, apk's log, and etc/apk/world, which
// is rewritten whenever the packages change.
//
// # Claims
//
// A package claims a listed directory if the path is a directory in the tree, and a listed file if
// the path is anything else in the tree, because the database does not distinguish regular files
// and links. Packages created by apk add --virtual, whose names begin with a dot, have no files.
// The database does not list the links to busybox. They belong to their target's component (see
// package pkgdb, "Files in no list").
package apk

import (
	"context"
	"path"
	"slices"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/pkgdb"
	"chunkah/lib/rootfs"
)

const repoName = "apk"

// dbDirs are the database directories, in the order of preference.
var dbDirs = []string{"/lib/apk/db", "/usr/lib/apk/db"}

// needed are the files in the database directory that apk reads.
var needed = []string{"installed", "scripts.tar", "scripts.tar.gz", "triggers"}

// others are apk's own files outside the database directory.
var others = []string{"/etc/apk/world", "/var/log/apk.log"}

// Repo is the apk repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return repoName }

// Load reads the tree's apk database. It returns nil, nil if the tree contains no database.
func (Repo) Load(ctx context.Context, t *assign.Tree) (*assign.Result, error) {
	dbs, err := databases(t.Root)
	if err != nil || len(dbs) == 0 {
		return nil, err
	}
	l := &loader{tree: t, lines: pkgdb.NewLines(), out: pkgdb.NewCollector(t, repoName)}
	l.out.Suffixes = []string{".apk-new"}
	from := ""
	for _, db := range dbs {
		if from != "" {
			if err := l.leave(ctx, db, from); err != nil {
				return nil, err
			}
			continue
		}
		if err := l.read(ctx, db); err != nil {
			return nil, err
		}
		if l.out.Found() {
			from = db
		}
	}
	if err := l.claimOwn(); err != nil {
		return nil, err
	}
	return l.out.Result(), nil
}

// databases returns the physical paths of the databases, each once.
func databases(root *rootfs.Root) (list []string, err error) {
	for _, place := range dbDirs {
		path, found, err := pkgdb.File(root, place+"/installed")
		if err != nil {
			return nil, err
		}
		if found && !slices.Contains(list, path) {
			list = append(list, path)
		}
	}
	return list, nil
}

// leave warns about a database that is ignored, if it contains packages.
func (l *loader) leave(ctx context.Context, path, from string) error {
	return l.lines.Read(ctx, l.tree.Root, path, func(text *pkgdb.Lines) error {
		if text.Next() {
			l.out.Warn("skipping apk database %q: the packages are read from %q", path, from)
		}
		return nil
	})
}

// needWorld records that apk needs the list of requested packages. If the list were missing, adding
// a package would remove all other packages.
func (l *loader) needWorld(db string) {
	world, found, err := pkgdb.File(l.tree.Root, others[0])
	if _, kept := l.tree.Lookup(db); kept && found && err == nil {
		l.out.Needs(path.Split(world))
	}
}

// claimOwn claims apk's own files, and warns about files that an interrupted apk left behind.
func (l *loader) claimOwn() error {
	for _, place := range dbDirs {
		dir, names, found, err := pkgdb.Dir(l.tree.Root, place)
		if err != nil || !found {
			continue
		}
		l.out.OwnBelow(dir)
		for _, name := range names {
			if slices.Contains(needed, name) {
				l.out.Needs(dir, name)
			}
		}
		for _, name := range names {
			if name == "installed.new" || name == "installed.tmp" {
				l.out.Warn("found %q, which an interrupted apk left behind", format.Join(dir, name))
			}
		}
		// A link in the directory can lead outside it.
		if path, found, err := pkgdb.File(l.tree.Root, format.Join(dir, "installed")); err == nil && found {
			if err := l.out.Own(path); err != nil {
				return err
			}
			l.needWorld(path)
		}
	}
	for _, path := range others {
		if err := l.out.Own(path); err != nil {
			return err
		}
	}
	return nil
}
