package pkgdb

import (
	"context"
	"path"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
)

// maxLinks bounds the links of one chain, as Linux does.
const maxLinks = 40

// madeDirs are the places where packages' scripts make links, and madeNot the exceptions, where
// people make them.
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

// claims returns claims on files that were made from the repo's own files.
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

// owner returns this repo's component of record i, nil if it has none.
func (u *unlisted) owner(i int) *assign.Package {
	f := u.tree.Files[i]
	if f.Type == format.TypeDir || len(f.Components) == 0 {
		return nil
	}
	return u.byName[f.Components[0]]
}

// origin returns the record that f was made from.
func (u *unlisted) origin(i int) (from int, found bool, err error) {
	f := u.tree.Files[i]
	switch {
	case f.Type == format.TypeSymlink && IsMade(f.Path):
		return u.follow(i)
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

// IsMade reports whether a package's script probably made the link at a physical path, and not a
// person.
func IsMade(path string) bool {
	for _, dir := range madeDirs {
		if strings.HasPrefix(path, dir) {
			return !strings.HasPrefix(path, madeNot)
		}
	}
	return false
}

// follow returns the final target of link i.
func (u *unlisted) follow(i int) (target int, found bool, err error) {
	for range maxLinks {
		if i, found, err = u.tree.Target(i); !found {
			return 0, false, err
		}
		if u.tree.Files[i].Type != format.TypeSymlink || u.tree.Claimed(i) {
			return i, true, nil // a package's own link counts like a file
		}
	}
	return 0, false, nil
}

// PythonSource returns the record of the source of compiled Python: DIR/NAME.py for
// DIR/__pycache__/NAME.TAG.pyc (PEP 3147, PEP 488), with a tag that can contain dots, and for
// DIR/NAME.pyc. For any other path, found is false.
func PythonSource(t *assign.Tree, file string) (i int, found bool) {
	base, compiled := strings.CutSuffix(file, ".pyc")
	if !compiled {
		if base, compiled = strings.CutSuffix(file, ".pyo"); !compiled {
			return 0, false
		}
	}
	dir, name := path.Split(base)
	above, cached := strings.CutSuffix(dir, "/__pycache__/")
	if !cached {
		return t.Lookup(base + ".py")
	}
	for cut := strings.LastIndexByte(name, '.'); cut > 0 && !found; cut = strings.LastIndexByte(name, '.') {
		name = name[:cut]
		i, found = t.Lookup(above + "/" + name + ".py")
	}
	return i, found
}
