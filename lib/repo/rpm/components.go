package rpm

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/pkgdb"
)

const (
	repoName = "rpm"
	// rebuildGap is the time, in seconds, by which a build must be newer than the changelog's
	// newest entry to be treated as an update.
	rebuildGap = 7 * 24 * 3600
	// clockSlack is the time, in seconds, by which a changelog entry can be newer than the build.
	// The time of an entry is always noon UTC, but its date can be from any time zone. Later
	// entries are mistakes.
	clockSlack = 2 * 24 * 3600
	// maxDamaged is the largest number of damaged packages named in an error.
	maxDamaged = 8
)

// loader adds the packages of a database to a collector. The result does not depend on their order.
type loader struct {
	tree    *assign.Tree
	out     *pkgdb.Collector
	read    int // number of packages, including damaged packages
	damaged []error
	broken  int // number of damaged packages
	missing []missing
	digests []contents
}

func newLoader(t *assign.Tree) *loader {
	return &loader{tree: t, out: pkgdb.NewCollector(t, repoName)}
}

// add adds one package. All packages are read, and damaged packages are reported together, as in
// rpm itself.
func (l *loader) add(number int64, blob []byte) error {
	l.read++
	p, err := readPackage(blob)
	if err == nil {
		return l.addPackage(p)
	}
	l.broken++
	if len(l.damaged) < maxDamaged {
		l.damaged = append(l.damaged, fmt.Errorf("record %d: %w", number, err))
	}
	return nil
}

// warn warns about faults in the database.
func (l *loader) warn(db *database) {
	if db.indexes != nil {
		l.out.Warn("reading %q: %v; all %d packages are read (rpm --rebuilddb repairs the indexes)", db.path, db.indexes, l.read)
	}
	if l.broken > 0 {
		l.out.Warn("reading %q: skipping %d of %d packages, whose files belong to no package: %v (rpm --rebuilddb may repair the database)",
			db.path, l.broken, l.read, l.damage())
	}
}

// damage returns the error for all damaged packages.
func (l *loader) damage() error {
	texts := make([]string, 0, len(l.damaged)+1)
	for _, err := range l.damaged {
		texts = append(texts, err.Error())
	}
	if more := l.broken - len(l.damaged); more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return errors.New(strings.Join(texts, "; "))
}

// readPackage reads a package and checks all its files, so that a damaged package is rejected as a
// whole.
func readPackage(blob []byte) (*pkg, error) {
	p, err := parsePackage(blob)
	if err != nil {
		return nil, err
	}
	if p.files, err = p.header.files(); err != nil {
		return nil, p.wrap(err)
	}
	whole := *p.files
	if err := whole.each(func(*listed) error { return nil }); err != nil {
		return nil, p.wrap(err)
	}
	if p.updated, err = p.updates(); err != nil {
		return nil, err
	}
	return p, nil
}

func (l *loader) addPackage(p *pkg) error {
	added := l.out.Add(p.name, p.source)
	p.describe(added)
	if p.built > 0 {
		l.out.Clamp(added, p.built)
	}
	l.out.Update(added, p.updated...)
	return p.files.each(func(f *listed) error { return l.claim(added, p.files.algo, f) })
}

// updates returns the times of the package's updates.
func (p *pkg) updates() ([]int64, error) {
	list, err := p.changes()
	if err != nil {
		return nil, err
	}
	newest := int64(0)
	keep := list[:0]
	for _, t := range list {
		if t > 0 && (p.built == 0 || t <= p.built+clockSlack) {
			keep = append(keep, t)
			newest = max(newest, t)
		}
	}
	if p.built > 0 && p.built > newest+rebuildGap {
		keep = append(keep, p.built)
	}
	return keep, nil
}

// claim claims a file that a package lists. If the file is missing, claim records its digest, so
// that the file can be found elsewhere.
func (l *loader) claim(p *assign.Package, algo uint64, f *listed) error {
	if f.ghost || !strings.HasPrefix(f.path, "/") {
		return nil // source packages list names without a directory
	}
	known := l.remember(p, algo, f)
	if f.state != stateNormal {
		return nil
	}
	i, found, err := l.tree.Find(f.path)
	switch {
	case err != nil:
		return err
	case found && fits(f.mode, l.tree.Files[i].Type):
		l.out.Claim(p, i)
	case known:
		l.miss(p, algo, f)
	}
	return nil
}

// fits reports whether a record has the type that the package lists. A mode without type bits fits
// any type.
func fits(mode uint32, t format.Type) bool {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return t == format.TypeFile
	case unix.S_IFDIR:
		return t == format.TypeDir
	case unix.S_IFLNK:
		return t == format.TypeSymlink
	case unix.S_IFIFO:
		return t == format.TypeFifo
	case unix.S_IFCHR:
		return t == format.TypeChar
	case unix.S_IFBLK:
		return t == format.TypeBlock
	case 0:
		return true
	}
	return false
}

// result returns the claims. Unlike the repos of other package databases, it finds moved files by
// their contents.
func (l *loader) result() *assign.Result {
	r := l.out.Result()
	r.Fallback = nil
	if len(l.missing) > 0 {
		r.Fallback = newSearch(l).run
	}
	return r
}
