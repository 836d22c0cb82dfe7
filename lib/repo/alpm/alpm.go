// Package alpm is the component repo of Arch's packages. It reads the local database of pacman and
// claims the files that its packages installed.
//
// # Database
//
// The database is below DBPath: var/lib/pacman, or another place from etc/pacman.conf. It has a
// directory local/NAME-VERSION for each package, with the files desc, files and mtree.
//
//   - desc has the package's name (%NAME%), the name of its source (%BASE%) and its
//     build time (%BUILDDATE%, unix seconds). A package without it is named after its
//     directory, with a warning.
//   - files lists the paths (%FILES%), directories with a slash at the end.
//   - mtree, packed with gzip, has their types. Paths in mtree that are not in files mean
//     that files was cut short: they count, with a warning. If mtree is damaged or
//     missing, only files counts.
//
// A format newer than 9 (ALPM_DB_VERSION) and unreadable files are errors.
//
// # Components
//
// A component is the source of packages: "alpm/gcc" for gcc-libs, libstdc++ and so on. A package
// without %BASE% is its own component. The clamp is the newest build time of its packages and the
// updates are their build times: the database has no history. pacman's own files are
// "alpm/.database": everything below DBPath, and pacman's log.
//
// # Claims
//
// A package claims a path that it lists if something of the same type is there: directories, links
// and regular files as in mtree. Without mtree, links and regular files are not distinguished. For
// files in no list see package pkgdb.
package alpm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"chunkah/lib/assign"
	"chunkah/lib/repo/pkgdb"
	"chunkah/lib/rootfs"
)

const (
	repoName = "alpm"
	confPath = "/etc/pacman.conf"
	logPath  = "/var/log/pacman.log"
	// newestFormat is the database format of pacman since 2011.
	newestFormat = 9
)

// dbDirs are the database locations if the configuration does not set one: pacman's default, and
// the location in images that do not include /var.
var dbDirs = []string{"/var/lib/pacman", "/usr/lib/sysimage/lib/pacman"}

// Repo is the alpm repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return repoName }

// Load reads the tree's pacman database. It returns nil, nil if there is none.
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

	types  map[string]byte // of the current package's paths in mtree
	listed map[string]byte // of its paths in files
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
		local, names, found, err := pkgdb.Dir(l.tree.Root, assign.Join(dir, "local"))
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

// configured returns the DBPath in pacman's configuration, "" if there is none.
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
	path, found, err := pkgdb.File(l.tree.Root, assign.Join(l.local, "ALPM_DB_VERSION"))
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
	lock := assign.Join(l.dir, "db.lck")
	if _, err := l.tree.Root.Lstat(lock); !errors.Is(err, fs.ErrNotExist) {
		l.out.Warn("found %q: pacman is running or was interrupted; as long as this file exists, pacman in the image refuses to run", lock)
	}
	return l.out.Own(logPath)
}
