// Package dpkg is the component repo of Debian's packages: it reads the database
// below /var/lib/dpkg and claims the files that its packages installed.
//
// # Database
//
// The packages are those of the file status and of the files in status.d, one
// each, which images have that were put together without dpkg ("distroless");
// their names say nothing, and their entries need no Status. A package's files
// are in info/NAME.list or info/NAME:ARCH.list, or else in NAME.md5sums, in info
// or beside the entry, together with NAME.conffiles.
//
// A damaged database is an error, or a warning that names the file, the line and
// the package, never silently fewer packages:
//
//   - status cut within its last entry, or without packages where info lists
//     files, is an error, as are a garbled diversions file, a database format
//     other than 0 and 1, and whatever cannot be read.
//   - An entry that is broken is a warning, and what can be read of it counts.
//   - A list whose package status does not have (an entry was lost) is a warning,
//     and its files go to a component that is named after the package.
//   - A package without its list is a warning; its md5sums and conffiles stand in.
//
// Packages that dpkg did not finish installing, a journal in updates that it has
// not applied, and what an interrupted dpkg leaves in its own directory are named in
// warnings.
// Backups (status-old) and empty locks are in every such directory: no warning.
//
// # Components
//
// A component is a source package, "dpkg/glibc" for libc6, libc-bin and so on;
// a package without one is its own. The admin directory, and what dpkg and
// update-alternatives log, is "dpkg/.database".
//
// Its updates are the dates in the changelogs of its packages, in unix seconds,
// and its clamp is the date of the newest entry: what builds take as the time of
// everything in a package (SOURCE_DATE_EPOCH). A rebuild for one architecture has
// an entry in a changelog of its own (changelog.Debian.ARCH.gz), which counts too.
// Where the documentation was left out, the clamp is the newest mtime among the
// package's regular files, configuration left out, which people edit; but not
// later than the oldest of its control files in info, so that a file that was
// changed while the image was built does not change the times of the others.
// Nothing in it depends on when or where packages were installed.
//
// # Claims
//
// A package that is installed, even if not wholly, claims the paths that it lists
// and its conffiles. One that was removed keeps its configuration, and so does one
// whose configuration files are obsolete: at second hand, since another package
// may have taken them over.
//
// Lists do not tell types. What is a directory here is claimed as such. A symlink
// in a place where the package lists something further below (/lib, where that
// was merged with /usr/lib) is not what the package brought: at second hand such
// links are of base-files and glibc, which list them all, and which are always there.
// Regular files and links are not told apart, except that md5sums has regular files
// alone.
//
// A path that is diverted is looked for where it was diverted to, unless the
// package is the one that diverts. If it is not there (a diversion that was added
// without renaming) it is the package's where it was, at second hand. At second
// hand, too, the diverting package has both names.
//
// The links of update-alternatives, those in /etc/alternatives and those that lead
// there, are the component "dpkg/.alternatives". Which one is chosen depends on
// all packages that could be, so that in a package's layer another package's
// coming would change it. The files in var/lib/dpkg/alternatives say no more than
// the links. All times in it are 0, since dpkg gives such a link the time of what
// it leads to: an update of that would change the layer though nothing else did.
//
// Files in no list are found as package pkgdb says. The bundle of certificates that
// ca-certificates makes of its own, and the list of them, go with it. statoverride
// needs no reading: modes and owners are those of the files.
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
	// altName is the component of update-alternatives' links.
	altName = ".alternatives"
	// altInterval is the number of days between their changes: packages that come and
	// go change them, in no history.
	altInterval = 7
)

// suffixes are those of the copies of configuration files that dpkg, ucf and debconf keep.
var suffixes = []string{
	".dpkg-dist", ".dpkg-old", ".dpkg-new", ".dpkg-tmp", ".dpkg-bak", ".dpkg-remove", ".dpkg-backup",
	".ucf-dist", ".ucf-old", ".ucf-new",
}

// Repo is the dpkg repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return repoName }

// Load reads the tree's dpkg database, nil, nil where it has none.
func (Repo) Load(ctx context.Context, t *assign.Tree) (*assign.Result, error) {
	db, err := openDatabase(t.Root)
	if err != nil || db == nil {
		return nil, err
	}
	l := &loader{
		ctx: ctx, tree: t, db: db, lines: pkgdb.NewLines(), out: pkgdb.NewCollector(t, repoName),
		known: make(map[string]bool), packages: make(map[string]*assign.Package), dated: make(map[version]bool), seen: make(map[string]bool),
	}
	l.out.Suffixes = suffixes
	if err := l.load(); err != nil {
		return nil, err
	}
	return l.out.Result(), nil
}

// loader carries one database into a collector.
type loader struct {
	ctx   context.Context
	tree  *assign.Tree
	db    *database
	lines *pkgdb.Lines
	out   *pkgdb.Collector

	entries    []*entry
	known      map[string]bool // packages that have an entry
	packages   map[string]*assign.Package
	diversions map[string]diversion
	dated      map[version]bool // changelog was read
	unfinished []string
	listless   []string
	seen       map[string]bool // scratch of claimList
}

func (l *loader) load() error {
	if err := l.readEntries(); err != nil {
		return err
	}
	if err := l.readDiversions(); err != nil {
		return err
	}
	for _, e := range l.entries {
		if err := l.claimPackage(e); err != nil {
			return err
		}
	}
	if err := l.claimOrphans(); err != nil {
		return err
	}
	for _, claim := range []func() error{l.claimDiverted, l.claimAlternatives, l.claimGenerated, l.claimOwn} {
		if err := claim(); err != nil {
			return err
		}
	}
	if len(l.listless) > 0 {
		l.out.Warn("looking for the files of packages in %q: there are no lists of %s, and only what has a digest is theirs", l.db.dir, pkgdb.List(l.listless))
	}
	if len(l.unfinished) > 0 {
		l.out.Warn("finding packages whose installation dpkg did not finish (dpkg --configure -a does): %s", pkgdb.List(l.unfinished))
	}
	return nil
}

// claimOrphans claims what lists say whose packages have no entry.
func (l *loader) claimOrphans() error {
	var lost []*entry
	var names []string
	for _, e := range l.db.lists() {
		if !l.known[e.name] && pkgdb.CheckName(e.name) == nil {
			lost = append(lost, e)
			names = append(names, e.name)
		}
	}
	if len(lost) > 0 && len(l.known) == 0 {
		return fmt.Errorf("reading %q: has no packages, while %q has lists of %s", l.db.dir+"/status", l.db.info, pkgdb.List(names))
	}
	for _, e := range lost {
		l.out.Warn("finding the list of package %q in %q, but no entry for it in %q: its files go to component %q",
			e.name, l.db.info, l.db.dir+"/status", repoName+"/"+e.name)
		if err := l.claimPackage(e); err != nil {
			return err
		}
	}
	return nil
}
