package dpkg

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/repo/pkgdb"
	"chunkah/lib/rootfs"
)

// database contains the physical paths of a database's parts. The paths of missing parts are empty.
type database struct {
	root     *rootfs.Root
	dir      string
	status   string
	statusD  string
	entries  []string // the names in statusD
	info     string
	controls []string // the names in info, sorted
}

// openDatabase finds the database. It returns nil if the root contains no database.
func openDatabase(root *rootfs.Root) (*database, error) {
	db := &database{root: root}
	var found bool
	var err error
	if db.dir, _, found, err = pkgdb.Dir(root, adminDir); err != nil || !found {
		return nil, err
	}
	if db.status, _, err = pkgdb.File(root, format.Join(db.dir, "status")); err != nil {
		return nil, err
	}
	if db.statusD, db.entries, _, err = pkgdb.Dir(root, format.Join(db.dir, "status.d")); err != nil {
		return nil, err
	}
	if db.info, db.controls, _, err = pkgdb.Dir(root, format.Join(db.dir, "info")); err != nil {
		return nil, err
	}
	if db.status == "" && len(db.entries) == 0 && len(db.lists()) == 0 {
		return nil, nil
	}
	return db, nil
}

// lists returns the packages that have a file list in info. Each entry contains the name and, if
// the name of the list includes it, the architecture.
func (db *database) lists() []*Entry {
	var list []*Entry
	for _, file := range db.controls {
		if name, ok := strings.CutSuffix(file, ".list"); ok {
			name, arch, _ := strings.Cut(name, ":")
			list = append(list, &Entry{Name: name, Source: name, Arch: arch, State: stateInstalled})
		}
	}
	return list
}

// control returns the path of a package's file in info, or "" if the file does not exist. If a
// package can be installed for several architectures at once, the file name includes the
// architecture.
func (db *database) control(e *Entry, kind string) string {
	names := []string{e.Name + kind, e.Name + ":" + e.Arch + kind}
	if e.multi {
		slices.Reverse(names)
	}
	for _, name := range names {
		if _, ok := slices.BinarySearch(db.controls, name); ok {
			return format.Join(db.info, name)
		}
	}
	return ""
}

// beside returns the path of a file next to an entry in status.d.
func (db *database) beside(e *Entry, kind string) string {
	for _, name := range []string{e.file + kind, e.Name + kind} {
		if _, ok := slices.BinarySearch(db.entries, name); ok {
			return format.Join(db.statusD, name)
		}
	}
	return ""
}

// find returns the path of a package's file in info or status.d.
func (db *database) find(e *Entry, kind string) string {
	if e.file != "" {
		if path := db.beside(e, kind); path != "" {
			return path
		}
	}
	return db.control(e, kind)
}

// shipped are the suffixes of files in info that come from the package and keep its times.
var shipped = []string{".md5sums", ".conffiles", ".preinst", ".postinst", ".prerm", ".postrm", ".shlibs", ".symbols", ".triggers"}

// controlTime returns the oldest mtime of a package's files in info. It ignores files that dpkg
// itself created, because they are newer.
func (db *database) controlTime(e *Entry) (oldest int64, found bool, err error) {
	if db.info == "" {
		return 0, false, nil
	}
	dir, err := db.root.OpenDir(db.info)
	if err != nil {
		return 0, false, err
	}
	defer dir.Close()
	for _, kind := range shipped {
		path := db.control(e, kind)
		if path == "" {
			continue
		}
		st, err := dir.Lstat(format.Base(path))
		if err != nil {
			return 0, false, err
		}
		if !found || st.MTime < oldest {
			oldest, found = st.MTime, true
		}
	}
	return oldest, found, nil
}

// logs are the logs of dpkg and update-alternatives.
var logs = []string{"/var/log/dpkg.log", "/var/log/alternatives.log"}

// claimOwn claims the database, and warns about files that an interrupted program left behind.
func (l *loader) claimOwn() error {
	l.out.OwnBelow(l.db.dir)
	l.out.Needs(l.db.info, l.db.controls...)
	l.out.Needs(l.db.statusD, l.db.entries...)
	if l.db.status != "" {
		l.out.Needs(l.db.dir, "status")
	}
	for _, dir := range []string{l.db.statusD, l.db.info} {
		if dir != "" && !strings.HasPrefix(dir, l.db.dir+"/") {
			l.out.OwnBelow(dir)
		}
	}
	for _, path := range append([]string{l.db.status}, logs...) {
		if path == "" {
			continue
		}
		if err := l.out.Own(path); err != nil {
			return err
		}
	}
	var journal, left []string
	from, to := l.tree.Below(l.db.dir)
	for _, f := range l.tree.Files[from:to] {
		name := strings.TrimPrefix(f.Path, l.db.dir+"/")
		switch {
		case f.Type == format.TypeDir:
		case strings.HasPrefix(name, "updates/"):
			journal = append(journal, f.Path)
		case strings.HasSuffix(name, "-new"), strings.HasSuffix(name, ".dpkg-new"), strings.HasSuffix(name, ".dpkg-tmp"), strings.HasPrefix(name, "tmp.ci/"):
			left = append(left, f.Path)
		}
	}
	if len(journal) > 0 {
		l.out.Warn("found %s: dpkg was interrupted, and %q may be older than the files (dpkg --configure -a brings it up to date)",
			pkgdb.List(journal), l.db.dir+"/status")
	}
	if len(left) > 0 {
		l.out.Warn("found %s, which an interrupted dpkg left behind", pkgdb.List(left))
	}
	return nil
}

// checkFormat refuses a database with an unknown layout.
func (l *loader) checkFormat(ctx context.Context) error {
	if _, ok := slices.BinarySearch(l.db.controls, "format"); !ok {
		return nil
	}
	path := format.Join(l.db.info, "format")
	return l.lines.Read(ctx, l.db.root, path, func(text *pkgdb.Lines) error {
		text.Next()
		if number := string(text.Text()); text.Fault() != "" || number != "0" && number != "1" {
			return fmt.Errorf("database format %.20q is unknown: expected 0 or 1", number)
		}
		return nil
	})
}
