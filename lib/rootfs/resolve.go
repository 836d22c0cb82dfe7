package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is the largest number of symlinks in one resolution, the same as in Linux (MAXSYMLINKS).
const maxLinks = 40

// Resolve returns the physical path of an absolute path in the tree. It follows all symlinks within
// the tree, including one in the last path element. The parent of the root is the root. If a name
// does not exist, the error wraps fs.ErrNotExist.
func (r *Root) Resolve(path string) (string, error) { return NewResolver(r.Peek).Resolve(path) }

// Peek returns the type (unix.S_IFMT) of the file called name in the directory with the physical
// path at. For a symlink, it also returns the target.
func (r *Root) Peek(at, name string) (kind uint32, target string, err error) {
	d, err := r.OpenDir(at)
	if err != nil {
		if errors.Is(err, unix.ENOTDIR) {
			return 0, "", fs.ErrNotExist
		}
		return 0, "", err
	}
	defer d.Close()
	st, err := d.Lstat(name)
	if err != nil {
		return 0, "", err
	}
	kind = st.Mode & unix.S_IFMT
	if kind == unix.S_IFLNK {
		target, err = d.Readlink(name)
	}
	return kind, target, err
}

// Resolver resolves paths in a tree that does not change. It examines each name once and follows
// each symlink once, so the cost of nested symlinks is at most the total length of their targets.
// Only one goroutine can use it at a time.
type Resolver struct {
	peek func(dir, name string) (kind uint32, target string, err error)
	top  *place
	// steps counts the names visited, for tests.
	steps int
}

// NewResolver returns a resolver. peek returns the type and link target of a name in a physical
// directory.
func NewResolver(peek func(dir, name string) (kind uint32, target string, err error)) *Resolver {
	top := &place{kind: unix.S_IFDIR}
	top.parent = top
	return &Resolver{peek: peek, top: top}
}

// place is a name in a physical directory.
type place struct {
	parent *place // the root is its own parent
	name   string // empty for the root
	path   string // computed on demand
	below  map[string]*place
	kind   uint32 // unix.S_IFMT
	err    error  // set if the name does not exist
	link   *link  // set for a symlink
}

// link is a symlink.
type link struct {
	target string
	busy   bool // being followed
	done   bool
	// The result is a place that is not a link, and the number of other links on the way.
	to    *place
	links int
	err   error
}

// physical returns the path of a place.
func (p *place) physical() string {
	if p.path == "" {
		var names []string
		for at := p; at != at.parent; at = at.parent {
			names = append(names, at.name)
		}
		var b strings.Builder
		for _, name := range slices.Backward(names) {
			b.WriteString("/" + name)
		}
		if p.path = b.String(); p.path == "" {
			p.path = "/"
		}
	}
	return p.path
}

// walk is the state of following one path.
type walk struct {
	of    *link // the link whose target this is; nil for the requested path
	at    *place
	rest  string
	links int // number of links followed so far
}

// Resolve is like Root.Resolve.
func (r *Resolver) Resolve(path string) (string, error) {
	at, err := r.resolve(path)
	if err != nil {
		return "", fmt.Errorf("resolving %q: %w", path, err)
	}
	return at.physical(), nil
}

func (r *Resolver) resolve(path string) (*place, error) {
	walks := []walk{{at: r.top, rest: path}}
	for {
		w := &walks[len(walks)-1]
		next, err := r.advance(w)
		if err == nil && next != nil { // a link that has not been followed yet
			walks = append(walks, *next)
			continue
		}
		if w.of == nil {
			return w.at, err
		}
		*w.of = link{target: w.of.target, done: true, to: w.at, links: w.links, err: err}
		walks = walks[:len(walks)-1]
	}
}

// advance follows a walk to its end, or to a link that must be followed first.
func (r *Resolver) advance(w *walk) (first *walk, err error) {
	for w.rest != "" {
		r.steps++
		name, tail, _ := strings.Cut(w.rest, "/")
		switch {
		case name == "":
			w.rest = tail
			continue
		case w.at.kind != unix.S_IFDIR:
			return nil, fs.ErrNotExist
		case name == ".":
			w.rest = tail
			continue
		case name == "..":
			w.at, w.rest = w.at.parent, tail
			continue
		}
		p := r.lookup(w.at, name)
		if p.err != nil {
			return nil, p.err
		}
		if l := p.link; l != nil {
			switch {
			case l.busy:
				return nil, unix.ELOOP
			case !l.done:
				l.busy = true
				first := &walk{of: l, at: w.at, rest: l.target}
				if strings.HasPrefix(l.target, "/") {
					first.at = r.top
				}
				return first, nil
			case l.err != nil:
				return nil, l.err
			}
			if w.links += 1 + l.links; w.links > maxLinks {
				return nil, unix.ELOOP
			}
			p = l.to
		}
		w.at, w.rest = p, tail
	}
	return nil, nil
}

// lookup returns the place of a name.
func (r *Resolver) lookup(at *place, name string) *place {
	if p := at.below[name]; p != nil {
		return p
	}
	name = strings.Clone(name) // so that the whole path need not stay in memory
	p := &place{parent: at, name: name}
	kind, target, err := r.peek(at.physical(), name)
	if p.kind, p.err = kind, err; err == nil && kind == unix.S_IFLNK {
		p.link = &link{target: target}
	}
	if at.below == nil {
		at.below = make(map[string]*place)
	}
	at.below[name] = p
	return p
}
