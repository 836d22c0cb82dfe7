package python

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/pathmap"
	"chunkah/lib/repo/pkgdb"
	"chunkah/lib/repo/places/placestest"
	"chunkah/tests/bound"
)

const site = "/opt/venv/lib/python3.11/site-packages"

// wheel adds an installed distribution with files in site.
func wheel(r *placestest.Root, site, stem string, names ...string) *placestest.Root {
	info := stem + ".dist-info"
	var record strings.Builder
	for _, name := range names {
		r.File(site+"/"+name, "x")
		record.WriteString(name + ",sha256=abc,1\n")
	}
	record.WriteString(info + "/METADATA,sha256=abc,1\n" + info + "/RECORD,,\n")
	return r.File(site+"/"+info+"/METADATA", "Name: x\n").File(site+"/"+info+"/RECORD", record.String())
}

func TestRecord(t *testing.T) {
	r := wheel(placestest.New(t), site, "Zope.Interface-5.4", "zope/interface/a.py", "zope/interface/b.so")
	wheel(r, site, "other_dist-1.0", "other.py")
	r.File("/opt/venv/bin/zi", "#!").File("/etc/zi.conf", "").File("/opt/venv/share/man/zi.1", "").Mkdir("/opt/venv/lib64/empty")
	r.File(site+"/Zope.Interface-5.4.dist-info/licenses/LICENSE", "").File(site+"/zope/interface/generated", "")
	r.Symlink("/srv/data", "../opt/venv/share")
	r.File(site+"/more-2.dist-info/RECORD", `../../../bin/zi,sha256=a,1
/etc/zi.conf,,
/srv/data/man/zi.1,,
"with ""quote"", comma.py",,
gone.py,sha256=a,3`).File(site+`/with "quote", comma.py`, "")
	a := r.Assign(Repo{})
	a.WantWarnings()
	a.Want(
		site+"/zope/interface/a.py", "python/zope-interface",
		site+"/zope/interface/b.so", "python/zope-interface",
		site+"/Zope.Interface-5.4.dist-info/RECORD", "python/zope-interface",
		site+"/Zope.Interface-5.4.dist-info/licenses/LICENSE", "python/zope-interface",
		site+"/zope/interface/generated", "chunkah/unclaimed/opt/venv",
		site+"/other.py", "python/other-dist",
		"/opt/venv/bin/zi", "python/more",
		"/etc/zi.conf", "python/more",
		"/opt/venv/share/man/zi.1", "python/more",
		site+`/with "quote", comma.py`, "python/more",
		site+"/zope", "",
	)
	if got := a.Summaries[0]; !got.Found || got.Packages != 3 || got.Components != 3 || got.Files != 13 {
		t.Errorf("summary: %+v", got)
	}
}

// No path in a record leads outside the root.
func TestRecordLeadsNowhere(t *testing.T) {
	r := placestest.New(t).File("/passwd", "").Symlink("/out", "../../../..").Mkdir("/dir")
	r.File("/x-1.dist-info/RECORD", "../../../../etc/passwd,,\n/out/etc/passwd,,\n../../passwd,,\n../dir,,\n.,,\n..,,\n/,,\n")
	a := r.Assign(Repo{})
	a.WantWarnings()
	a.Want("/passwd", "python/x", "/dir", format.EmptyDirectories)
}

