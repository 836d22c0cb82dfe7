package tests

import (
	"bytes"
	"compress/gzip"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/tests/clients"
	"chunkah/tests/listroot"
	"chunkah/tests/mkroot"
	"chunkah/tests/rpmroot"
)

// listed checks that every listed path belongs to its package's source, that sources have the times
// of their newest package, and that there are no other components except those in own.
func (o *owners) listed(t *testing.T, repo string, packages []listroot.Package, own ...string) {
	t.Helper()
	owner := listroot.Owner(packages)
	for path, source := range owner {
		if got := o.of(path); got != repo+"/"+source {
			t.Errorf("%q belongs to %q, want %s/%s", path, got, repo, source)
		}
	}
	newest := map[string]int64{}
	for _, p := range packages {
		newest[repo+"/"+p.Source] = max(newest[repo+"/"+p.Source], p.Built)
	}
	for name, c := range o.components {
		built, isSource := newest[name]
		switch {
		case isSource && (!c.HasMtimeClamp || c.MtimeClamp != built || !slices.Contains(c.Updates, built)):
			t.Errorf("%s was built at %d: %+v", name, built, c)
		case !isSource && !slices.Contains(own, name):
			t.Errorf("there is a component %q", name)
		}
	}
	if len(owner) < 300 {
		t.Errorf("there are %d files", len(owner))
	}
}

func TestAlpineOwners(t *testing.T) {
	for _, db := range []string{"lib/apk/db", "usr/lib/apk/db"} {
		t.Run(strings.ReplaceAll(db, "/", "-"), func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "root")
			packages := listroot.Packages()
			if err := listroot.Alpine(root, db, packages); err != nil {
				t.Fatal(err)
			}
			o := assign(t, root)
			o.have(t, "apk/musl", "apk/openssl", "apk/.database")
			o.listed(t, "apk", packages, "apk/.database", "chunkah/unclaimed")
			o.want(t, map[string]string{
				"/" + db + "/installed": "apk/.database",
				"/etc/apk/world":        "apk/.database",
				"/usr/bin/ls":           "apk/busybox",
				"/etc/hostname":         "chunkah/unclaimed",
			})
		})
	}
}

func TestArchOwners(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	packages := listroot.Packages()
	if err := listroot.Arch(root, packages); err != nil {
		t.Fatal(err)
	}
	o := assign(t, root)
	o.have(t, "alpm/bash", "alpm/glibc", "alpm/gcc", "alpm/.database")
	o.listed(t, "alpm", packages, "alpm/.database", "chunkah/unclaimed")
	o.want(t, map[string]string{
		"/var/lib/pacman/local/ALPM_DB_VERSION":    "alpm/.database",
		"/var/lib/pacman/local/bash-1.2.3-4/files": "alpm/.database",
		"/var/lib/pacman/sync/core.db":             "alpm/.database",
		"/var/log/pacman.log":                      "alpm/.database",
		"/etc/hostname":                            "chunkah/unclaimed",
	})
}

