package assign

import (
	"context"

	"chunkah/format"
)

// A Repo finds the packages of one ecosystem in a tree.
type Repo interface {
	// Name is the repo's name in --repos, and the first part of its components' names, for example
	// "rpm" in "rpm/glibc".
	Name() string
	// Load reads the packages and claims their files. It returns nil, nil if the tree contains
	// nothing from its ecosystem. A damaged database is an error, so a repo never silently claims
	// fewer files than the database lists.
	Load(ctx context.Context, t *Tree) (*Result, error)
}

// Package contains the metadata of a package, as read by its repo.
type Package struct {
	// Name is the package's own name. It is empty if the Package represents a whole component, such
	// as the files of the package manager.
	Name string
	// Component is the package's component, whose name is REPO/NAME. Several packages can share it.
	// It is nil for a package without files.
	Component *format.Component
	// Type is the type in the package URL, for example "deb". A package has no type if it was
	// removed or if only its name is known. Such a package is left out of the bill of materials.
	Type string
	// Namespace is a Maven group. For system packages, the namespace comes from the tree's
	// os-release.
	Namespace string
	// Version uses the ecosystem's own syntax. It includes the epoch if the package has an epoch
	// ("1:2.3-4").
	Version, Arch string
	// Source is the package that this package was built from, as recorded in the database: a name,
	// or an rpm's file name. It is empty if the package is its own source. SourceVersion is empty
	// if it equals the package's own version.
	Source, SourceVersion string
	// License is the license as recorded in the database, whatever its syntax.
	License string
}

// Result is the result of a repo.
type Result struct {
	// Packages are all packages of the repo, including packages without files.
	Packages []*Package
	// Claims can be in any order. A directory belongs to all components that claim it. Any other
	// file that several components claim belongs to the component REPO/.shared. All names of an
	// inode belong to the same component, which is the component of the first name that is claimed.
	Claims []Claim
	// Fallback returns more claims, for files that no repo has claimed. It is called after all
	// repos have made their other claims. It is nil if the repo has no fallback.
	Fallback func(ctx context.Context) (*Result, error)
	// Follows lists files that depend on other files, whichever repo claims those files. They are
	// applied after the claims of all repos, and again after each round of fallbacks.
	Follows []Follow
	// Intervals are the intervals that the user set on files, whichever repo claims those files.
	Intervals []Interval
	// Known are the intervals that the user set for components by name.
	Known []KnownInterval
	// Database lists the physical paths of the database that the package manager needs. A warning
	// is printed if the image gets only some of them.
	Database []string
	// Warnings are messages for the user. Each message is a single line without a newline.
	Warnings []string
}

// Claim states that a package owns a file.
type Claim struct {
	// File is an index into Tree.Files.
	File    int
	Package *Package
}

// Follow assigns a file that no repo claims to the component of another file.
type Follow struct {
	// File and Source are indexes into Tree.Files.
	File, Source int
}
