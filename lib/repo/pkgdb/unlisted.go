package pkgdb

import (
	"context"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/pyc"
)

// madeDirs lists the directories in which package scripts create links. madeNot is a directory
// below them in which users create links.
var (
	madeDirs = []string{"/etc/", "/usr/", "/bin/", "/sbin/", "/lib/", "/lib32/", "/lib64/", "/libx32/"}
	madeNot  = "/usr/local/"
)

// unlisted finds the components of files that no package lists.
type unlisted struct {
	tree     *assign.Tree
	suffixes []string
	byName   map[string]*assign.Package // components of the repo
}

// claims returns claims on files that were created from the repo's files.
func (u *unlisted) claims(ctx context.Context) (*assign.Result, error) {
	r := &assign.Result{}
	for i, f := range u.tree.Files {
		if f.Type == format.TypeDir || u.tree.Claimed(i) {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		from, found, err := u.origin(i)
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		if p := u.owner(from); p != nil {
			r.Claims = append(r.Claims, assign.Claim{File: i, Package: p})
		}
	}
	return r, nil
}

// owner returns the component of this repo that contains record i, or nil if none does.
func (u *unlisted) owner(i int) *assign.Package {
	f := u.tree.Files[i]
	if f.Type == format.TypeDir || len(f.Components) == 0 {
		return nil
	}
	return u.byName[f.Components[0]]
}

// origin returns the record from which record i was created.
func (u *unlisted) origin(i int) (from int, found bool, err error) {
	f := u.tree.Files[i]
	switch {
	case f.Type == format.TypeSymlink && IsMade(f.Path):
		return u.tree.FinalTarget(i)
	case f.Type != format.TypeFile:
		return 0, false, nil
	}
	from, found = PythonSource(u.tree, f.Path)
	for _, suffix := range u.suffixes {
		if real, copied := strings.CutSuffix(f.Path, suffix); copied && !found {
			from, found = u.tree.Lookup(real)
		}
	}
	return from, found, nil
}

// IsMade reports whether the link at a physical path was probably made by a package's script and
// not by a person.
func IsMade(path string) bool {
	for _, dir := range madeDirs {
		if strings.HasPrefix(path, dir) {
			return !strings.HasPrefix(path, madeNot)
		}
	}
	return false
}

// PythonSource returns the record of a compiled Python file's source. found is false for any other
// path.
func PythonSource(t *assign.Tree, file string) (i int, found bool) {
	if !pyc.Is(file) {
		return 0, false
	}
	for _, source := range pyc.Sources(file) {
		if i, found = t.Lookup(source); found {
			break
		}
	}
	return i, found
}
