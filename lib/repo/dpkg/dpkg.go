// Package dpkg is the component repo of Debian's packages. It reads the database below
// /var/lib/dpkg and claims the files that its packages installed.
//
// # Database
//
// The packages are in the file status and in the files of status.d, one each. Images that were
// built without dpkg ("distroless") have the latter; their names have no meaning, and their entries
// need no Status. A package's files are in info/NAME.list or info/NAME:ARCH.list, or else in
// NAME.md5sums, in info or beside the entry, together with NAME.conffiles.
//
// A damaged database is an error, or a warning with the file, the line and the package. It never
// means silently fewer packages:
//
//   - status that is cut within its last entry, or has no packages although info lists
//     files, is an error. So are a garbled diversions file, a database format other than
//     0 and 1, and unreadable files.
//   - A broken entry causes a warning, and its readable parts count.
//   - A list of a package that status does not have (a lost entry) causes a warning. Its files
//     go to a component that is named after the package.
//   - A package without its list causes a warning. Its md5sums and conffiles are used.
//
// There are also warnings of packages that dpkg did not finish installing, of a journal in updates
// that it has not applied, and of files that an interrupted dpkg leaves in its own directory.
// Backups (status-old) and empty locks are in every such directory: no warning.
//
// # Components
//
// A component is a source package: "dpkg/glibc" for libc6, libc-bin and so on. A package without a
// source is its own component. The admin directory and the logs of dpkg and update-alternatives are
// "dpkg/.database".
//
// Its updates are the dates in the changelogs of its packages, in unix seconds. Its clamp is the
// date of the newest entry, which builds use as the time of all files in a package
// (SOURCE_DATE_EPOCH). A rebuild for one architecture has an entry in a changelog of its own
// (changelog.Debian.ARCH.gz), which counts too. Without documentation, the clamp is the newest
// mtime of the package's regular files, except configuration, which people edit. But it is not
// later than the oldest of its control files in info, so that a file changed while the image was
// built does not change the times of the others. Nothing in it depends on when or where packages
// were installed.
//
// # Claims
//
// A package that is installed, even partly, claims the paths that it lists and its conffiles. A
// removed package claims its configuration, and any package claims its obsolete configuration
// files. These are fallback claims, since another package can have taken them over.
//
// Lists have no types. A directory is claimed as one. A symlink that replaced a directory of the
// package (/lib, merged with /usr/lib) is not part of the package. As a fallback, such links belong
// to base-files and glibc, which list all of them and are always installed. Regular files and links
// are not distinguished, except that md5sums only has regular files.
//
// A diverted path is looked for at its new place, unless the package is the one that diverts. If it
// is not there (a diversion added without renaming), the package claims its old place as a
// fallback. The diverting package claims both names as a fallback.
//
// The links of update-alternatives, in /etc/alternatives and those that lead there, are the
// component "dpkg/.alternatives". The chosen one depends on all candidates, so in a package's layer
// it would change with other packages. The files in var/lib/dpkg/alternatives have nothing more
// than the links. All times in this component are 0: dpkg gives such a link the time of its target,
// and an update of that would change the layer although nothing else did.
//
// For files in no list see package pkgdb. The bundle of certificates that ca-certificates
// generates, and the list of them, belong to it. statoverride is not read: modes and owners are
// those of the files.
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
	// altName is the component of the links of update-alternatives.
	altName = ".alternatives"
	// altInterval is the number of days between their changes: they change when packages are added
	// or removed, and have no history.
	altInterval = 7
)

// suffixes are those of copies of configuration files that dpkg, ucf and debconf keep.
var suffixes = []string{
	".dpkg-dist", ".dpkg-old", ".dpkg-new", ".dpkg-tmp", ".dpkg-bak", ".dpkg-remove", ".dpkg-backup",
	".ucf-dist", ".ucf-old", ".ucf-new",
}

// Repo is the dpkg repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return repoName }

// Load reads the tree's dpkg database. It returns nil, nil if there is none.
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

	entries    []*entry
	known      map[string]bool // packages with an entry
	packages   map[string]*assign.Package
	diversions map[string]diversion
	dated      map[version]bool // the changelog was read
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
		l.out.Warn("looking for the files of packages in %q: the lists of %s are missing, so only files with digests are assigned to these packages", l.db.dir, pkgdb.List(l.listless))
	}
	if len(l.unfinished) > 0 {
		l.out.Warn("found packages that dpkg did not finish installing (dpkg --configure -a finishes them): %s", pkgdb.List(l.unfinished))
	}
	return nil
}

// claimOrphans claims files of lists whose packages have no entry.
func (l *loader) claimOrphans(ctx context.Context) error {
	var lost []*entry
	var names []string
	for _, e := range l.db.lists() {
		if !l.known[e.name] && pkgdb.CheckName(e.name) == nil {
			lost = append(lost, e)
			names = append(names, e.name)
		}
	}
	if len(lost) > 0 && len(l.known) == 0 {
		return fmt.Errorf("reading %q: contains no packages, but %q contains file lists of %s", l.db.dir+"/status", l.db.info, pkgdb.List(names))
	}
	for _, e := range lost {
		l.out.Warn("found a file list of package %q in %q, but no entry for the package in %q: its files go to component %q",
			e.name, l.db.info, l.db.dir+"/status", repoName+"/"+e.name)
		if err := l.claimPackage(ctx, e); err != nil {
			return err
		}
	}
	return nil
}
