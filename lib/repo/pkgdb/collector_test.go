package pkgdb_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"chunkah/lib/assign"
	"chunkah/lib/repo/pkgdb"
	"chunkah/lib/repo/pkgdb/pkgdbtest"
	"chunkah/tests/mkroot"
)

// fake is a repo whose claims are made by a function.
type fake func(c *pkgdb.Collector, at func(path string) int)

func (fake) Name() string { return "fake" }

func (f fake) Load(_ context.Context, t *assign.Tree) (*assign.Result, error) {
	c := pkgdb.NewCollector(t, "fake")
	c.Suffixes = []string{".new"}
	f(c, func(path string) int {
		i, ok, err := t.Find(path)
		if !ok {
			panic(fmt.Sprint(path, err))
		}
		return i
	})
	return c.Result(), nil
}

func claimsOf(t *testing.T, root string, repo fake) (string, *assign.Outcome) {
	t.Helper()
	tree, outcome := pkgdbtest.Run(t, mkroot.Make(t, root), repo)
	return pkgdbtest.Claims(tree, repo, false), outcome
}

func TestSettle(t *testing.T) {
	got, outcome := claimsOf(t, `
file /a/both
file /a/first
file /a/second
file /db/file
dir /db/empty
file /out/side
`, func(c *pkgdb.Collector, at func(string) int) {
		z, b := c.Component("zed"), c.Component("bee")
		for range 3 {
			c.Claim(z, at("/a/both"))
			c.Claim(b, at("/a/both"))
		}
		c.Claim(z, at("/a"))
		c.Claim(b, at("/a"))
		c.Claim(z, at("/a/first"))
		c.ClaimSecond(b, at("/a/first"))
		c.ClaimSecond(z, at("/a/second"))
		c.Claim(b, at("/db/file")) // belongs to the database, even if packages list it
		c.Claim(b, at("/db"))
		c.OwnBelow("/db")
		c.OwnBelow("/absent")
		for _, path := range []string{"/out/side", "/out", "/absent"} { // a file, a directory, a missing path
			if err := c.Own(path); err != nil {
				panic(err)
			}
		}
		c.Update(z, 5, 3)
		c.Update(z, 3, 4)
		c.Clamp(z, -7)
		c.Clamp(z, -9)
		c.Component("owns nothing")
	})
	pkgdbtest.Equal(t, "claims", got, pkgdbtest.Lines(
		"/a fake/bee fake/zed",
		"/a/both fake/.shared",
		"/a/first fake/zed",
		"/a/second fake/zed",
		"/db fake/bee",
		"/db/empty fake/.database",
		"/db/file fake/.database",
		"/out/side fake/.database",
	))
	pkgdbtest.Equal(t, "components", pkgdbtest.Components(outcome.Components), pkgdbtest.Lines(
		"fake/.database days=1",
		"fake/.shared updates=3 4 5",
		"fake/bee",
		"fake/zed clamp=-7 updates=3 4 5",
	))
}

// TestUnlisted finds the owners of files that are in no list.
func TestUnlisted(t *testing.T) {
	root := `
file /usr/lib/py/mod.py
file /usr/lib/py/a.b.py
file /usr/lib/py/nobody.py
file /usr/lib/py/mod.pyc
file /usr/lib/py/__pycache__/mod.cpython-311.pyc
file /usr/lib/py/__pycache__/mod.cpython-311.opt-2.pyc
file /usr/lib/py/__pycache__/a.b.pypy39.pyo
file /usr/lib/py/__pycache__/mod.pyc
file /usr/lib/py/__pycache__/nobody.cpython-311.pyc
file /usr/lib/py/__pycache__/gone.cpython-311.pyc
file /usr/lib/py/__pycache__/.opt-1.pyc
file /usr/bin/busy
symlink /usr/bin/ls to=busy
symlink /bin to=usr/bin
symlink /usr/bin/far to=../../etc/near
symlink /etc/near to=./far/../../bin/busy
dir /etc/far
symlink /etc/abs to=/bin/ls
symlink /etc/listed to=/nowhere
symlink /etc/tolisted to=listed
symlink /etc/loop to=loop
symlink /etc/gone to=gone/x
symlink /etc/dir to=../usr/bin
symlink /etc/above to=../../../../../usr/bin/busy
symlink /usr/local/bin/ls to=/usr/bin/busy
symlink /opt/app/ls to=/usr/bin/busy
symlink /etc/tonobody to=/usr/lib/py/nobody.py
file /etc/conf
file /etc/conf.new
file /etc/other.new
`
	got, _ := claimsOf(t, root, func(c *pkgdb.Collector, at func(string) int) {
		c.Claim(c.Component("py"), at("/usr/lib/py/mod.py"))
		c.Claim(c.Component("py"), at("/usr/lib/py/a.b.py"))
		c.Claim(c.Component("busy"), at("/usr/bin/busy"))
		c.Claim(c.Component("busy"), at("/usr/bin"))
		c.Claim(c.Component("links"), at("/etc/listed"))
		c.Claim(c.Component("conf"), at("/etc/conf"))
	})
	pkgdbtest.Equal(t, "claims", got, pkgdbtest.Lines(
		"/etc/above fake/busy",
		"/etc/abs fake/busy",
		"/etc/conf fake/conf",
		"/etc/conf.new fake/conf",
		"/etc/listed fake/links",
		"/etc/near fake/busy",
		"/etc/tolisted fake/links",
		"/usr/bin fake/busy",
		"/usr/bin/busy fake/busy",
		"/usr/bin/far fake/busy",
		"/usr/bin/ls fake/busy",
		"/usr/lib/py/__pycache__/a.b.pypy39.pyo fake/py",
		"/usr/lib/py/__pycache__/mod.cpython-311.opt-2.pyc fake/py",
		"/usr/lib/py/__pycache__/mod.cpython-311.pyc fake/py",
		"/usr/lib/py/a.b.py fake/py",
		"/usr/lib/py/mod.py fake/py",
		"/usr/lib/py/mod.pyc fake/py",
	))
}

func TestWarnings(t *testing.T) {
	_, outcome := claimsOf(t, "dir /x", func(c *pkgdb.Collector, _ func(string) int) {
		for i := range 40 {
			c.Warn("number %d", i)
		}
	})
	if w := outcome.Warnings; len(w) != 33 || w[0] != "number 0" || w[32] != "not showing 8 more warnings of fake" {
		t.Errorf("got %q", w)
	}
	var names []string
	for i := range 10 {
		names = append(names, fmt.Sprint(i))
	}
	if got := pkgdb.List(names); !strings.HasSuffix(got, `"7" and 2 more`) {
		t.Errorf("got %s", got)
	}
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"glibc": true, "libstdc++6": true, "Ünï": true, "a:b": true, "": false, ".database": false, "a/b": false,
		"a b": false, "a\x00": false, "\xff": false, strings.Repeat("x", 256): false,
	} {
		if err := pkgdb.CheckName(name); (err == nil) != ok {
			t.Errorf("%q: got %v", name, err)
		}
	}
}

func TestSourceName(t *testing.T) {
	for path, want := range map[string]string{
		"openssl": "openssl", "package/libs/openssl": "openssl", "feeds/packages/net/curl": "curl", "": "", "../x": "", "a/../x": "", "a/": "", "/a": "", "a/b c": "",
	} {
		if got := pkgdb.SourceName(path); got != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
	}
}
