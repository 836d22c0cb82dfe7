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
	// Database lists the physical paths of the package manager's database. If the image gets only a
	// part of them, there is a warning.
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