func TestRPMOwners(t *testing.T) {
	root := copyRoot(t, rpmRoot(t)) // because rpm locks its database
	o := assign(t, root)
	o.have(t, "rpm/filesystem", "rpm/runtime", "rpm/tools", "rpm/extra", "rpm/.database", "xattr/web")
	o.want(t, map[string]string{
		rpmroot.DB + "/rpmdb.sqlite":     "rpm/.database",
		"/opt/web/html/index.html":       "xattr/web",
		"/srv/data/big.img":              "bigfiles/srv/data/big.img",
		"/srv/data/big.link":             "bigfiles/srv/data/big.img",
		"/usr/share/elsewhere/moved.dat": "rpm/extra",
		"/usr/share/tools/README":        "rpm/tools",
		"/var/log/made.log":              "chunkah/unclaimed", // a ghost
	})
	// All hard links to an inode are in one component, and rpm can report any of the packages that
	// own these names.
	inode := func(f *format.File) string {
		if f.Hardlink == 0 {
			return f.Path
		}
		return strconv.FormatInt(f.Hardlink, 10)
	}
	said, n := map[string][]string{}, 0
	paths := o.leaves(nil)
	const ask = `for path; do
		sources=$(rpm --root "$0" --dbpath ` + rpmroot.DB + ` -qf --qf '%{SOURCERPM} ' "$path") || sources=
		echo "$sources"
	done`
	cmd := exec.Command("sh", append([]string{"-c", ask, root}, paths...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	answers := strings.Split(clients.Run(t, cmd), "\n")
	for i, path := range paths {
		for name := range strings.FieldsSeq(answers[i]) {
			source, _, _ := strings.Cut(name, "-")
			key := inode(o.files[path])
			said[key] = append(said[key], "rpm/"+source)
		}
	}
	for _, path := range paths {
		sources := said[inode(o.files[path])]
		if len(sources) == 0 || path == "/var/log/made.log" {
			continue
		}
		n++
		if got := o.of(path); !slices.Contains(sources, got) {
			t.Errorf("%q belongs to %q, rpm -qf says %q", path, got, sources)
		}
	}
	if n < 40 {
		t.Errorf("rpm -qf knows %d of %d files", n, len(paths))
	}
}

// testdata returns a file in $CHUNKAH_TESTDATA: databases of real systems, which are not part of
// the project.
func testdata(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("CHUNKAH_TESTDATA")
	if dir == "" {
		t.Skip("CHUNKAH_TESTDATA names no folder of real databases")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Skip(err)
	}
	return path
}

// This test uses a real apk database, with all files that it lists.
func TestRealAlpineOwners(t *testing.T) {
	text, err := os.ReadFile(testdata(t, "apk-installed"))
	if err != nil {
		t.Fatal(err)
	}
	root := mkroot.Make(t, "dir /lib/apk/db")
	want := map[string]string{"/lib/apk/db/installed": "apk/.database"}
	var dir, name, origin string
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		switch key {
		case "P":
			name, origin = value, value
		case "o":
			origin = value
		case "F":
			dir = value
			if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
				t.Fatal(err)
			}
		case "R":
			path := "/" + dir + "/" + value
			want[filepath.Clean(path)] = "apk/" + origin
			if err := os.WriteFile(root+path, []byte(name), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.WriteFile(root+"/lib/apk/db/installed", text, 0o644); err != nil {
		t.Fatal(err)
	}
	o := assign(t, root)
	o.want(t, want)
	o.have(t, "apk/musl", "apk/busybox", "apk/alpine-baselayout")
	if o.stderr != "" || len(want) < 200 {
		t.Errorf("%d files, and warnings:\n%s", len(want), o.stderr)
	}
}

// This test uses a real pacman database, with all files that it lists.
func TestRealArchOwners(t *testing.T) {
	archive := testdata(t, "arch-pkgdb.tar.gz")
	root := mkroot.Make(t, "dir /var/lib/pacman")
	clients.Run(t, exec.Command("tar", "xzf", archive, "-C", root))
	folders, err := filepath.Glob(root + "/var/lib/pacman/local/*/desc")
	if err != nil || len(folders) < 100 {
		t.Fatalf("%d packages, %v", len(folders), err)
	}
	want := map[string][]string{} // several packages can list a path
	links := map[string]string{}
	for _, desc := range folders {
		dir := filepath.Dir(desc)
		base := "alpm/" + section(t, desc, "%BASE%")[0]
		maps.Copy(links, archLinks(t, dir+"/mtree"))
		for _, path := range section(t, dir+"/files", "%FILES%") {
			if !strings.HasSuffix(path, "/") {
				want["/"+path] = append(want["/"+path], base)
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(want)) {
		if err := os.MkdirAll(filepath.Dir(root+path), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, isLink := links[path]; isLink {
			err = os.Symlink(target, root+path)
		} else {
			err = os.WriteFile(root+path, nil, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	o := assign(t, root)
	for path, bases := range want {
		if got := o.of(path); !slices.Contains(bases, got) {
			t.Errorf("%q belongs to %q, want %q", path, got, bases)
		}
	}
	o.have(t, "alpm/bash", "alpm/glibc", "alpm/filesystem", "alpm/gcc")
	left := o.leaves(func(f *format.File) bool { return !strings.HasPrefix(f.Components[0], "alpm/") })
	if o.stderr != "" || len(left) > 0 || len(want) < 10000 {
		t.Errorf("%d files, unclaimed are %q, and warnings:\n%s", len(want), left, o.stderr)
	}
}

// section returns the lines of one section in a file of pacman's database.
func section(t *testing.T, file, name string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut("\n"+string(text), "\n"+name+"\n")
	rest, _, _ = strings.Cut(rest, "\n\n")
	return strings.FieldsFunc(rest, func(r rune) bool { return r == '\n' })
}

// archLinks returns the symlinks in an mtree with their targets.
func archLinks(t *testing.T, file string) map[string]string {
	t.Helper()
	packed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	links := map[string]string{}
	for line := range strings.Lines(string(text)) {
		before, target, isLink := strings.Cut(strings.TrimSuffix(line, "\n"), " link=")
		if path, _, _ := strings.Cut(before, " "); isLink {
			links[strings.TrimPrefix(path, ".")] = target
		}
	}
	return links
}
