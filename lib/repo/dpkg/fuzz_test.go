package dpkg

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/pkgdb"
	"chunkah/lib/repo/pkgdb/pkgdbtest"
	"chunkah/lib/rootfs"
	"chunkah/tests/bound"
)

func FuzzEntries(f *testing.F) {
	f.Add([]byte("Package: a\nStatus: install ok installed\nSource: b (1)\nVersion: 1\nConffiles:\n /etc/a 00 obsolete\n\nPackage: b\n"))
	f.Add([]byte("Package: a\r\nMulti-Arch: same\r\n\r\n \nx: \x00\nPackage"))
	text := pkgdb.NewLines()
	f.Fuzz(func(t *testing.T, raw []byte) {
		bound.Input(t, len(raw))
		text.Reset(bytes.NewReader(raw), int64(len(raw)))
		line := 0
		err := ParseEntries(text, func(e *Entry) {
			if e.Line <= line || len(e.Faults) > 4 || len(e.Name)+len(e.Source)+len(e.Version) > 3*maxValue {
				t.Fatalf("got %+v", e)
			}
			line = e.Line
		})
		if err != nil {
			t.Skip(err) // the limit for all texts together
		}
	})
}

func FuzzDiversions(f *testing.F) {
	f.Add([]byte("/a\n/b\nc\n"))
	f.Add([]byte("/a\n/b\n:\n/c\nd"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		bound.Input(t, len(raw))
		text := pkgdb.NewLines()
		text.Reset(bytes.NewReader(raw), int64(len(raw)))
		list, err := parseDiversions(text)
		if err == nil && len(list) > (len(raw)+1)/6 {
			t.Fatalf("got %d diversions", len(list))
		}
	})
}

func FuzzChangelog(f *testing.F) {
	f.Add([]byte(changelog("Mon, 02 Jan 2023 13:06:21 +0100", "nonsense")))
	f.Fuzz(func(t *testing.T, raw []byte) {
		bound.Input(t, len(raw))
		text := pkgdb.NewLines()
		text.Reset(bytes.NewReader(raw), int64(len(raw)))
		for _, at := range parseChangelog(text) {
			if at <= 0 || at > format.MaxInt {
				t.Fatalf("got %d", at)
			}
		}
	})
}

// FuzzLoad reads a complete database: status, one list, its md5sums and a changelog.
func FuzzLoad(f *testing.F) {
	status := "Package: a\nStatus: install ok installed\nVersion: 1\n\nPackage: b\nStatus: deinstall ok config-files\nVersion: 1\n\n"
	f.Add([]byte(status), []byte(listOf("/usr/bin/a /etc/a")), []byte(sumsOf("/usr/bin/a")), []byte(changelog("Mon, 02 Jan 2023 13:06:21 +0100")))
	f.Add([]byte(status), []byte("/.\n/usr/../etc/a\n/loop/x\n/"), []byte("x"), []byte(zipped("")))
	dir := f.TempDir()
	for _, name := range []string{"usr/bin/a", "etc/a", "usr/share/doc/a/x", "var/lib/dpkg/info/b.list"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			f.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("/etc/b\n"), 0o644); err != nil {
			f.Fatal(err)
		}
	}
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		f.Fatal(err)
	}
	root, err := rootfs.Open(dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status, list, sums, log []byte) {
		bound.Input(t, len(status)+len(list)+len(sums)+len(log))
		for name, text := range map[string][]byte{
			"var/lib/dpkg/status": status, "var/lib/dpkg/info/a.list": list,
			"var/lib/dpkg/info/a.md5sums": sums, "usr/share/doc/a/changelog.gz": log,
		} {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		var files []*format.File
		for _, path := range []string{"/", "/etc", "/etc/a", "/loop", "/usr", "/usr/bin", "/usr/bin/a"} {
			kind := format.TypeDir
			if filepath.Base(path) == "a" {
				kind = format.TypeFile
			} else if path == "/loop" {
				kind = format.TypeSymlink
			}
			files = append(files, &format.File{Path: path, Type: kind, Target: "loop"})
		}
		tree := assign.NewTree(root, files)
		r, err := Repo{}.Load(context.Background(), tree)
		if err != nil {
			return
		}
		if r == nil {
			t.Fatal("found no database")
		}
		pkgdbtest.Sound(t, tree, r)
		if _, err := assign.Assign(context.Background(), tree, []assign.Repo{fixed{r}}); err != nil {
			t.Fatal(err)
		}
		for _, c := range r.Claims {
			if c.Package.Component.Name == "dpkg/" {
				t.Fatal("a component has no name")
			}
		}
	})
}

// fixed is a repo with a fixed result.
type fixed struct{ result *assign.Result }

func (fixed) Name() string { return "fixed" }

func (f fixed) Load(context.Context, *assign.Tree) (*assign.Result, error) { return f.result, nil }
