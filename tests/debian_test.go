package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/tests/clients"
)

func TestDebianOwners(t *testing.T) {
	root := debianRoot(t)
	o := assign(t, root)
	o.have(t, "dpkg/glibc", "dpkg/bash", "dpkg/apt", "dpkg/.database")
	o.unclaimed(t)
	o.dpkgAgrees(t, root)
	o.want(t, map[string]string{
		// Listed in /bin and /lib, which are links to /usr/bin and /usr/lib here.
		"/usr/bin/bash":                       "dpkg/bash",
		"/bin":                                "dpkg/base-files",
		"/lib64":                              "dpkg/glibc",
		only(t, root, "/usr/lib/*/libc.so.6"): "dpkg/glibc",
		"/etc/debian_version":                 "dpkg/base-files",
		"/var/lib/dpkg/status":                "dpkg/.database",
		"/var/lib/dpkg/info/bash.list":        "dpkg/.database",
		"/etc/passwd":                         "chunkah/unclaimed",
	})
	o.debianDatabase(t)
	if strings.Contains(o.stderr, "\n") {
		t.Errorf("a sound Debian gives warnings:\n%s", o.stderr)
	}
}

// only is the one path in the root that the pattern matches.
func only(t *testing.T, root, pattern string) string {
	t.Helper()
	paths, err := filepath.Glob(root + pattern)
	if err != nil || len(paths) != 1 {
		t.Fatalf("%s matches %q, %v", pattern, paths, err)
	}
	return strings.TrimPrefix(paths[0], root)
}

// debianDatabase checks that the database is of nobody's component but its own,
// which is marked as changing always, and that packages have a history.
func (o *owners) debianDatabase(t *testing.T) {
	t.Helper()
	database := o.leaves(func(f *format.File) bool { return strings.HasPrefix(f.Path, "/var/lib/dpkg/") })
	if len(database) < 300 {
		t.Errorf("the database has %d files", len(database))
	}
	for _, p := range database {
		if got := o.of(p); got != "dpkg/.database" && !strings.HasPrefix(p, "/var/lib/dpkg/alternatives/") {
			t.Errorf("%q is of %q", p, got)
		}
	}
	if c := o.components["dpkg/.database"]; c == nil || c.IntervalDays != 1 {
		t.Errorf("the database's component is %+v", c)
	}
	if c := o.components["dpkg/glibc"]; c == nil || len(c.Updates) < 2 || !c.HasMtimeClamp || c.MtimeClamp != slices.Max(c.Updates) {
		t.Errorf("the component of glibc is %+v", c)
	}
}

func TestTrixieOwners(t *testing.T) {
	root := trixieRoot(t)
	o := assign(t, root)
	o.have(t, "dpkg/glibc", "dpkg/bash", "dpkg/python3.13", "dpkg/python-pip", "dpkg/.database")
	o.unclaimed(t)
	o.dpkgAgrees(t, root)
	o.compiled(t, 1000)
	o.debianDatabase(t)
	o.want(t, map[string]string{
		"/bin":            "dpkg/base-files",
		"/usr/bin/bash":   "dpkg/bash",
		"/usr/bin/pydoc3": "dpkg/python3-defaults",
		"/usr/lib/python3/dist-packages/pip/__init__.py": "dpkg/python-pip",
		"/usr/lib/python3.13/os.py":                      "dpkg/python3.13",
		"/etc/alternatives/awk":                          "dpkg/.alternatives",
		// Made by update-ca-certificates.
		"/etc/ssl/certs/ca-certificates.crt": "dpkg/ca-certificates",
		// What `dpkg-divert --rename` has moved away is still the package's …
		"/usr/bin/yes.distrib": "dpkg/coreutils",
		// … and so is what a package that was removed has left.
		"/etc/nanorc": "dpkg/nano",
	})
	if o.files["/usr/bin/nano"] != nil || o.files["/usr/bin/yes"] != nil {
		t.Error("nano was not removed, or yes not diverted")
	}
}

