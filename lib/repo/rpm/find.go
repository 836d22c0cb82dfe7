package rpm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"chunkah/lib/repo/pkgdb"
	"chunkah/lib/rootfs"
)

// visit receives one package's header and its number in the database. It must not keep the header.
type visit func(number int64, blob []byte) error

// A form is a kind of database. It consists of the file name and a function that reads a private
// copy.
type form struct {
	name string
	read func(ctx context.Context, c *private, visit visit) error
}

// dbDirs and forms are listed in the order of preference.
var (
	dbDirs = []string{"/usr/lib/sysimage/rpm", "/usr/share/rpm", "/var/lib/rpm"}
	forms  = []form{{"rpmdb.sqlite", readSQLite}, {"Packages.db", readNDB}, {"Packages", readBDB}}
)

// database is a database in a tree.
type database struct {
	path string // physical
	dir  string // physical path of the directory that contains the name that was found
	size int64  // in bytes
	form form
	// indexes is an error in the database's indexes. It is set only if all packages could be read
	// nevertheless.
	indexes error
}

// read reads the database from a private copy. Errors name its path.
func (db *database) read(ctx context.Context, root *rootfs.Root, tmp string, visit visit) (err error) {
	c, err := copyOut(ctx, root, db.path, tmp)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.remove()) }()
	var refused error // visit's own error, which is not a fault of the database
	err = db.form.read(ctx, c, func(number int64, blob []byte) error {
		refused = visit(number, blob)
		return refused
	})
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return ctx.Err()
	case refused != nil:
		return refused
	default:
		return db.wrap(err)
	}
	db.indexes = c.indexes
	return nil
}

// primaryCode masks the primary part of SQLite's error codes.
const primaryCode = 0xff

// wrap adds the database's path and advice.
func (db *database) wrap(err error) error {
	var se *sqlite.Error
	if errors.As(err, &se) && se.Code()&primaryCode == sqlite3.SQLITE_IOERR {
		return fmt.Errorf("reading a private copy of %q (TMPDIR sets its directory): %w", db.path, err)
	}
	return fmt.Errorf("reading %q: %w (rpm --rebuilddb may repair the database)", db.path, err)
}

// findDatabases returns the databases of a tree in the order of preference, each once, even if it
// has several names.
func findDatabases(root *rootfs.Root) ([]database, error) {
	var dbs []database
	var seen []string
	for _, name := range dbDirs {
		dir, found, err := pkgdb.Resolve(root, name)
		if err != nil {
			return nil, err
		}
		if !found || slices.Contains(seen, dir) {
			continue
		}
		seen = append(seen, dir)
		for _, form := range forms {
			db, found, err := findForm(root, dir, form)
			if err != nil {
				return nil, err
			}
			if !found || slices.Contains(seen, db.path) {
				continue
			}
			seen = append(seen, db.path)
			dbs = append(dbs, db)
		}
	}
	return dbs, nil
}

func findForm(root *rootfs.Root, dir string, form form) (database, bool, error) {
	path, found, err := pkgdb.Resolve(root, strings.TrimSuffix(dir, "/")+"/"+form.name)
	if err != nil || !found {
		return database{}, false, err
	}
	st, err := root.Lstat(path)
	if err != nil {
		return database{}, false, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return database{}, false, fmt.Errorf("reading %q: %w", path, rootfs.ErrNotRegular)
	}
	// The database must first be rolled back with its journal. SQLite would do that, but it would
	// also open a second file that the journal names.
	if found, err := hasJournal(root, path); err != nil || found {
		if err == nil {
			err = fmt.Errorf("reading %q: a write was interrupted, and %q has to be rolled back (rpm --rebuilddb may do that)", path, path+"-journal")
		}
		return database{}, false, err
	}
	return database{path: path, dir: dir, size: st.Size, form: form}, true, nil
}

func hasJournal(root *rootfs.Root, path string) (bool, error) {
	st, err := root.Lstat(path + "-journal")
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && st.Size > 0, err
}
