// Package listroot makes roots like those of Alpine and Arch: package databases in the documented
// formats of their package managers, and every file that they list, each with its own contents. It
// needs no package manager, no network and no privileges.
//
// The roots contain several packages per source, directories that all packages list, links, set-id
// modes, names with spaces and non-ASCII characters, and files in no list.
package listroot

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// A Package is one entry of a database.
type Package struct {
	Name   string
	Source string // the source package: origin, pkgbase
	Built  int64  // in unix seconds
	Files  []File // in the order of paths, without directories
}

// A File is a regular file, or a link if Target is not empty.
type File struct {
	Path   string // absolute in the root
	Mode   uint32
	Text   string
	Target string
}

// sources contains the packages of each source.
var sources = map[string][]string{
	"musl":       {"musl", "musl-utils", "libc-utils"},
	"glibc":      {"glibc", "glibc-locales"},
	"bash":       {"bash"},
	"busybox":    {"busybox", "ssl_client"},
	"openssl":    {"libcrypto3", "libssl3", "openssl"},
	"gcc":        {"libgcc", "libstdc++", "gcc-libs"},
	"zlib":       {"zlib"},
	"ca-bundle":  {"ca-certificates", "ca-certificates-utils"},
	"ncurses":    {"ncurses", "ncurses-terminfo"},
	"acl+attr":   {"acl", "attr"},
	"python3.12": {"python3", "python3-doc"},
}

// Packages returns the packages of all sources, sorted by name, with about two dozen files each.
func Packages() []Package {
	var list []Package
	for source, names := range sources {
		for i, name := range names {
			// Each package gets a different time, so that one of them is the newest.
			built := 1650000000 + int64(len(source))*1_000_000 + int64(i)*1000
			list = append(list, Package{Name: name, Source: source, Built: built, Files: files(name)})
		}
	}
	slices.SortFunc(list, func(a, b Package) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// files returns the files of one package, some in its own directories and some in shared
// directories.
func files(name string) []File {
	var list []File
	add := func(path string, mode uint32, target string) {
		list = append(list, File{Path: path, Mode: mode, Text: name + " has " + path + "\n", Target: target})
	}
	add("/etc/"+name+".conf", 0o644, "")
	add("/usr/bin/"+name, 0o755, "")
	add("/usr/bin/"+name+"-setuid", 0o4755, "")
	add("/usr/lib/"+name+".so.1.0", 0o755, "")
	add("/usr/lib/"+name+".so.1", 0o777, name+".so.1.0")
	add("/usr/share/common/"+name, 0o644, "")
	for i := range 16 {
		add(fmt.Sprintf("/usr/share/%s/part-%02d", name, i), 0o644, "")
	}
	add("/usr/share/"+name+"/with space and ünïcode", 0o644, "")
	slices.SortFunc(list, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return list
}

// Owner returns the source of every listed path.
func Owner(packages []Package) map[string]string {
	owner := map[string]string{}
	for _, p := range packages {
		for _, f := range p.Files {
			owner[f.Path] = p.Source
		}
	}
	return owner
}

// unpack creates the packages' files in dir.
func unpack(dir string, packages []Package) error {
	for _, p := range packages {
		for _, f := range p.Files {
			if err := f.create(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f File) create(dir string) error {
	full := filepath.Join(dir, f.Path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	if f.Target != "" {
		return os.Symlink(f.Target, full)
	}
	if err := os.WriteFile(full, []byte(f.Text), 0o644); err != nil {
		return err
	}
	return os.Chmod(full, os.FileMode(f.Mode&0o777)|setID(f.Mode))
}

func setID(mode uint32) os.FileMode {
	if mode&0o4000 != 0 {
		return os.ModeSetuid
	}
	return 0
}

// parents returns the parent directories of the files, each once, parents first.
func parents(list []File) []string {
	var dirs []string
	for _, f := range list {
		for dir := path.Dir(f.Path); dir != "/"; dir = path.Dir(dir) {
			dirs = append(dirs, dir)
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// write writes one file of a database.
func write(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}
