package tests

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/tests/clients"
)

// owners contains the results of chunkah-assign for a root.
type owners struct {
	paths      []string // in the order of the stream
	files      map[string]*format.File
	components map[string]*format.Component
	stderr     string
}

// assign scans a root and returns the owners of its files.
func assign(t *testing.T, root string, args ...string) *owners {
	t.Helper()
	cmd := exec.Command("bash", "-o", "pipefail", "-c",
		`chunkah-scan --skip-special-files "$ROOT" 2>/dev/null | chunkah-assign "$@"`, "bash")
	cmd.Args = append(cmd.Args, args...)
	cmd.Env = append(os.Environ(), "ROOT="+root)
	res := start(t, cmd)
	if res.code != 0 {
		t.Fatalf("assigning %s: status %d\n%s", root, res.code, res.stderr)
	}
	o := readOwners(t, []byte(res.stdout))
	o.stderr = res.stderr
	return o
}

// readOwners reads an assigned stream.
func readOwners(t *testing.T, stream []byte) *owners {
	t.Helper()
	o := &owners{files: map[string]*format.File{}, components: map[string]*format.Component{}}
	r := format.NewReader(bytes.NewReader(stream), "assigned")
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return o
		}
		if err != nil {
			t.Fatal(err)
		}
		switch rec := rec.(type) {
		case *format.File:
			o.files[rec.Path] = rec
			o.paths = append(o.paths, rec.Path)
		case *format.Component:
			o.components[rec.Name] = rec
		}
	}
}

// of returns the component of a path, or all components of a directory.
func (o *owners) of(path string) string {
	f := o.files[path]
	if f == nil {
		return "not in the stream"
	}
	return strings.Join(f.Components, ", ")
}

// want checks the components of some paths.
func (o *owners) want(t *testing.T, want map[string]string) {
	t.Helper()
	for path, component := range want {
		if got := o.of(path); got != component {
			t.Errorf("%q belongs to %q, want %q", path, got, component)
		}
	}
}

// have checks that these components exist and that all names in the stream are REPO/NAME.
func (o *owners) have(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if o.components[name] == nil {
			t.Errorf("there is no component %s", name)
		}
	}
	for name := range o.components {
		if repo, rest, ok := strings.Cut(name, "/"); !ok || repo == "" || rest == "" {
			t.Errorf("component %q is not named REPO/NAME", name)
		}
	}
}

// leaves returns all paths that are not directories. If keep is not nil, it selects the paths.
func (o *owners) leaves(keep func(f *format.File) bool) []string {
	var list []string
	for _, p := range o.paths {
		if f := o.files[p]; f.Type != format.TypeDir && (keep == nil || keep(f)) {
			list = append(list, p)
		}
	}
	return list
}

// unclaimed checks that less than 1 % of the bytes outside /var/lib and /var/cache have no owner.
func (o *owners) unclaimed(t *testing.T) {
	t.Helper()
	var all, left int64
	var names []string
	links := map[int64]bool{}
	for _, p := range o.leaves(nil) {
		f := o.files[p]
		if strings.HasPrefix(p, "/var/lib/") || strings.HasPrefix(p, "/var/cache/") || f.Hardlink != 0 && links[f.Hardlink] {
			continue
		}
		links[f.Hardlink] = true
		all += max(f.Size, 0)
		if strings.HasPrefix(o.of(p)+"/", "chunkah/unclaimed/") {
			left += max(f.Size, 0)
			names = append(names, p)
		}
	}
	if all < 1<<20 || left*100 >= all {
		t.Errorf("%d of %d bytes are unclaimed: %q", left, all, names)
	}
}

// compiled checks that every compiled Python file has the component of its source, and that there
// are at least this many compiled files.
func (o *owners) compiled(t *testing.T, least int) {
	t.Helper()
	n := 0
	for _, p := range o.leaves(nil) {
		dir, file := path.Split(p)
		stem, isCompiled := strings.CutSuffix(file, ".pyc")
		if !isCompiled {
			continue
		}
		if path.Base(dir) == "__pycache__" {
			dir = path.Dir(path.Dir(dir)) + "/"
			stem, _, _ = strings.Cut(stem, ".cpython-")
		}
		if o.files[dir+stem+".py"] == nil {
			continue
		}
		n++
		if got, want := o.of(p), o.of(dir+stem+".py"); got != want {
			t.Errorf("%q belongs to %q, its source to %q", p, got, want)
		}
	}
	if n < least {
		t.Errorf("there are %d compiled files with their source, want %d or more", n, least)
	}
}

// sample returns n of the strings, spread evenly.
func sample(list []string, n int) []string {
	if len(list) <= n {
		return list
	}
	var some []string
	for i := range n {
		some = append(some, list[i*len(list)/n])
	}
	return some
}

// dpkgAgrees checks that dpkg -S names a package with the same source for 200 files.
func (o *owners) dpkgAgrees(t *testing.T, root string) {
	t.Helper()
	source := map[string]string{}
	list := clients.Run(t, exec.Command("chroot", root, "dpkg-query", "--show", "--showformat", "${Package}\t${source:Package}\n"))
	for line := range strings.Lines(list) {
		name, from, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		source[name] = from
	}
	asked := sample(o.leaves(nil), 400)
	args := []string{root, "dpkg", "-S"}
	pattern := strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`)
	for _, p := range asked {
		args = append(args, pattern.Replace(p))
		if short, ok := strings.CutPrefix(p, "/usr/"); ok {
			args = append(args, pattern.Replace("/"+short)) // packages built before the /usr merge list the path in this form
		}
	}
	// Status 1 means that no package contains some of the paths.
	res := start(t, exec.Command("chroot", args...))
	if res.code > 1 {
		t.Fatalf("dpkg -S: status %d\n%s", res.code, res.stderr)
	}
	said := map[string][]string{}
	for line := range strings.Lines(res.stdout) {
		names, p, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if strings.Contains(names, "diversion") {
			continue // "diversion by PACKAGE from: PATH" is not an owner
		}
		for name := range strings.SplitSeq(names, ", ") {
			name, _, _ = strings.Cut(name, ":")
			said[p] = append(said[p], "dpkg/"+source[name])
		}
	}
	n := 0
	for _, p := range asked {
		short, _ := strings.CutPrefix(p, "/usr")
		sources := slices.Concat(said[p], said[short])
		if len(sources) == 0 {
			continue
		}
		n++
		if got := o.of(p); !slices.Contains(sources, got) {
			t.Errorf("%q belongs to %q, dpkg -S says %q", p, got, sources)
		}
	}
	if n < 200 {
		t.Errorf("dpkg -S knows %d of %d files", n, len(asked))
	}
}
