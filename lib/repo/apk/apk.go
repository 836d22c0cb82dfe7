// Package apk is the component repo of Alpine's packages: it reads the file
// lib/apk/db/installed, or usr/lib/apk/db/installed where apk keeps it since
// version 3, and claims the files that its packages installed.
//
// # Database
//
// The file holds entries with an empty line after each. A line is a letter, a
// colon and a value: P a package's name, o its origin, t its build time in unix
// seconds; F opens a directory, M says its mode, R names a file in it, a and Z say
// its mode and digest. Other letters say nothing about files. The first of the two
// places that has packages counts; the other is then named in a warning, unless it
// is the same folder.
//
// Nothing else lists packages or files, so the file alone must show that it is
// whole: one that ends within a line is an error, and one that ends within an
// entry earns a warning. So does a broken line, named by its number and package;
// the entry's other lines count.
//
// # Components
//
// A component is an origin, "apk/openssl" for libssl3, libcrypto3 and so on; a
// package without one is its own. Its clamp is the newest build time of its
// packages and its updates are their build times: the database has no history.
//
// apk's own files are "apk/.database": the folder of the database, etc/apk/world,
// which every change of the packages rewrites, and apk's log.
//
// # Claims
//
// A package claims its directories where directories are, and its files where
// something else is: the database does not tell regular files from links. Packages
// whose names begin with a dot were made up by apk add --virtual and have no
// files. The links to busybox are in no list; they go where they lead to, as
// package pkgdb says of files in no list.
package apk

import (
	"context"
	"slices"

	"chunkah/lib/assign"
	"chunkah/lib/repo/pkgdb"
	"chunkah/lib/rootfs"
)

const repoName = "apk"

// folders are in the order of preference.
var folders = []string{"/lib/apk/db", "/usr/lib/apk/db"}

// others are apk's own files outside its folder.
var others = []string{"/etc/apk/world", "/var/log/apk.log"}

// Repo is the apk repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return repoName }

// Load reads the tree's apk database, nil, nil where it has none.
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
	for _, folder := range folders {
		path, found, err := pkgdb.File(root, folder+"/installed")
		if err != nil {
			return nil, err
		}
		if found && !slices.Contains(list, path) {
			list = append(list, path)
		}
	}
	return list, nil
}

// leave warns of a database that is left out, if it holds anything.
func (l *loader) leave(ctx context.Context, path, from string) error {
	return l.lines.Read(ctx, l.tree.Root, path, func(text *pkgdb.Lines) error {
		if text.Next() {
			l.out.Warn("leaving out apk database %q: the packages are read from %q", path, from)
		}
		return nil
	})
}

// claimOwn claims apk's own files, and warns of what an interrupted apk left.
func (l *loader) claimOwn() error {
	for _, folder := range folders {
		dir, names, found, err := pkgdb.Dir(l.tree.Root, folder)
		if err != nil || !found {
			continue
		}
		l.out.OwnBelow(dir)
		for _, name := range names {
			if name == "installed.new" || name == "installed.tmp" {
				l.out.Warn("finding %q: left over by an apk that was interrupted", assign.Join(dir, name))
			}
		}
		// A link in the folder may lead out of it.
		if path, found, err := pkgdb.File(l.tree.Root, assign.Join(dir, "installed")); err == nil && found {
			if err := l.out.Own(path); err != nil {
				return err
			}
		}
	}
	for _, path := range others {
		if err := l.out.Own(path); err != nil {
			return err
		}
	}
	return nil
}