func TestDamagedRecord(t *testing.T) {
	r := wheel(placestest.New(t), site, "good-1", "good.py")
	r.File(site+"/bad.py", "").File(site+"/late.py", "").File(site+"/nolist.py", "").File(site+"/nolist/x", "")
	r.File(site+"/bad-1.dist-info/RECORD", "bad.py,,\r\n\"open,,\n,sha256=x,1\nno\x00name,,\n\nx\nlate.py,,\nnolist.py,sha2")
	r.File(site+"/nolist-1.dist-info/METADATA", "").File(site+"/nolist-1.dist-info/top_level.txt", "nolist\n../..\n")
	r.File(site+"/huge-1.dist-info/METADATA", "").Sparse(site+"/huge-1.dist-info/RECORD", maxList+1)
	r.File(site+"/long-1.dist-info/RECORD", strings.Repeat("x", maxLine)+",,\nlong.py,,").File(site+"/long.py", "")
	a := r.Assign(Repo{})
	a.WantWarnings(
		`python: distribution "bad": line 2 of "`+site+`/bad-1.dist-info/RECORD": has a quote`,
		`line 3 of|has no path`,
		`line 4 of|has no path`,
		`has 2 more such lines`,
		`distribution "huge"|/RECORD": the file is larger`,
		`huge-1.dist-info" contains no RECORD`,
		`distribution "long": line 1|is longer than 8192 bytes`,
		`nolist-1.dist-info" contains no RECORD`,
		`line 2 of|top_level.txt": is not a module name`,
	)
	a.Want(
		site+"/good.py", "python/good",
		site+"/bad.py", "python/bad",
		site+"/late.py", "python/bad",
		site+"/long.py", "python/long",
		site+"/nolist.py", "python/nolist",
		site+"/nolist/x", "python/nolist",
	)
}

func TestVendored(t *testing.T) {
	r := placestest.New(t)
	wheel(r, site+"/setuptools/_vendor", "wheel-0.4", "wheel/a.py")
	wheel(r, site, "wheel-0.5", "wheel/a.py")
	v := "setuptools/_vendor/wheel-0.4.dist-info/"
	r.File(site+"/setuptools-70.dist-info/RECORD", v+"METADATA,,\n"+v+"RECORD,,\nsetuptools/_vendor/wheel/a.py,,\n")
	a := r.Assign(Repo{})
	a.WantWarnings()
	a.Want(
		site+"/setuptools/_vendor/wheel/a.py", "python/setuptools",
		site+"/"+v+"RECORD", "python/setuptools",
		site+"/wheel/a.py", "python/wheel",
	)
}

func TestEnvironments(t *testing.T) {
	r := placestest.New(t)
	wheel(r, "/usr/lib/python3/dist-packages", "pip-1", "pip/a.py")
	wheel(r, "/usr/local/lib/python3.11/dist-packages", "pip-2", "pip/a.py")
	wheel(r, "/usr/local/lib64/python3.12/site-packages", "pip-2", "pip/b.so")
	wheel(r, "/app/deps", "pip-3", "pip/a.py")
	// Files of a system package are ignored.
	d := "/usr/lib/python3/dist-packages/"
	r.Own("dpkg/python3-pip", d+"pip/a.py", d+"pip-1.dist-info/METADATA", d+"pip-1.dist-info/RECORD")
	a := r.Assign(Repo{})
	a.Want(
		d+"pip/a.py", "dpkg/python3-pip",
		"/usr/local/lib/python3.11/dist-packages/pip/a.py", "python/pip@/usr/local",
		"/usr/local/lib64/python3.12/site-packages/pip/b.so", "python/pip@/usr/local",
		"/app/deps/pip/a.py", "python/pip",
	)
}

