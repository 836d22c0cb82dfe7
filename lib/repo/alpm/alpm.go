// Package alpm is the component repo of Arch's packages. It reads the local database of pacman and
// claims the files that its packages installed.
//
// # Database
//
// The database is below DBPath, which is var/lib/pacman unless etc/pacman.conf sets another path.
// It contains a directory local/NAME-VERSION for each package, with the files desc, files and
// mtree.
//
//   - desc contains the package's name (%NAME%), the name of its source (%BASE%) and its build time
//     (%BUILDDATE%, unix seconds). A package without desc is named after its directory, and causes
//     a warning.
//   - files lists the paths (%FILES%). Directories end with a slash.
//   - mtree, compressed with gzip, lists the types of these paths. If it contains paths that the
//     file named files does not list, that file must have been truncated. These paths are then used
//     too, with a warning. If mtree is damaged or missing, only files is used.
//
// A format newer than 9 (ALPM_DB_VERSION) and unreadable files are errors.
//
// # Components
//
// A component is a source package: "alpm/gcc" for gcc-libs, libstdc++ and so on. A package without
// %BASE% is its own component. The clamp is the newest build time of its packages. The updates are
// their build times, because the database contains no history. pacman's own files, which are
// everything below DBPath and pacman's log, are "alpm/.database".
//
// # Claims
//
// A package claims a path that it lists if the file at that path has the type given in mtree:
// directory, link or regular file. Without mtree, links and regular files are not distinguished.
// Package pkgdb describes how files in no list are claimed.
package alpm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/pkgdb"
	"chunkah/lib/rootfs"
)

const (
	repoName = "alpm"
	confPath = "/etc/pacman.conf"
	logPath  = "/var/log/pacman.log"
	// newestFormat is the database format that pacman has used since 2011.
	newestFormat = 9
)

// dbDirs are the database directories that are tried if the configuration sets none: pacman's
// default, and the directory used in images that do not include /var.
var dbDirs = []string{"/var/lib/pacman", "/usr/lib/sysimage/lib/pacman"}

// Repo is the alpm repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return repoName }

// Load reads the tree's pacman database. It returns nil, nil if the tree contains no database.
func (Repo) Load(ctx context.Context, t *assign.Tree) (*assign.Result, error) {
	l := &loader{
		tree: t, lines: pkgdb.NewLines(), out: pkgdb.NewCollector(t, repoName),
		types: make(map[string]byte), listed: make(map[string]byte),
	}
	l.out.Suffixes = []string{".pacnew", ".pacsave", ".pacorig"}
	found, err := l.find(ctx)
	if err != nil || !found {
		return nil, err
	}
	if err := l.checkFormat(ctx); err != nil {
		return nil, err
	}
	for _, entry := range l.entries {
		if err := l.readPackage(ctx, entry); err != nil {
			return nil, err
		}
	}
	if err := l.claimOwn(); err != nil {
		return nil, err
	}
	return l.out.Result(), nil
}

// loader adds the packages of a database to a collector.
type loader struct {
	tree  *assign.Tree
	lines *pkgdb.Lines
	out   *pkgdb.Collector

	dir     string   // physical, DBPath
	local   string   // physical
	entries []string // names in local

	types  map[string]byte // types of the current package's paths, according to mtree
	listed map[string]byte // types of the current package's paths, according to files
}

// find finds the database: the first location with packages, or else the first that contains the
// directory for packages.
func (l *loader) find(ctx context.Context) (bool, error) {
	places := dbDirs
	path, err := l.configured(ctx)
	if err != nil {
		return false, err
	}
	if path != "" {
		places = append([]string{path}, dbDirs...)
	}
	for _, place := range places {
		dir, _, found, err := pkgdb.Dir(l.tree.Root, place)
		if err != nil {
			return false, err
		}
		if !found || dir == "/" {
			continue
		}
		local, names, found, err := pkgdb.Dir(l.tree.Root, format.Join(dir, "local"))
		if err != nil {
			return false, err
		}
		if !found || l.dir != "" && len(names) <= 1 {
			continue // only ALPM_DB_VERSION
		}
		l.dir, l.local, l.entries = dir, local, names
		if len(names) > 1 {
			break
		}
	}
	return l.dir != "", nil
}

// configured returns the DBPath in pacman's configuration, or "" if it is not set.
func (l *loader) configured(ctx context.Context) (string, error) {
	path, found, err := pkgdb.File(l.tree.Root, confPath)
	if errors.Is(err, rootfs.ErrNotRegular) {
		return "", nil
	}
	if err != nil || !found {
		return "", err
	}
	var place string
	err = l.lines.Read(ctx, l.tree.Root, path, func(text *pkgdb.Lines) error {
		place = parseConf(text)
		return nil
	})
	return place, err
}

// parseConf returns the DBPath of the options section.
func parseConf(text *pkgdb.Lines) (place string) {
	section := ""
	for text.Next() {
		line, _, _ := strings.Cut(string(text.Text()), "#")
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = line
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		value = strings.TrimSpace(value)
		if ok && section == "[options]" && strings.TrimSpace(key) == "DBPath" && value != "" && len(value) < assign.MaxListed {
			place = "/" + strings.TrimLeft(value, "/") // pacman runs in the root
		}
	}
	return place
}

// checkFormat refuses a database with an unknown layout.
func (l *loader) checkFormat(ctx context.Context) error {
	path, found, err := pkgdb.File(l.tree.Root, format.Join(l.local, "ALPM_DB_VERSION"))
	if err != nil || !found {
		return err
	}
	return l.lines.Read(ctx, l.tree.Root, path, func(text *pkgdb.Lines) error {
		text.Next()
		var number int
		if _, err := fmt.Sscanf(string(text.Text()), "%d", &number); err != nil || number < 1 || number > newestFormat {
			return fmt.Errorf("database format %.20q is unknown: the newest known one is %d", text.Text(), newestFormat)
		}
		return nil
	})
}

// claimOwn claims pacman's own files, and warns about its lock.
func (l *loader) claimOwn() error {
	l.out.OwnBelow(l.dir)
	if !strings.HasPrefix(l.local, l.dir+"/") {
		l.out.OwnBelow(l.local)
	}
	lock := format.Join(l.dir, "db.lck")
	if _, err := l.tree.Root.Lstat(lock); !errors.Is(err, fs.ErrNotExist) {
		l.out.Warn("found %q: pacman is running or was interrupted; as long as this file exists, pacman in the image refuses to run", lock)
	}
	return l.out.Own(logPath)
}
