package rpm

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestNoDatabase(t *testing.T) {
	for name, tr := range map[string]*tree{
		"nothing":        newTree(t),
		"macros only":    newTree(t).file("/usr/share/rpm/macros", "x"),
		"dangling link":  newTree(t).symlink("/var/lib/rpm", "../../nowhere"),
		"loop":           newTree(t).symlink("/var/lib/rpm", "rpm"),
		"not a folder":   newTree(t).file("/var/lib/rpm", "x"),
		"dangling inner": newTree(t).symlink("/var/lib/rpm/Packages", "/gone"),
	} {
		if r, err := tr.load(); r != nil || err != nil {
			t.Errorf("%s: got %v, %v", name, r, err)
		}
	}
}

func TestChoice(t *testing.T) {
	one, two, none := databaseOf(t, testPackage{name: "one"}), databaseOf(t, testPackage{name: "two"}), databaseOf(t)
	small := string(readFile(t, testdata(t, "libuuid/Packages")))
	damaged := string([]byte(small)[:9000])
	for name, c := range map[string]struct {
		tree *tree
		want string // components except the database's own, or the error
		warn string
	}{
		"one folder by three names": {newTree(t).file("/usr/share/rpm/rpmdb.sqlite", one).
			symlink("/usr/lib/sysimage/rpm", "../../share/rpm").symlink("/var/lib/rpm", "/usr/lib/sysimage/rpm"), "rpm/one", ""},
		"one file by two names": {newTree(t).file("/usr/lib/sysimage/rpm/rpmdb.sqlite", one).
			symlink("/var/lib/rpm/rpmdb.sqlite", "../../../usr/lib/sysimage/rpm/rpmdb.sqlite"), "rpm/one", ""},
		"file outside the folders": {newTree(t).file("/data/x", one).symlink("/var/lib/rpm/rpmdb.sqlite", "/../data/x"), "rpm/one", ""},
		"two folders": {newTree(t).file("/var/lib/rpm/rpmdb.sqlite", two).file("/usr/lib/sysimage/rpm/rpmdb.sqlite", one), "rpm/one",
			`skipping rpm database "/var/lib/rpm/rpmdb.sqlite": the packages are read from "/usr/lib/sysimage/rpm/rpmdb.sqlite"`},
		"newest form first":  {newTree(t).file("/var/lib/rpm/rpmdb.sqlite", one).file("/var/lib/rpm/Packages", small), "rpm/one", `skipping rpm database "/var/lib/rpm/Packages"`},
		"empty leftover":     {newTree(t).file("/var/lib/rpm/rpmdb.sqlite", "").file("/var/lib/rpm/Packages", small), "rpm/util-linux", ""},
		"empty new form":     {newTree(t).file("/usr/share/rpm/rpmdb.sqlite", none).file("/var/lib/rpm/Packages", small), "rpm/util-linux", ""},
		"damaged leftover":   {newTree(t).file("/var/lib/rpm/rpmdb.sqlite", one).file("/var/lib/rpm/Packages", damaged), "rpm/one", `skipping rpm database: reading "/var/lib/rpm/Packages": is truncated`},
		"no packages at all": {newTree(t).file("/var/lib/rpm/rpmdb.sqlite", none), "", ""},
		"empty file alone":   {newTree(t).file("/var/lib/rpm/rpmdb.sqlite", ""), `reading "/var/lib/rpm/rpmdb.sqlite": is truncated`, ""},
		"damaged first":      {newTree(t).file("/usr/share/rpm/Packages", damaged).file("/var/lib/rpm/rpmdb.sqlite", one), `reading "/usr/share/rpm/Packages": is truncated`, ""},
		"another form":       {newTree(t).file("/var/lib/rpm/rpmdb.sqlite", small), `reading "/var/lib/rpm/rpmdb.sqlite": is not a database of this type`, ""},
		"journal": {newTree(t).file("/var/lib/rpm/rpmdb.sqlite", one).file("/var/lib/rpm/rpmdb.sqlite-journal", "x"),
			`reading "/var/lib/rpm/rpmdb.sqlite": a write was interrupted`, ""},
		"folder": {newTree(t).mkdir("/var/lib/rpm/Packages"), `reading "/var/lib/rpm/Packages": is not a regular file`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := c.tree.load()
			if err != nil {
				if c.want == "" || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v", err)
				}
				return
			}
			var names []string
			for _, comp := range componentsOf(r) {
				if comp.Name != "rpm/.database" {
					names = append(names, comp.Name)
				}
			}
			if got := strings.Join(names, " "); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if got := strings.Join(r.Warnings, "\n"); !strings.HasPrefix(got, c.warn) || (c.warn == "") != (got == "") {
				t.Errorf("got warnings %q", got)
			}
		})
	}
}

// TestSourceUntouched checks that reading a database does not change any time in its directory.
func TestSourceUntouched(t *testing.T) {
	tr := newTree(t).file("/var/lib/rpm/rpmdb.sqlite", databaseOf(t, testPackage{name: "a"}))
	dir := filepath.Join(tr.dir, "var/lib/rpm")
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o755)
	look := func() (all []unix.Stat_t) {
		for _, name := range []string{"", "/rpmdb.sqlite"} {
			var st unix.Stat_t
			if err := unix.Stat(dir+name, &st); err != nil {
				t.Fatal(err)
			}
			st.Atim = unix.Timespec{}
			all = append(all, st)
		}
		return all
	}
	before := look()
	tr.mustLoad()
	for i, after := range look() {
		if after != before[i] {
			t.Errorf("got %+v, had %+v", after, before[i])
		}
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("got %v", names)
	}
}

func TestChangedWhileCopied(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"cut":     func(path string) error { return os.Truncate(path, 10) },
		"written": func(path string) error { return os.WriteFile(path, []byte("other contents"), 0o644) },
		"touched": func(path string) error { return os.Chtimes(path, time.Unix(1, 0), time.Unix(1, 0)) },
	} {
		tr := newTree(t).file("/db", "some contents!")
		s, err := openOriginal(tr.open().Root, "/db")
		if err != nil {
			t.Fatal(err)
		}
		defer s.file.Close()
		if err := change(tr.dir + "/db"); err != nil {
			t.Fatal(err)
		}
		if err = s.copyTo(context.Background(), filepath.Join(t.TempDir(), "x")); err == nil {
			err = s.unchanged()
		}
		if err == nil || err.Error() != `reading "/db": changed while it was being read` {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestCopyIsGone checks that the private copy is removed before packages are read, so that a killed
// process leaves no files behind.
func TestCopyIsGone(t *testing.T) {
	for file, raw := range map[string]string{
		"rpmdb.sqlite": databaseOf(t, testPackage{name: "a"}),
		"Packages.db":  string(ndbOf(testPackage{name: "a"})),
		"Packages":     string(bdbOf(testPackage{name: "a"})),
	} {
		root, tmp, seen := newTree(t).file("/"+file, raw).open().Root, t.TempDir(), 0
		db := database{path: "/" + file, form: formOf(file)}
		err := db.read(context.Background(), root, tmp, func(int64, []byte) error {
			seen++
			if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
				t.Errorf("%s: the copy is there: %v %v", file, left, err)
			}
			return nil
		})
		if seen != 1 || err != nil {
			t.Errorf("%s: got %d packages, %v", file, seen, err)
		}
	}
}
