package rpm

import (
	"path"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"chunkah/format"
)

// addListed adds a record for every directory and regular file that a database's
// packages list, and for the directories they are in, without making any of it.
// Symlinks are left out, so that every path is a physical one.
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
		list, err := p.files()
		if err != nil {
			return err
		}
		return list.each(func(f *listed) {
			if f.mode&unix.S_IFMT == unix.S_IFDIR {
				add(path.Clean(f.path), format.TypeDir, 0)
			} else if f.mode&unix.S_IFMT == unix.S_IFREG && f.state == stateNormal && !f.ghost {
				later = append(later, *f)
			}
		})
	})
	if err != nil {
		tr.t.Fatal(err)
	}
	for _, f := range later {
		add(path.Clean(f.path), format.TypeFile, f.size)
	}
}

// TestLoadReal claims everything that a large database lists, in good time.
func TestLoadReal(t *testing.T) {
	for _, db := range []string{"fedora35/rpmdb.sqlite", "centos7-python35/Packages", "sle15-bci/Packages.db"} {
		t.Run(path.Dir(db), func(t *testing.T) {
			tr := newTree(t)
			tr.file("/var/lib/rpm/"+path.Base(db), string(readFile(t, testdata(t, db))))
			tr.addListed(db)
			start := time.Now()
			r := tr.mustLoad()
			t.Logf("%d packages, %d components, %d claims of %d files in %v", r.Packages, len(r.Components), len(r.Claims), len(tr.files), time.Since(start))
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("took %v", took)
			}
			claimed := make(map[int]bool)
			for _, c := range r.Claims {
				claimed[c.File] = true
			}
			for i, f := range tr.files {
				if f.Type != format.TypeDir && !claimed[i] {
					t.Fatalf("%q is claimed by nobody", f.Path)
				}
			}
			for i, c := range r.Components {
				if !strings.HasPrefix(c.Name, "rpm/") || i > 0 && c.Name <= r.Components[i-1].Name {
					t.Errorf("component %q is out of order", c.Name)
				}
			}
		})
	}
}
