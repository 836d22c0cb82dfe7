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

// madeDirs are where packages' scripts make links, and madeNot where in them
// people do.
var (
	madeDirs = []string{"/etc/", "/usr/", "/bin/", "/sbin/", "/lib/", "/lib32/", "/lib64/", "/libx32/"}
	madeNot  = "/usr/local/"
)

// unlisted finds the components of files that are in no package's list.
type unlisted struct {
	tree     *assign.Tree
	result   *assign.Result // Assign may add a component to it
	leavings []string
	byName   map[string]int
}

// claims returns the weak claims.
func (u *unlisted) claims(ctx context.Context) ([]assign.Claim, error) {
	u.byName = make(map[string]int, len(u.result.Components))
	for i, c := range u.result.Components {
		u.byName[c.Name] = i
	}
	var list []assign.Claim
	for i, f := range u.tree.Files {
		if f.Type == format.TypeDir || u.tree.Claimed(i) {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		from, ok := u.origin(i)
		if !ok {
			continue
		}
		if comp, ok := u.owner(from); ok {
			list = append(list, assign.Claim{File: i, Component: comp})
		}
	}
	return list, nil
}

// owner returns this repo's component that record i went to.
func (u *unlisted) owner(i int) (int, bool) {
	f := u.tree.Files[i]
	if f.Type == format.TypeDir || len(f.Components) == 0 {
		return 0, false
	}
	comp, ok := u.byName[f.Components[0]]
	return comp, ok
}

// origin returns the record of what f was made from.
func (u *unlisted) origin(i int) (int, bool) {
	f := u.tree.Files[i]
	if f.Type == format.TypeSymlink {
		if !IsMade(f.Path) {
			return 0, false
		}
		return u.follow(i)
	}
	if f.Type != format.TypeFile {
		return 0, false
	}
	if source := pythonSource(f.Path); source != "" {
		return u.tree.Lookup(source)
	}
	for _, ending := range u.leavings {
		if real, ok := strings.CutSuffix(f.Path, ending); ok {
			return u.tree.Lookup(real)
		}
	}
	return 0, false
}

// IsMade reports whether a link at a physical path is likely a package's doing
// rather than a person's.
func IsMade(path string) bool {
	for _, dir := range madeDirs {
		if strings.HasPrefix(path, dir) {
			return !strings.HasPrefix(path, madeNot)
		}
	}
	return false
}

// follow returns the record of what link i leads to, through other links.
func (u *unlisted) follow(i int) (int, bool) {
	for range maxLinks {
		var ok bool
		if i, ok = u.tree.Target(i); !ok {
			return 0, false
		}
		if u.tree.Files[i].Type != format.TypeSymlink || u.tree.Claimed(i) {
			return i, true // a package's own link is as good as a file
		}
	}
	return 0, false
}

// pythonSource returns the path of the source that a path of compiled Python
// belongs to, "" for any other path (PEP 3147 and, for "opt-", PEP 488).
func pythonSource(file string) string {
	base, ok := strings.CutSuffix(file, ".pyc")
	if !ok {
		if base, ok = strings.CutSuffix(file, ".pyo"); !ok {
			return ""
		}
	}
	dir, name := path.Split(base)
	above, cached := strings.CutSuffix(dir, "/__pycache__/")
	if !cached {
		return base + ".py"
	}
	if cut := strings.LastIndexByte(name, '.'); cut > 0 && strings.HasPrefix(name[cut:], ".opt-") {
		name = name[:cut]
	}
	cut := strings.LastIndexByte(name, '.')
	if cut <= 0 {
		return ""
	}
	return above + "/" + name[:cut] + ".py"
}
