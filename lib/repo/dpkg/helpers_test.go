package dpkg

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"chunkah/lib/assign"
	"chunkah/lib/repo/pkgdb/pkgdbtest"
	"chunkah/tests/mkroot"
)

const (
	built     = 1500000000 // mtime of packaged files, in unix seconds
	installed = 1700000000 // mtime of files that dpkg wrote
)

// deb is a package in dpkg's database.
type deb struct {
	name   string
	fields string // besides Package, Status and Version
	status string // "install ok installed" if empty
	// list contains the paths in the package's list, without parents. If arch is set, it is part of
	// the list's name.
	list string
	arch string
	sums string // the paths of md5sums
}

// root writes a database as text for mkroot.
func root(debs ...deb) string {
	var status, text strings.Builder
	for _, d := range debs {
		if d.status == "" {
			d.status = "install ok installed"
		}
		stem, arch := "/var/lib/dpkg/info/"+d.name, "amd64"
		if d.arch != "" {
			stem, arch = stem+":"+d.arch, d.arch
		}
		fmt.Fprintf(&status, "Package: %s\nStatus: %s\nArchitecture: %s\nVersion: 1\n%sDescription: x\n y\n .\n z\n\n", d.name, d.status, arch, d.fields)
		if d.list != "" {
			text.WriteString(file(stem+".list", listOf(d.list), installed))
		}
		if d.sums != "" {
			text.WriteString(file(stem+".md5sums", sumsOf(d.sums), built))
		}
	}
	text.WriteString(file("/var/lib/dpkg/status", status.String(), installed))
	text.WriteString(file("/var/lib/dpkg/info/format", "1\n", installed))
	return text.String()
}

// file returns mkroot's line for a file.
func file(path, text string, mtime int64) string {
	return fmt.Sprintf("file %q text=%q mtime=%d\n", path, text, mtime)
}

// listOf returns the paths together with their parent directories, as in dpkg's lists.
func listOf(paths string) string {
	lines := []string{"/."}
	seen := map[string]bool{}
	for path := range strings.FieldsSeq(paths) {
		for i := 1; i < len(path); i++ {
			if path[i] == '/' && !seen[path[:i]] {
				seen[path[:i]] = true
				lines = append(lines, path[:i])
			}
		}
		if !seen[path] {
			seen[path] = true
			lines = append(lines, path)
		}
	}
	return pkgdbtest.Lines(lines...)
}

func sumsOf(paths string) string {
	var lines []string
	for path := range strings.FieldsSeq(paths) {
		lines = append(lines, "d41d8cd98f00b204e9800998ecf8427e  "+strings.TrimPrefix(path, "/"))
	}
	return pkgdbtest.Lines(lines...)
}

// claims runs the repo and returns the claims on files and the warnings as text.
func claims(t *testing.T, root string) (string, *assign.Outcome) {
	t.Helper()
	tree, outcome := pkgdbtest.Run(t, mkroot.Make(t, root), Repo{})
	var text strings.Builder
	for line := range strings.Lines(pkgdbtest.Claims(tree, Repo{}, true)) {
		if !strings.HasSuffix(line, " dpkg/.database\n") {
			text.WriteString(line)
		}
	}
	return text.String(), outcome
}

// check compares the result of claims, and the beginnings of warnings.
func check(t *testing.T, root, want string, warnings ...string) *assign.Outcome {
	t.Helper()
	got, outcome := claims(t, root)
	pkgdbtest.Equal(t, "claims", got, want)
	if len(outcome.Warnings) != len(warnings) {
		t.Errorf("got warnings\n%s\nwant\n%s", strings.Join(outcome.Warnings, "\n"), strings.Join(warnings, "\n"))
		return outcome
	}
	for i, w := range warnings {
		if !strings.Contains(outcome.Warnings[i], w) {
			t.Errorf("got warning %s, want %s", outcome.Warnings[i], w)
		}
	}
	return outcome
}

// fails checks the repo's error.
func fails(t *testing.T, root, want string) {
	t.Helper()
	_, err := Repo{}.Load(context.Background(), pkgdbtest.Tree(t, mkroot.Make(t, root)))
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func zipped(text string) string {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if _, err := io.WriteString(z, text); err != nil {
		panic(err)
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return buf.String()
}

// changelog writes entries with these dates.
func changelog(dates ...string) string {
	var text strings.Builder
	for _, date := range dates {
		fmt.Fprintf(&text, "pkg (1-1) unstable; urgency=medium\n\n  * Something.\n\n -- Some One <some@one.example>  %s\n\n", date)
	}
	return text.String()
}
