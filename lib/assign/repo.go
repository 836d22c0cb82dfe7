package assign

import (
	"context"

	"chunkah/format"
)

// A Repo finds the packages of one ecosystem in a tree.
type Repo interface {
	// Name is the first part of its components' names, as in "rpm/glibc", and its
	// name in --repos.
	Name() string
	// Load reads the packages and claims their files. It returns nil, nil if the tree
	// has nothing of its ecosystem. A damaged database is an error: a repo never
	// claims less than its database says.
	Load(ctx context.Context, t *Tree) (*Result, error)
}

// Package is one package. What a repo knows of each package belongs here.
type Package struct {
	// Name is the package's own. It is empty if no package is meant but the whole
	// component, such as the files of the package manager.
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

// Result is what a repo found.
type Result struct {
	// Packages are all packages that were read, also those without files.
	Packages []*Package
	// Claims are in any order. A directory belongs to all components that claim
	// it. Anything else that several claim belongs to a component of its own,
	// REPO/.shared. All names of an inode belong together: the first of them that is
	// claimed decides.
	Claims []Claim
	// Fallback returns more claims, for files that no repo has claimed so far. It is
	// called after all repos have claimed what they could without it. Nil for none.
	Fallback func(ctx context.Context) (*Result, error)
	// Follows are for files made from another file, whoever owns that one. They count
	// after all repos have claimed, and again after each round of fallbacks.
	Follows []Follow
	// Intervals were set on files by people, whatever components they end up in.
	Intervals []Interval
	// Known are the intervals that people set for components by name.
	Known []KnownInterval
	// Database are the physical paths of what the package manager needs of its database.
	// If the image gets a part of them, a warning says so.
	Database []string
	// Warnings are for people: one line each, without a newline.
	Warnings []string
}

// Claim says that a file belongs to a package.
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
