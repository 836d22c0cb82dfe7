package assign

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

// records parses records from lines. A line is "path/" for a directory, "path -> target" for a
// symlink, or "path" followed by words: a size, "g1" for hard-link group 1, "@name" for a
// component.
func records(lines ...string) []*format.File {
	var files []*format.File
	for _, line := range lines {
		words := strings.Fields(line)
		f := &format.File{Path: words[0], Type: format.TypeFile, Mode: 0o644}
		for i := 1; i < len(words); i++ {
			switch word := words[i]; {
			case word == "->":
				i++
				f.Type, f.Target = format.TypeSymlink, words[i]
			case word[0] == '@':
				f.Components = append(f.Components, word[1:])
			case word[0] == 'g':
				f.Hardlink = number(word[1:])
			default:
				f.Size = number(word)
			}
		}
		if f.Path != "/" && strings.HasSuffix(f.Path, "/") || f.Path == "/" {
			f.Path, f.Type = "/"+strings.Trim(f.Path, "/"), format.TypeDir
		}
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b *format.File) int { return format.ComparePaths(a.Path, b.Path) })
	return files
}

func number(digits string) (n int64) {
	for _, d := range digits {
		n = n*10 + int64(d-'0')
	}
	return n
}

// onDisk creates the files of the records in a new root directory.
func onDisk(t testing.TB, files []*format.File) *rootfs.Root {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		path := filepath.Join(dir, f.Path)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		switch {
		case err != nil:
		case f.Type == format.TypeDir:
			err = os.MkdirAll(path, 0o755)
		case f.Type == format.TypeSymlink:
			err = os.Symlink(f.Target, path)
		default:
			err = os.WriteFile(path, nil, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// fake is a repo with given claims in the form "path component". A claim that starts with "~" is a
// fallback.
type fake struct {
	name   string
	claims []string
	err    error
	none   bool
	weak   error
}

func (r fake) Name() string { return r.name }

func (r fake) Load(_ context.Context, t *Tree) (*Result, error) {
	if r.err != nil || r.none {
		return nil, r.err
	}
	result := &Result{Packages: make([]*Package, 7), Warnings: []string{"warning of " + r.name}}
	byName := map[string]*Package{}
	claim := func(line string) Claim {
		path, name, _ := strings.Cut(line, " ")
		if byName[name] == nil {
			byName[name] = &Package{Component: &format.Component{Name: name, IntervalDays: 3}}
		}
		at, ok := t.Lookup(path)
		if !ok {
			panic("no record of " + path)
		}
		return Claim{at, byName[name]}
	}
	var weak []string
	for _, line := range r.claims {
		if path, ok := strings.CutPrefix(line, "~"); ok {
			weak = append(weak, path)
			continue
		}
		result.Claims = append(result.Claims, claim(line))
	}
	result.Fallback = func(context.Context) (*Result, error) {
		later := &Result{}
		for _, line := range weak {
			later.Claims = append(later.Claims, claim(line))
		}
		return later, r.weak
	}
	return result, nil
}

// wantTags compares the components of all records. "-" means no component.
func wantTags(t *testing.T, files []*format.File, want ...string) {
	t.Helper()
	var got []string
	for _, f := range files {
		names := strings.Join(f.Components, " ")
		if names == "" {
			names = "-"
		}
		got = append(got, f.Path+" "+names)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func names(components []*format.Component) []string {
	var list []string
	for _, c := range components {
		list = append(list, c.Name)
	}
	return list
}

var errBroken = errors.New("the database is broken")
