// Package pkgdbtest contains helpers for tests of package database repos. It runs a repo on a root
// and prints the result as text.
package pkgdbtest

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/rootfs"
	"chunkah/lib/scan"
)

// Tree scans the root at dir.
func Tree(t testing.TB, dir string) *assign.Tree {
	t.Helper()
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	var files []*format.File
	for f, err := range scan.Walk(context.Background(), root, scan.Options{Special: scan.SpecialKeep}, &scan.Report{}) {
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return assign.NewTree(root, files)
}

// Run assigns the files of the root at dir with one repo.
func Run(t testing.TB, dir string, repo assign.Repo) (*assign.Tree, *assign.Outcome) {
	t.Helper()
	tree := Tree(t, dir)
	outcome, err := assign.Assign(context.Background(), tree, []assign.Repo{repo})
	if err != nil {
		t.Fatal(err)
	}
	return tree, outcome
}

// Claims lists the claims of the repo's components, one per line: "path component…". Directories
// are left out if files is set.
func Claims(tree *assign.Tree, repo assign.Repo, files bool) string {
	var lines []string
	for _, f := range tree.Files {
		if files && f.Type == format.TypeDir {
			continue
		}
		if len(f.Components) > 0 && strings.HasPrefix(f.Components[0], repo.Name()+"/") {
			lines = append(lines, f.Path+" "+strings.Join(f.Components, " "))
		}
	}
	return Lines(lines...)
}

// Packages lists the data that a bill of materials contains about packages, with one line per
// package: type, namespace, name, version, architecture, source, source version and licence. An
// empty field is printed as "-".
func Packages(list []*assign.Package) string {
	var lines []string
	for _, p := range list {
		fields := []string{p.Type, p.Namespace, p.Name, p.Version, p.Arch, p.Source, p.SourceVersion, p.License}
		for i := range fields {
			fields[i] = cmp.Or(fields[i], "-")
		}
		lines = append(lines, strings.Join(fields, " "))
	}
	return Lines(lines...)
}

// Sound checks that all claims of a result refer to records of the tree and to components that are
// valid in a stream.
func Sound(t testing.TB, tree *assign.Tree, r *assign.Result) {
	t.Helper()
	for _, claim := range r.Claims {
		if claim.File < 0 || claim.File >= len(tree.Files) {
			t.Errorf("claim on file %d of %d", claim.File, len(tree.Files))
		}
		if err := claim.Package.Component.Validate(); err != nil {
			t.Error(err)
		}
	}
}

// Components lists components, one per line. It omits the components of empty directories and of
// unclaimed files, which belong to no repo.
func Components(list []*format.Component) string {
	var lines []string
	for _, c := range list {
		if c.Name == format.EmptyDirectories || strings.HasPrefix(c.Name, format.Unclaimed) {
			continue
		}
		line := c.Name
		if c.HasMtimeClamp {
			line += fmt.Sprintf(" clamp=%d", c.MtimeClamp)
		}
		if c.IntervalDays > 0 {
			line += fmt.Sprintf(" days=%d", c.IntervalDays)
		}
		if len(c.Updates) > 0 {
			line += " updates=" + strings.Trim(fmt.Sprint(c.Updates), "[]")
		}
		lines = append(lines, line)
	}
	return Lines(lines...)
}

// Lines joins lines and adds a newline to each.
func Lines(lines ...string) string {
	if len(lines) == 0 {
		return ""
	}
	return strings.Join(lines, "\n") + "\n"
}

// Equal fails the test if two strings differ, and prints the different lines.
func Equal(t testing.TB, what, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	has, wants := index(got), index(want)
	var diff []string
	for line := range strings.SplitSeq(want, "\n") {
		if !has[line] {
			diff = append(diff, "- "+line)
		}
	}
	for line := range strings.SplitSeq(got, "\n") {
		if !wants[line] {
			diff = append(diff, "+ "+line)
		}
	}
	t.Errorf("%s: got + for want -:\n%s", what, strings.Join(diff, "\n"))
}

func index(text string) map[string]bool {
	set := make(map[string]bool)
	for line := range strings.SplitSeq(text, "\n") {
		set[line] = true
	}
	return set
}
