// Package dpkg is the component repo of Debian packages. It reads the database below /var/lib/dpkg
// and claims the files that its packages installed.
//
// # Database
//
// The packages are listed in the file status and in the directory status.d, which contains one file
// per package. Images that were built without dpkg ("distroless") use status.d. The file names in
// status.d have no meaning, and the entries need no Status. A package's files are in info/NAME.list
// or info/NAME:ARCH.list, or else in NAME.md5sums, in info or beside the entry, together with
// NAME.conffiles.
//
// A damaged database causes an error, or a warning that names the file, the line and the package.
// Packages are never lost silently:
//
//   - A status file that ends within its last entry, or that contains no packages although info
//     contains file lists, is an error. So are a garbled diversions file, a database format other
//     than 0 and 1, and unreadable files.
//   - A broken entry causes a warning, and its readable parts are used.
//   - A file list whose package is not in status (a lost entry) causes a warning. The files belong
//     to a component that is named after the package.
//   - A package without a file list causes a warning. Its md5sums and conffiles are used instead.
//
// The repo also warns about packages that dpkg did not finish installing, about a journal in
// updates that dpkg has not applied, and about files that an interrupted dpkg left in its own
// directory. It does not warn about backups (status-old) and empty locks, because every such
// directory contains them.
//
// # Components
//
// A component is a source package: "dpkg/glibc" for libc6, libc-bin and so on. A package without a
// source is its own component. The admin directory and the logs of dpkg and update-alternatives are
// "dpkg/.database".
//
// A component's updates are the dates in its packages' changelogs, in unix seconds. Its clamp is
// the date of the newest entry, which builds use as the time of all files in a package
// (SOURCE_DATE_EPOCH). A rebuild for one architecture adds an entry to a separate changelog
// (changelog.Debian.ARCH.gz), which is read too. If the changelogs are missing, the clamp is the
// newest mtime of the package's regular files, except configuration files, which people edit. But
// this clamp is never later than the mtime of the oldest of the package's control files in info, so
// that a file changed during the image build does not change the times of other files. The clamp
// does not depend on when or where packages were installed.
//
// # Claims
//
// A package that is installed, even partly, claims the paths that it lists and its conffiles. A
// removed package claims its configuration, and any package claims its obsolete configuration
// files. Claims by removed packages, and claims on obsolete files, are fallback claims, because
// another package can have taken over the files.
//
// File lists do not contain types. A directory in the tree is claimed as a directory. A symlink
// that replaced a directory of the package (/lib, merged with /usr/lib) is not part of the package.
// As a fallback, such links belong to base-files and glibc, which list all of them and are always
// installed. Regular files and links are not distinguished, except that md5sums lists only regular
// files.
//
// For every package except the diverting package, a diverted path is looked for at its new
// location. If the new location does not exist (a diversion added without renaming), the package
// claims the old location as a fallback. The diverting package claims both locations as a fallback.
//
// The component "dpkg/.alternatives" contains the links of update-alternatives: those in
// /etc/alternatives and those that lead there. A link's target depends on all candidates, so if the
// link were in one package's layer, changes in other packages would change that layer. The files in
// var/lib/dpkg/alternatives contain no further information. All times in this component are 0,
// because dpkg sets the time of such a link to the time of its target, and an update of the target
// would change the layer although nothing else has changed.
//
// Package pkgdb describes how files in no list are claimed. The certificate bundle and the
// certificate list that ca-certificates generates belong to ca-certificates. statoverride is not
// read, because modes and owners are taken from the files.
package dpkg

import (
	"context"
	"fmt"

	"chunkah/lib/assign"
	"chunkah/lib/repo/pkgdb"
)

const (
	repoName = "dpkg"
	adminDir = "/var/lib/dpkg"
	// altName is the component that contains the links of update-alternatives.
	altName = ".alternatives"
	// altInterval is the assumed number of days between changes of these links. They change when
	// packages are added or removed, and no history of them exists.
	altInterval = 7
)

// suffixes are the suffixes of the configuration file copies that dpkg, ucf and debconf keep.
var suffixes = []string{
	".dpkg-dist", ".dpkg-old", ".dpkg-new", ".dpkg-tmp", ".dpkg-bak", ".dpkg-remove", ".dpkg-backup",
	".ucf-dist", ".ucf-old", ".ucf-new",
}

// Repo is the dpkg repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return repoName }

// Load reads the tree's dpkg database. It returns nil, nil if the tree contains no database.
func (Repo) Load(ctx context.Context, t *assign.Tree) (*assign.Result, error) {
	db, err := openDatabase(t.Root)
	if err != nil || db == nil {
		return nil, err
	}
	l := &loader{
		tree: t, db: db, lines: pkgdb.NewLines(), out: pkgdb.NewCollector(t, repoName),
		known: make(map[string]bool), packages: make(map[string]*assign.Package), dated: make(map[version]bool), seen: make(map[string]bool),
	}
	l.out.Suffixes = suffixes
	if err := l.load(ctx); err != nil {
		return nil, err
	}
	return l.out.Result(), nil
}

// loader adds the packages of a database to a collector.
type loader struct {
	tree  *assign.Tree
	db    *database
	lines *pkgdb.Lines
	out   *pkgdb.Collector

	entries    []*Entry
	known      map[string]bool // packages that have an entry
	packages   map[string]*assign.Package
	diversions map[string]diversion
	dated      map[version]bool // versions whose changelog was read
	unfinished []string
	listless   []string
	seen       map[string]bool // scratch space of claimList
}

func (l *loader) load(ctx context.Context) error {
	if err := l.readEntries(ctx); err != nil {
		return err
	}
	if err := l.readDiversions(ctx); err != nil {
		return err
	}
	for _, e := range l.entries {
		if err := l.claimPackage(ctx, e); err != nil {
			return err
		}
	}
	if err := l.claimOrphans(ctx); err != nil {
		return err
	}
	for _, claim := range []func() error{l.claimDiverted, l.claimAlternatives, l.claimGenerated, l.claimOwn} {
		if err := claim(); err != nil {
			return err
		}
	}
	if len(l.listless) > 0 {
		l.out.Warn("looking for the files of packages in %q: the file lists of %s are missing, so only files with digests are assigned to these packages", l.db.dir, pkgdb.List(l.listless))
	}
	if len(l.unfinished) > 0 {
		l.out.Warn("found packages that dpkg did not finish installing (dpkg --configure -a finishes them): %s", pkgdb.List(l.unfinished))
	}
	return nil
}

// claimOrphans claims the files in lists whose packages have no entry.
func (l *loader) claimOrphans(ctx context.Context) error {
	var lost []*Entry
	var names []string
	for _, e := range l.db.lists() {
		if !l.known[e.Name] && pkgdb.CheckName(e.Name) == nil {
			lost = append(lost, e)
			names = append(names, e.Name)
		}
	}
	if len(lost) > 0 && len(l.known) == 0 {
		return fmt.Errorf("reading %q: contains no packages, but %q contains file lists of %s", l.db.dir+"/status", l.db.info, pkgdb.List(names))
	}
	for _, e := range lost {
		l.out.Warn("found a file list of package %q in %q, but no entry for the package in %q: its files go to component %q",
			e.Name, l.db.info, l.db.dir+"/status", repoName+"/"+e.Name)
		if err := l.claimPackage(ctx, e); err != nil {
			return err
		}
	}
	return nil
}