func TestEgg(t *testing.T) {
	r := placestest.New(t)
	for _, name := range []string{"listed/a.py", "top/a.py", "top.py", "_top.cpython-311.so", "_topper.so", "legacy.py",
		"zipped-1-py3.egg", "dir-1-py3.egg/EGG-INFO/PKG-INFO", "dir-1-py3.egg/dir/a.py", "src.py", "legacy_1-0-py3.11.egg-info"} {
		r.File(site+"/"+name, "")
	}
	r.File(site+"/listed-1-py3.11.egg-info/PKG-INFO", "").File(site+"/listed-1-py3.11.egg-info/installed-files.txt", "../listed/a.py\nPKG-INFO\n../../../../bin/listed\n")
	r.File("/opt/venv/bin/listed", "")
	r.File(site+"/top-1.egg-info/PKG-INFO", "").File(site+"/top-1.egg-info/top_level.txt", "_top\ntop\n")
	wheel(r, site, "sharing-1", "top/shared/b.py")
	r.File("/app/src/My_App.egg-info/PKG-INFO", "").File("/app/src/app/main.py", "").File("/app/setup.py", "").File("/app/data", "")
	r.File("/app/src/My_App.egg-info/SOURCES.txt", "setup.py\nsrc/app/main.py\nsrc/My_App.egg-info/PKG-INFO\n/abs\n")
	r.File(site+"/src-1.egg-info/PKG-INFO", "").File(site+"/src-1.egg-info/SOURCES.txt", "setup.py\nlib/src.py\nlib/src.egg-info/PKG-INFO\n")
	a := r.Assign(Repo{})
	a.WantWarnings()
	a.Want(
		site+"/listed/a.py", "python/listed",
		"/opt/venv/bin/listed", "python/listed",
		site+"/top/a.py", "python/top",
		site+"/top.py", "python/top",
		site+"/_top.cpython-311.so", "python/top",
		site+"/_topper.so", "chunkah/unclaimed/opt/venv",
		site+"/top/shared/b.py", "python/sharing",
		site+"/zipped-1-py3.egg", "python/zipped",
		site+"/dir-1-py3.egg/dir/a.py", "python/dir",
		site+"/legacy_1-0-py3.11.egg-info", "python/legacy-1",
		site+"/src.py", "python/src",
		"/app/src/app/main.py", "python/my-app",
		"/app/setup.py", "python/my-app",
		"/app/data", "chunkah/unclaimed/app",
	)
}

func TestCaches(t *testing.T) {
	r := wheel(placestest.New(t), site, "mine-1", "mine.py", "mine.tests.py")
	for _, name := range []string{"__pycache__/mine.cpython-311.pyc", "__pycache__/mine.cpython-311.opt-1.pyc", "mine.pyo",
		"__pycache__/mine.tests.cpython-311-pytest-7.4.0.pyc", "__pycache__/orphan.cpython-311.pyc", "__pycache__/.pyc"} {
		r.File(site+"/"+name, "x")
	}
	r.File("/usr/lib/python3/sys.py", "").File("/usr/lib/python3/__pycache__/sys.cpython-311.pyc", "").Own("dpkg/python3", "/usr/lib/python3/sys.py")
	r.File("/usr/lib/python2/loose.py", "").File("/usr/lib/python2/loose.pyc", "").File("/usr/lib/python2/dir.py/x", "").File("/usr/lib/python2/dir.pyc", "")
	r.File("/opt/late/x.py", "").File("/opt/late/__pycache__/x.cpython-311.pyc", "")
	late, err := pathmap.New("late", []byte(`{"/opt/late/x.py": "late"}`))
	if err != nil {
		t.Fatal(err)
	}
	a := r.Assign(Repo{}, late)
	a.Want("/opt/late/__pycache__/x.cpython-311.pyc", "map/late")
	c := site + "/__pycache__/"
	a.Want(
		c+"mine.cpython-311.pyc", "python/mine",
		c+"mine.cpython-311.opt-1.pyc", "python/mine",
		site+"/mine.pyo", "python/mine",
		c+"mine.tests.cpython-311-pytest-7.4.0.pyc", "python/mine",
		c+"orphan.cpython-311.pyc", "chunkah/unclaimed/opt/venv",
		c+".pyc", "chunkah/unclaimed/opt/venv",
		"/usr/lib/python3/__pycache__/sys.cpython-311.pyc", "dpkg/python3",
		"/usr/lib/python2/loose.pyc", "chunkah/unclaimed",
		"/usr/lib/python2/dir.pyc", "chunkah/unclaimed",
	)
}

func TestNothingHere(t *testing.T) {
	r := placestest.New(t).File("/usr/bin/x.py", "").File("/x/.dist-info/METADATA", "").File("/x/~ip-1.dist-info/METADATA", "").
		File("/x/y-1.dist-info/INSTALLER", "").Mkdir("/x/z.egg-info").Symlink("/x/w.egg-info", "z.egg-info")
	result, err := Repo{}.Load(t.Context(), r.Tree())
	if result != nil || err != nil {
		t.Errorf("got %+v, %v", result, err)
	}
}

