// Package placestest makes trees for the tests of component repos.
package placestest

import (
	"os"
	"slices"
	"sort"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/pkgdb/pkgdbtest"
	"chunkah/lib/rootfs"
)

// Root is a root in a temporary directory and the records of its files.
type Root struct {
	t     testing.TB
	dir   string
	files []*format.File
	links int64
}

// New creates an empty root.
func New(t testing.TB) *Root {
	return &Root{t: t, dir: t.TempDir()}
}

// Scan makes a root from an existing directory.
func Scan(t testing.TB, dir string) *Root {
	t.Helper()
	return &Root{t: t, dir: dir, files: pkgdbtest.Tree(t, dir).Files}
}

// Dir returns the root's directory.
func (r *Root) Dir() string { return r.dir }

// File creates a regular file with its parents, and their records.
func (r *Root) File(path, content string) *Root {
	r.t.Helper()
	r.parents(path)
	r.check(os.WriteFile(r.dir+path, []byte(content), 0o644))
	r.record(path, format.TypeFile).Size = int64(len(content))
	return r
}

// Sparse creates a sparse file of the given size that contains no data.
func (r *Root) Sparse(path string, size int64) *Root {
	r.t.Helper()
	r.File(path, "")
	r.check(os.Truncate(r.dir+path, size))
	r.files[len(r.files)-1].Size = size
	return r
}

// Exec creates an executable.
func (r *Root) Exec(path string, content []byte) *Root {
	r.t.Helper()
	r.File(path, string(content))
	r.check(os.Chmod(r.dir+path, 0o755))
	r.files[len(r.files)-1].Mode = 0o755
	return r
}

// Symlink creates a symlink.
func (r *Root) Symlink(path, target string) *Root {
	r.t.Helper()
	r.parents(path)
	r.check(os.Symlink(target, r.dir+path))
	r.record(path, format.TypeSymlink).Target = target
	return r
}

// Link creates a hard link to a file.
func (r *Root) Link(path, old string) *Root {
	r.t.Helper()
	r.parents(path)
	r.check(os.Link(r.dir+old, r.dir+path))
	first := r.find(old)
	if first.Hardlink == 0 {
		r.links++
		first.Hardlink = r.links
	}
	f := r.record(path, format.TypeFile)
	f.Size, f.Hardlink = first.Size, first.Hardlink
	return r
}

// Mkdir creates a directory.
func (r *Root) Mkdir(path string) *Root {
	r.t.Helper()
	r.parents(path + "/x")
	return r
}

// Own gives files a component before any repo runs.
func (r *Root) Own(component string, paths ...string) *Root {
	r.t.Helper()
	for _, path := range paths {
		r.find(path).Components = []string{component}
	}
	return r
}

// Remove removes a file and keeps its record.
func (r *Root) Remove(path string) { r.check(os.Remove(r.dir + path)) }

func (r *Root) find(path string) *format.File {
	r.t.Helper()
	i := slices.IndexFunc(r.files, func(f *format.File) bool { return f.Path == path })
	if i < 0 {
		r.t.Fatalf("there is no %q", path)
	}
	return r.files[i]
}

func (r *Root) parents(path string) {
	r.t.Helper()
	for i, c := range path {
		if c != '/' || i == 0 {
			continue
		}
		if err := os.Mkdir(r.dir+path[:i], 0o755); err == nil {
			r.record(path[:i], format.TypeDir)
		} else if !os.IsExist(err) {
			r.t.Fatal(err)
		}
	}
}

func (r *Root) record(path string, kind format.Type) *format.File {
	f := &format.File{Path: path, Type: kind, Mode: 0o644}
	r.files = append(r.files, f)
	return f
}

func (r *Root) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// Tree opens the root and puts the records in order.
func (r *Root) Tree() *assign.Tree {
	r.t.Helper()
	root, err := rootfs.Open(r.dir)
	r.check(err)
	r.t.Cleanup(func() { r.check(root.Close()) })
	sort.Slice(r.files, func(a, b int) bool { return format.ComparePaths(r.files[a].Path, r.files[b].Path) < 0 })
	return assign.NewTree(root, r.files)
}

// Assigned is a tree after its repos have claimed files.
type Assigned struct {
	*assign.Outcome
	t     testing.TB
	files map[string]*format.File
}

// Assign runs the repos on the root.
func (r *Root) Assign(repos ...assign.Repo) *Assigned {
	r.t.Helper()
	out, err := assign.Assign(r.t.Context(), r.Tree(), repos)
	r.check(err)
	a := &Assigned{Outcome: out, t: r.t, files: make(map[string]*format.File)}
	for _, f := range r.files {
		a.files[f.Path] = f
	}
	return a
}

// Owner returns the component of a path.
func (a *Assigned) Owner(path string) string {
	f := a.files[path]
	switch {
	case f == nil:
		return "no such record"
	case len(f.Components) == 0:
		return ""
	}
	return f.Components[0]
}

// Want checks the components of paths, given as path, component, path, component.
func (a *Assigned) Want(pairs ...string) {
	a.t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if got := a.Owner(pairs[i]); got != pairs[i+1] {
			a.t.Errorf("%s belongs to %q, want %q", pairs[i], got, pairs[i+1])
		}
	}
}

// WantWarnings checks that there is one warning per argument. An argument contains strings,
// separated by "|", and its warning must contain all of them.
func (a *Assigned) WantWarnings(texts ...string) {
	a.t.Helper()
	if len(a.Warnings) != len(texts) {
		a.t.Fatalf("%d warnings, want %d: %q", len(a.Warnings), len(texts), a.Warnings)
	}
	for i, text := range texts {
		for part := range strings.SplitSeq(text, "|") {
			if !strings.Contains(a.Warnings[i], part) {
				a.t.Errorf("warning %q is without %q", a.Warnings[i], part)
			}
		}
	}
}

// Components returns the names of the components with files.
func (a *Assigned) Components() []string {
	var names []string
	for _, c := range a.Outcome.Components {
		names = append(names, c.Name)
	}
	return names
}
