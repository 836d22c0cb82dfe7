package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// languages adds packages to a Debian root: packages from PyPI, in the system and in a virtual
// environment, and packages from npm. The clients on this machine download the packages, and the
// clients in the root install them.
func languages(root string) error {
	wheels := filepath.Join(root, "tmp/wheels")
	steps := []*exec.Cmd{
		exec.Command("pip3", "--quiet", "download", "--no-deps", "--only-binary=:all:", "--dest", wheels, "six==1.17.0", "idna==3.10"),
		inRoot(root, "python3", "-m", "venv", "/opt/venv"),
		inRoot(root, "/opt/venv/bin/pip", "install", "--no-index", "--find-links=/tmp/wheels", "six", "idna"),
		inRoot(root, "pip3", "install", "--no-index", "--find-links=/tmp/wheels", "--break-system-packages", "six"),
		exec.Command("rm", "-r", wheels),
		inRoot(root, "dpkg-divert", "--local", "--rename", "--divert", "/usr/bin/yes.distrib", "--add", "/usr/bin/yes"),
		inRoot(root, "dpkg", "--remove", "nano"),
	}
	app := filepath.Join(root, "srv/app")
	err := mkroot.Write(app, `
file package.json text="{\"name\":\"app\",\"dependencies\":{\"async\":\"2.6.4\",\"chalk\":\"2.4.2\",\"@nodelib/fs.walk\":\"1.2.8\"}}"`)
	if err != nil {
		return err
	}
	npm := []string{"install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"}
	inApp := exec.Command("npm", npm...)
	inApp.Dir = app
	global := exec.Command("npm", append(npm, "--global", "--prefix", filepath.Join(root, "usr/local"), "semver@7.6.3")...)
	for _, cmd := range append(steps, inApp, global) {
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
		}
	}
	return nil
}

// inRoot runs a command in the root without this machine's settings.
func inRoot(root string, args ...string) *exec.Cmd {
	cmd := exec.Command("chroot", append([]string{root}, args...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/nonexistent", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive"}
	return cmd
}

// installed is a Python program that lists the files of each distribution in a directory, one NAME,
// tab and PATH per line.
const installed = `
import sys
from importlib.metadata import distributions
for d in distributions(path=sys.argv[1:]):
    for f in d.files or []:
        print(d.metadata["Name"], f.locate().resolve(), sep="\t")
`

func TestPythonOwners(t *testing.T) {
	t.Parallel()
	root := trixieRoot(t)
	o := assign(t, root)
	o.have(t, "python/six", "python/six@/usr/local", "python/idna", "python/pip")
	for dir, names := range map[string]map[string]string{
		"/opt/venv/lib/*/site-packages":  {"idna": "python/idna", "pip": "python/pip", "six": "python/six"},
		"/usr/local/lib/*/dist-packages": {"six": "python/six@/usr/local"},
	} {
		list := clients.Run(t, inRoot(root, "python3", "-c", installed, only(t, root, dir)))
		n := 0
		for line := range strings.Lines(list) {
			name, path, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			if names[name] == "" {
				t.Errorf("Python knows of %q in %s", name, dir)
			}
			if o.files[path] == nil {
				continue
			}
			n++
			if got := o.of(path); got != names[name] {
				t.Errorf("%q belongs to %q, want %q", path, got, names[name])
			}
		}
		if n < 5 {
			t.Errorf("Python knows %d files in %s", n, dir)
		}
	}
	// Files that belong to a Debian package stay in that package.
	list := clients.Run(t, inRoot(root, "python3", "-c", installed, "/usr/lib/python3/dist-packages"))
	for line := range strings.Lines(list) {
		_, path, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if o.files[path] != nil && !strings.HasPrefix(o.of(path), "dpkg/") {
			t.Errorf("%q belongs to %q, and came with Debian", path, o.of(path))
		}
	}
}

func TestNodeOwners(t *testing.T) {
	t.Parallel()
	root := trixieRoot(t)
	o := assign(t, root)
	o.have(t, "node/chalk", "node/lodash", "node/async", "node/@nodelib/fs.walk", "node/semver", "node/.database")
	// In a tree installed by npm, a package that only one top-level dependency needs is in the
	// component of that dependency, except lodash, which is large.
	gathered := map[string]string{
		"chalk": "chalk", "ansi-styles": "chalk", "color-convert": "chalk", "color-name": "chalk",
		"escape-string-regexp": "chalk", "supports-color": "chalk", "has-flag": "chalk",
		"async": "async", "lodash": "lodash",
		"@nodelib/fs.walk": "@nodelib/fs.walk", "@nodelib/fs.scandir": "@nodelib/fs.walk", "@nodelib/fs.stat": "@nodelib/fs.walk",
		"fastq": "@nodelib/fs.walk", "reusify": "@nodelib/fs.walk", "run-parallel": "@nodelib/fs.walk", "queue-microtask": "@nodelib/fs.walk",
	}
	const modules = "/srv/app/node_modules/"
	n := 0
	for _, path := range o.leaves(nil) {
		rest, below := strings.CutPrefix(path, modules)
		if !below || strings.HasPrefix(rest, ".") {
			continue
		}
		words := strings.SplitN(rest, "/", 3)
		name := words[0]
		if strings.HasPrefix(name, "@") {
			name += "/" + words[1]
		}
		n++
		if got := o.of(path); got != "node/"+gathered[name] {
			t.Errorf("%q belongs to %q, want node/%s", path, got, gathered[name])
		}
	}
	if n < 1000 {
		t.Errorf("npm has brought %d files", n)
	}
	o.want(t, map[string]string{
		modules + ".package-lock.json":                     "node/.database",
		"/usr/local/lib/node_modules/semver/package.json":  "node/semver",
		"/usr/local/bin/semver":                            "node/semver",
		"/srv/app/package.json":                            "chunkah/unclaimed/srv/app",
		"/usr/lib/python3/dist-packages/wheel/__init__.py": "dpkg/wheel",
	})
	if _, err := os.Stat(filepath.Join(root, "srv/app/node_modules/lodash/lodash.js")); err != nil {
		t.Error(err)
	}
}