func TestNames(t *testing.T) {
	for stem, want := range map[string]string{
		"Foo._-Bar-1.0": "foo-bar", "foo-bar-1.0": "foo-bar", "foo": "foo", "ruamel.yaml.clib-0.2": "ruamel-yaml-clib", "~oo-1": "", "-1": "", "__x__-1": "x",
	} {
		if got := distName(distInfo, stem); got != want {
			t.Errorf("dist-info %q: %q, want %q", stem, got, want)
		}
	}
	for stem, want := range map[string]string{"foo_bar-1.0-py3.11-linux-x86_64": "foo-bar", "foo": "foo"} {
		if got := distName(eggInfo, stem); got != want {
			t.Errorf("egg-info %q: %q, want %q", stem, got, want)
		}
	}
}

// TestVanished reads a root in which files of records are missing.
func TestVanished(t *testing.T) {
	tree := wheel(placestest.New(t), site, "x-1", "x.py").Tree()
	other := wheel(placestest.New(t), "/else", "x-1").Tree()
	result, err := Repo{}.Load(t.Context(), assign.NewTree(other.Root, tree.Files))
	if err != nil || result == nil || len(result.Warnings) != 2 {
		t.Errorf("got %+v, %v", result, err)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("enough")
	cancel(stop)
	if _, err := (Repo{}).Load(ctx, wheel(placestest.New(t), site, "x-1", "x.py").Tree()); !errors.Is(err, stop) {
		t.Error(err)
	}
}

// FuzzRecords uses its input for every kind of list.
func FuzzRecords(f *testing.F) {
	f.Add([]byte("a/b.py,sha256=x,1\n\"q\"\"\",,\r\nx-1.dist-info/RECORD,,"), []byte("a\nb/c\n"))
	f.Add([]byte("../../../bin/x,,\n/etc/passwd,,\n\"\n,,"), []byte("../x\n\x00"))
	f.Add([]byte("setup.py\nsrc/a/b.py\nsrc/y.egg-info/PKG-INFO\n"), []byte("src/a/b.py\n"))
	r := wheel(placestest.New(f), "/s", "x-1", "a/b.py").File("/s/a/__pycache__/b.c.pyc", "").File("/s/y.egg-info/PKG-INFO", "")
	lists := []string{"/s/x-1.dist-info/RECORD", "/s/y.egg-info/SOURCES.txt", "/s/y.egg-info/top_level.txt"}
	for _, path := range lists[1:] {
		r.File(path, "")
	}
	tree := r.Tree()
	f.Fuzz(func(t *testing.T, list, top []byte) {
		bound.Input(t, len(list)+len(top))
		for i, raw := range [][]byte{list, list, top} {
			if err := os.WriteFile(r.Dir()+lists[i], raw, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		result, err := Repo{}.Load(t.Context(), tree)
		if err != nil {
			t.Fatal(err)
		}
		if len(result.Claims) > len(tree.Files) || len(result.Warnings) > 3*(maxDamaged+1) {
			t.Errorf("%d claims, warnings %q", len(result.Claims), result.Warnings)
		}
	})
}

// FuzzNames parses names.
func FuzzNames(f *testing.F) {
	f.Add("foo_Bar.-baz-1.0-py3", "/s/__pycache__/a.b.c.pyc")
	tree := placestest.New(f).File("/s/a.py", "").Tree()
	f.Fuzz(func(t *testing.T, stem, path string) {
		bound.Input(t, len(stem)+len(path))
		for _, kind := range []kind{distInfo, eggInfo} {
			if name := distName(kind, stem); name != normalise(name) || strings.ContainsAny(name, "_.") {
				t.Errorf("%q gave %q", stem, name)
			}
		}
		if i, found := pkgdb.PythonSource(tree, path); found && !strings.HasSuffix(tree.Files[i].Path, ".py") {
			t.Errorf("%q has the source %q", path, tree.Files[i].Path)
		}
		findDir(path, 0)
		findFile(path, 0)
	})
}
