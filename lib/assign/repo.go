package assign

import (
	"context"

	"chunkah/format"
)

// A Repo finds the components of one package ecosystem in a tree.
type Repo interface {
	// Name is the first part of its components' names, as in "rpm/glibc", and
	// what --repos calls it.
	Name() string
	// Load reads what the repo knows and claims files. It returns nil, nil where
	// the tree has nothing of its ecosystem. A damaged database is an error: a
	// repo never claims less than its database says.
	Load(ctx context.Context, t *Tree) (*Result, error)
}

// Result is what a repo found.
type Result struct {
	// Packages counts the packages that were read.
	Packages int
	// Components are the repo's components, named REPO/NAME.
	Components []*format.Component
	// Claims are in any order. A directory belongs to all components that claim
	// it. Anything else that several claim belongs to a component of its own,
	// REPO/.shared. All names of an inode belong together: the first of them that is
	// claimed decides.
	Claims []Claim
	// Weak, where not nil, is called once the claims of all repos are settled, in
	// the order of the repos. Its claims count for what nobody has claimed. It may
	// add Components.
	Weak func(ctx context.Context) ([]Claim, error)
	// Last, where not nil, is called as Weak is, once all those claims are settled.
	Last func(ctx context.Context) ([]Claim, error)
	// Follows are for what was made from a file and belongs with it, whoever has
	// that: once strong claims are settled, and again once weak ones are.
	Follows []Follow
	// Intervals are said of files by people, whatever component they end up in.
	Intervals []Interval
	// Database are the physical paths of what the package manager needs of its database.
	// If the image gets a part of them, a warning says so.
	Database []string
	// Warnings are for people: one line each, without an end.
	Warnings []string
}

// Claim says that a file belongs to a component.
type Claim struct {
	// File is an index into Tree.Files.
	File int
	// Component is an index into Result.Components.
	Component int
}

// Follow says that a file, where nobody has claimed it, goes to the component of
// another one.
type Follow struct {
	// File and Source are indexes into Tree.Files.
	File, Source int
}
