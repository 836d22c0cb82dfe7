// Package nix is the component repo of the Nix store. Everything below /nix/store/HASH-NAME belongs
// to the component "nix/NAME", for example nix/glibc-2.38-44. Store paths with the same name share
// a component, so that a rebuilt package keeps its component.
//
// No database is read, because a store path contains the whole name. Entries in the store with any
// other form of name are not claimed. Components have no history and no clamp, because all times in
// a store are the same.
//
// Nix's own files in /nix/var/nix (database, profiles, roots) and locks left in the store change
// with every build. They are the component "nix/.database". The directory .links in the store is
// not claimed, because it contains only hard links to files in store paths.
//
// Links elsewhere that lead into the store belong to their target's component (see package pkgdb,
// "Files in no list").
package nix

import (
	"context"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/pkgdb"
)

const (
	repoName = "nix"
	storeDir = "/nix/store"
	stateDir = "/nix/var/nix"
	// hashLen is the number of characters in a store path's hash: 160 bits in base 32, with the
	// digits hashChars.
	hashLen   = 32
	hashChars = "0123456789abcdfghijklmnpqrsvwxyz"
)

// Repo is the nix repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return repoName }

// Load claims the files in the tree's store. It returns nil, nil if the tree contains no store.
func (Repo) Load(ctx context.Context, t *assign.Tree) (*assign.Result, error) {
	store, found, err := pkgdb.Resolve(t.Root, storeDir)
	if err != nil || !found {
		return nil, err
	}
	out := pkgdb.NewCollector(t, repoName)
	first, ok := t.Lookup(store)
	if !ok {
		return nil, nil
	}
	var pkg *assign.Package
	var locks []string
	for i := first + 1; i < len(t.Files); i++ {
		f := t.Files[i]
		path, below := strings.CutPrefix(f.Path, store+"/")
		if !below {
			break
		}
		base, _, inside := strings.Cut(path, "/")
		if !inside {
			pkg = nil
			switch name := storeName(base); {
			case name == "":
			case strings.HasSuffix(name, ".lock") && f.Type == format.TypeFile:
				if err := out.Own(f.Path); err != nil {
					return nil, err
				}
				locks = append(locks, f.Path)
			default:
				pkg = out.Add(name, format.Text(name))
				if v := version(name); v != "" {
					pkg.Type, pkg.Name, pkg.Version = "generic", strings.TrimSuffix(name, "-"+v), v
				}
			}
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
		}
		if pkg != nil {
			out.Claim(pkg, i)
		}
	}
	if err := claimState(t, out); err != nil {
		return nil, err
	}
	if len(locks) > 0 {
		out.Warn("found %s: Nix left these locks behind; remove them to make the image easier to reproduce", pkgdb.List(locks))
	}
	if !out.Found() {
		return nil, nil
	}
	return out.Result(), nil
}

// claimState claims Nix's own files.
func claimState(t *assign.Tree, out *pkgdb.Collector) error {
	dir, _, found, err := pkgdb.Dir(t.Root, stateDir)
	if err != nil || !found {
		return err
	}
	out.OwnBelow(dir)
	var left []string
	for _, ending := range []string{"-wal", "-shm", "-journal"} {
		i, ok, err := t.Find(stateDir + "/db/db.sqlite" + ending)
		switch {
		case err != nil:
			return err
		case !ok || t.Files[i].Type != format.TypeFile:
		case ending == "-wal" && t.Files[i].Size > 0:
			out.Warn("found %q: some store paths may be only in this log, so keep it while the database is open; close the database in the root: sqlite3 %q 'PRAGMA journal_mode = DELETE'",
				t.Files[i].Path, strings.TrimSuffix(t.Files[i].Path, ending))
		default:
			left = append(left, t.Files[i].Path)
		}
	}
	if len(left) > 0 {
		out.Warn("found %s: a program that used the Nix database left these files behind; remove them to make the image easier to reproduce", pkgdb.List(left))
	}
	return nil
}

// version returns the version in a store path's name. It follows the first dash before a digit: the
// result for "glibc-2.38-44" is "2.38-44". Scripts and sources have no version. A derivation is
// only a recipe, so its version is not returned.
func version(name string) string {
	if strings.HasSuffix(name, ".drv") {
		return ""
	}
	for i := 1; i < len(name)-1; i++ {
		if name[i] == '-' && '0' <= name[i+1] && name[i+1] <= '9' {
			return name[i+1:]
		}
	}
	return ""
}

// storeName returns the name in the last element of a store path: the result for
// "HASH-glibc-2.38-44" is "glibc-2.38-44". It returns "" if the element contains no such name.
func storeName(base string) string {
	if len(base) <= hashLen+1 || base[hashLen] != '-' {
		return ""
	}
	for i := range hashLen {
		if strings.IndexByte(hashChars, base[i]) < 0 {
			return ""
		}
	}
	name := base[hashLen+1:]
	if pkgdb.CheckName(name) != nil {
		return ""
	}
	return name
}
