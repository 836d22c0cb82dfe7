package assign

import (
	"context"

	"chunkah/format"
)

// A Repo finds the packages of one ecosystem in a tree.
type Repo interface {
	// Name is the first part of its components' names, for example "rpm" in "rpm/glibc", and its
	// name in --repos.
	Name() string
	// Load reads the packages and claims their files. It returns nil, nil if the tree has nothing
	// of its ecosystem. A damaged database is an error: a repo never silently claims less than the
	// database lists.
	Load(ctx context.Context, t *Tree) (*Result, error)
}

// Package is a package. Facts that a repo knows about each package are its fields.
type Package struct {
	// Name is the package's own name. It is empty for a component as a whole, such as the files of
	// the package manager.
	Name string
	// Component is named REPO/NAME. Packages can share it. It is nil for a package
	// without files.
	Component *format.Component
	// Type is that of its package URL, for example "deb". A package without one is not in a
	// bill of materials: it is removed, or nothing but its name is known.
	Type string
	// Namespace is a Maven group. Those of system packages are in the tree's os-release.
	Namespace string
	// Version is in the ecosystem's own form, with an epoch ("1:2.3-4") if there is one.
	Version, Arch string
	// Source is the package that it was built from, as the database says: a name, or an
	// rpm's file name. It is empty if that is the package itself. SourceVersion is empty
	// if it is the package's own.
	Source, SourceVersion string
	// License is as the database says it, in any form.
	License string
}

// Result is the result of a repo.
type Result struct {
	// Packages are all packages, including those without files.
	Packages []*Package
	// Claims are in any order. A directory belongs to all components that claim it. Any other file
	// that several components claim belongs to the component REPO/.shared. All names of an inode
	// belong together: the first one claimed decides.
	Claims []Claim
	// Fallback returns more claims, for files that no repo has claimed. It is called after all
	// repos have made their other claims; nil for none.
	Fallback func(ctx context.Context) (*Result, error)
	// Follows are files that were made from other files, with any owner. They count after all repos
	// have claimed, and again after each round of fallbacks.
	Follows []Follow
	// Intervals were set on files by the user, with any component.
	Intervals []Interval
	// Known are the intervals that users set for components by name.
	Known []KnownInterval
	// Database lists the physical paths of the database that the package manager needs. If the
	// image gets only a part of them, a warning says so.
	Database []string
	// Warnings are for people: one line each, without a newline.
	Warnings []string
}

// Claim says that a package owns a file.
type Claim struct {
	// File is an index into Tree.Files.
	File    int
	Package *Package
}

// Follow says that a file that no repo claims belongs to the component of another one.
type Follow struct {
	// File and Source are indexes into Tree.Files.
	File, Source int
}