// distroless makes a root of some packages' files as images have it that no dpkg
// installed: an entry of the database for each in status.d, with its md5sums.
func distroless(t *testing.T, from string, packages ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "root")
	entries := filepath.Join(dir, "var/lib/dpkg/status.d")
	if err := os.MkdirAll(entries, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range packages {
		info := "/var/lib/dpkg/info/" + name
		if _, err := os.Stat(from + info + ".md5sums"); err != nil {
			info = strings.TrimSuffix(only(t, from, info+":*.md5sums"), ".md5sums")
		}
		info = from + info
		// /lib and its like become directories of their own, as they were packed.
		clients.Run(t, exec.Command("sh", "-ec", `cd "$0"
			sed -E '/^.(bin|sbin|lib|lib64)$/d; s,^/,./,' "$1.list" | tar c --no-recursion --files-from=- | tar x -C "$2"`,
			from, info, dir))
		status := clients.Run(t, exec.Command("chroot", from, "dpkg-query", "--status", name))
		sums, err := os.ReadFile(info + ".md5sums")
		if err != nil {
			t.Fatal(err)
		}
		var entry strings.Builder
		for line := range strings.Lines(status) {
			if !strings.HasPrefix(line, "Status:") {
				entry.WriteString(line)
			}
		}
		for file, text := range map[string]string{name: entry.String(), name + ".md5sums": string(sums)} {
			if err := os.WriteFile(filepath.Join(entries, file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func TestDistrolessOwners(t *testing.T) {
	root := distroless(t, debianRoot(t), "base-files", "libc6", "libc-bin", "netbase", "zlib1g")
	o := assign(t, root)
	o.have(t, "dpkg/base-files", "dpkg/glibc", "dpkg/netbase", "dpkg/zlib", "dpkg/.database")
	o.unclaimed(t)
	o.want(t, map[string]string{
		"/etc/debian_version": "dpkg/base-files",
		"/etc/protocols":      "dpkg/netbase",
		"/usr/bin/ldd":        "dpkg/glibc",
		// Its md5sums say lib/…, which is a directory of its own here.
		only(t, root, "/lib/*/libc.so.6"):   "dpkg/glibc",
		"/var/lib/dpkg/status.d/zlib1g":     "dpkg/.database",
		"/var/lib/dpkg/status.d/base-files": "dpkg/.database",
	})
	// Every file with a sum goes to the source of the package that it is of.
	for name, source := range map[string]string{"base-files": "base-files", "libc6": "glibc", "netbase": "netbase", "zlib1g": "zlib"} {
		sums, err := os.ReadFile(filepath.Join(root, "var/lib/dpkg/status.d", name+".md5sums"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(sums)) {
			_, path, _ := strings.Cut(strings.TrimSpace(line), "  ")
			if got := o.of("/" + path); got != "dpkg/"+source {
				t.Errorf("%q is of %q, and in the sums of %s", "/"+path, got, name)
			}
		}
	}
}

// The image of a root without dpkg itself, to the end.
func TestDistrolessImage(t *testing.T) {
	root := distroless(t, debianRoot(t), "base-files", "netbase")
	var got []string
	for _, names := range clients.ReadImage(t, build(t, root)).Layers() {
		got = append(got, strings.Split(names, ", ")...)
	}
	for _, want := range []string{"dpkg/base-files", "dpkg/netbase", "dpkg/.database"} {
		if !slices.Contains(got, want) {
			t.Errorf("no layer has %s: %s", want, fmt.Sprint(got))
		}
	}
}

// packed is the components of a root with the fingerprints that pack gives them.
func packed(t *testing.T, root string) map[string]string {
	t.Helper()
	o := readOwners(t, []byte(stream(t, `chunkah-scan --skip-special-files "$ROOT" 2>/dev/null | chunkah-assign | chunkah-pack`, root)))
	prints := map[string]string{}
	for name, c := range o.components {
		prints[name] = c.Fingerprint
	}
	return prints
}

// Where a package goes, the components of all others stay as they are.
func TestDebianPackagePurged(t *testing.T) {
	root := debianRoot(t)
	changed := copyRoot(t, root)
	clients.Run(t, inRoot(changed, "dpkg", "--purge", "vim-tiny", "vim-common"))
	before, after := packed(t, root), packed(t, changed)
	want := map[string]string{"dpkg/vim": "gone", "dpkg/.database": "changed", "dpkg/.alternatives": "changed"}
	for name, print := range before {
		got := ""
		if now, there := after[name]; !there {
			got = "gone"
		} else if now != print {
			got = "changed"
		}
		if got != want[name] {
			t.Errorf("%s is %q, want %q", name, got, want[name])
		}
	}
	for name := range after {
		if _, there := before[name]; !there {
			t.Errorf("%s has come", name)
		}
	}
}
