package python

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"chunkah/lib/repo/places/placestest"
)

// TestVirtualEnvironment compares the result with Python's own list of files, in an environment
// made by python3 -m venv.
func TestVirtualEnvironment(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a virtual environment")
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	venv := filepath.Join(dir, "app", "venv")
	if out, err := exec.Command(python, "-m", "venv", "--without-pip", venv).CombinedOutput(); err != nil {
		t.Skipf("%v: %s", err, out)
	}
	inside := filepath.Join(venv, "bin", "python")
	install := exec.Command(python, "-m", "pip", "--python", inside, "install", "--quiet", "--disable-pip-version-check", "--no-deps",
		"Zope.Event", "PyYAML", "requests", "idna")
	if out, err := install.CombinedOutput(); err != nil {
		t.Logf("installing what Python brings, since: %v: %s", err, out)
		if out, err := exec.Command(inside, "-m", "ensurepip").CombinedOutput(); err != nil {
			t.Skipf("%v: %s", err, out)
		}
	}
	a := placestest.Scan(t, dir).Assign(Repo{})
	a.WantWarnings()
	out, err := exec.Command(inside, "-c", listing).Output()
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for line := range strings.Lines(string(out)) {
		name, path, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if _, err := os.Lstat(path); err == nil {
			a.Want(strings.TrimPrefix(path, dir), "python/"+normalise(name))
			checked++
		}
	}
	if checked < 100 {
		t.Errorf("%d files were compared", checked)
	}
	caches(t, a, dir)
}

// listing prints the files of all distributions.
const listing = `
import importlib.metadata as m, os
for d in m.distributions():
    for f in d.files:
        print(d.metadata["Name"], os.path.normpath(d.locate_file(f)))
`

// caches checks that each compiled cache has the component of its source.
func caches(t *testing.T, a *placestest.Assigned, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".pyc") {
			return err
		}
		module, _, _ := strings.Cut(filepath.Base(path), ".")
		source := strings.TrimPrefix(filepath.Join(filepath.Dir(filepath.Dir(path)), module+".py"), dir)
		a.Want(strings.TrimPrefix(path, dir), a.Owner(source))
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
