package rpm

import (
	"path"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"chunkah/format"
)

// addListed adds records for every directory and regular file in a database's packages, and for
// their parents, without creating files. Symlinks are left out, so that every path is a physical
// path.
func (tr *tree) addListed(db string) {
	tr.t.Helper()
	seen := make(map[string]bool)
	for _, f := range tr.files {
		seen[f.Path] = true
	}
	var add func(p string, kind format.Type, size int64)
	add = func(p string, kind format.Type, size int64) {
		if seen[p] {
			return
		}
		seen[p] = true
		if p != "/" {
			add(path.Dir(p), format.TypeDir, 0)
		}
		tr.record(p, kind, size)
	}
	raw := readFile(tr.t, testdata(tr.t, db))
	var later []listed
	err := visitAll(tr.t, formOf(db).read, raw, nil, func(_ int64, blob []byte) error {
		p, err := parsePackage(blob)
		if err != nil {
			return err
		}
		list, err := p.header.files()
		if err != nil {
			return err
		}
		return list.each(func(f *listed) error {
			if f.mode&unix.S_IFMT == unix.S_IFDIR {
				add(path.Clean(f.path), format.TypeDir, 0)
			} else if f.mode&unix.S_IFMT == unix.S_IFREG && f.state == stateNormal && !f.ghost {
				later = append(later, *f)
			}
			return nil
		})
	})
	if err != nil {
		tr.t.Fatal(err)
	}
	for _, f := range later {
		add(path.Clean(f.path), format.TypeFile, f.size)
	}
}

// maxWork is the largest number of allocations per file in a tree, which must not depend on the
// number of files. It is about three times the actual number.
const maxWork = 8

// TestLoadReal checks that everything that a large database lists is claimed, with the same work
// per file as for a small database.
func TestLoadReal(t *testing.T) {
	for _, db := range []string{"fedora35/rpmdb.sqlite", "centos7-python35/Packages", "sle15-bci/Packages.db"} {
		t.Run(path.Dir(db), func(t *testing.T) {
			tr := newTree(t)
			tr.file("/var/lib/rpm/"+path.Base(db), string(readFile(t, testdata(t, db))))
			tr.addListed(db)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r := tr.mustLoad()
			runtime.ReadMemStats(&after)
			work := float64(after.Mallocs-before.Mallocs) / float64(len(tr.files))
			t.Logf("%d packages, %d components, %d claims of %d files, %.1f allocations each", len(r.Packages), len(componentsOf(r)), len(r.Claims), len(tr.files), work)
			if work > maxWork {
				t.Errorf("%.1f allocations a file, want %d at most", work, maxWork)
			}
			claimed := make(map[int]bool)
			for _, c := range r.Claims {
				claimed[c.File] = true
			}
			for i, f := range tr.files {
				if f.Type != format.TypeDir && !claimed[i] {
					t.Fatalf("%q is not claimed", f.Path)
				}
			}
			for _, c := range componentsOf(r) {
				if !strings.HasPrefix(c.Name, "rpm/") {
					t.Errorf("component %q", c.Name)
				}
			}
		})
	}
}
