package alpm

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/pkgdb"
	"chunkah/lib/repo/pkgdb/pkgdbtest"
	"chunkah/lib/rootfs"
	"chunkah/tests/bound"
)

func FuzzConf(f *testing.F) {
	f.Add([]byte("[options]\nDBPath = /x # y\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		bound.Input(t, len(raw))
		text := pkgdb.NewLines()
		text.Reset(bytes.NewReader(raw), int64(len(raw)))
		if place := parseConf(text); place != "" && (place[0] != '/' || len(place) > assign.MaxListed) {
			t.Fatalf("got %q", place)
		}
	})
}

func FuzzMtree(f *testing.F) {
	f.Add([]byte("#mtree\n/set type=dir\n./a\\040b type=link link=x\n./.PKGINFO\n/unset type\nb\\9\\x\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		bound.Input(t, len(raw))
		text := pkgdb.NewLines()
		text.Reset(bytes.NewReader(raw), int64(len(raw)))
		types := make(map[string]byte)
		if err := parseMtree(text, types); err != nil {
			return
		}
		for path, kind := range types {
			if path == "" || kind == 0 || len(path) > assign.MaxListed {
				t.Fatalf("got %q, %q", path, kind)
			}
		}
		if len(types) > bytes.Count(raw, []byte("\n"))+1 {
			t.Fatalf("got %d paths", len(types))
		}
	})
}

// FuzzLoad reads a database that contains one package, with a small tree.
func FuzzLoad(f *testing.F) {
	p := pack{"a", "b", 7, []string{"usr/bin/a", "etc/", "loop/x"}}
	f.Add([]byte(p.desc()), []byte(p.files()), []byte(zipped(p.mtree())))
	f.Add([]byte("%NAME%\r\na"), []byte("%FILES%\n/\nusr/../top\n\x00"), []byte(p.mtree()))
	dir := f.TempDir()
	pkg := filepath.Join(dir, "var/lib/pacman/local/a-1-1")
	if err := os.MkdirAll(pkg, 0o755); err != nil {
		f.Fatal(err)
	}
	if err := os.Symlink("loop", dir+"/loop"); err != nil {
		f.Fatal(err)
	}
	root, err := rootfs.Open(dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, desc, files, mtree []byte) {
		bound.Input(t, len(desc)+len(files)+len(mtree))
		for name, text := range map[string][]byte{"desc": desc, "files": files, "mtree": mtree} {
			if err := os.WriteFile(filepath.Join(pkg, name), text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		tree := assign.NewTree(root, []*format.File{
			{Path: "/", Type: format.TypeDir}, {Path: "/etc", Type: format.TypeDir}, {Path: "/loop", Type: format.TypeSymlink, Target: "loop"},
			{Path: "/top", Type: format.TypeFile}, {Path: "/usr", Type: format.TypeDir}, {Path: "/usr/bin", Type: format.TypeDir},
			{Path: "/usr/bin/a", Type: format.TypeFile},
		})
		r, err := Repo{}.Load(context.Background(), tree)
		if err != nil {
			t.Skip(err)
		}
		pkgdbtest.Sound(t, tree, r)
		for _, c := range r.Claims {
			if name := c.Package.Component.Name; !strings.HasPrefix(name, "alpm/") {
				t.Fatal(name)
			}
		}
	})
}
