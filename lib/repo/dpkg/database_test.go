package dpkg

import (
	"context"
	"strings"
	"testing"

	"chunkah/lib/repo/pkgdb/pkgdbtest"
	"chunkah/tests/mkroot"
)

func TestNoDatabase(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":       "dir /usr",
		"empty folders": "dir /var/lib/dpkg/info\ndir /var/lib/dpkg/status.d",
		"alternatives":  "file /var/lib/dpkg/alternatives/awk",
		"dangling":      "symlink /var/lib/dpkg to=/nowhere",
		"not a folder":  "file /var/lib/dpkg",
	} {
		r, err := Repo{}.Load(context.Background(), pkgdbtest.Tree(t, mkroot.Make(t, text)))
		if r != nil || err != nil {
			t.Errorf("%s: got %v, %v", name, r, err)
		}
	}
}

// TestOwn checks that dpkg's own files, including those behind links, are in a component that
// changes with every build, and that directories are left to packages.
func TestOwn(t *testing.T) {
	tree, outcome := pkgdbtest.Run(t, mkroot.Make(t, strings.ReplaceAll(root(
		deb{name: "dpkg", list: "/var/lib/dpkg/info /var/lib/dpkg/status /usr/bin/dpkg"},
	), `file "/var/lib/dpkg/`, `file "/usr/lib/sysimage/dpkg/`)+`
symlink /var/lib/dpkg to=../../usr/lib/sysimage/dpkg
file /usr/lib/sysimage/dpkg/lock
dir /usr/lib/sysimage/dpkg/updates
file /usr/lib/sysimage/dpkg/status-old
file /var/log/dpkg.log
file /usr/bin/dpkg
`), Repo{})
	pkgdbtest.Equal(t, "claims", pkgdbtest.Claims(tree, Repo{}, false), lines(
		"/usr dpkg/dpkg",
		"/usr/bin dpkg/dpkg",
		"/usr/bin/dpkg dpkg/dpkg",
		"/usr/lib/sysimage/dpkg dpkg/.database",
		"/usr/lib/sysimage/dpkg/info dpkg/dpkg",
		"/usr/lib/sysimage/dpkg/info/dpkg.list dpkg/.database",
		"/usr/lib/sysimage/dpkg/info/format dpkg/.database",
		"/usr/lib/sysimage/dpkg/lock dpkg/.database",
		"/usr/lib/sysimage/dpkg/status dpkg/.database",
		"/usr/lib/sysimage/dpkg/status-old dpkg/.database",
		"/usr/lib/sysimage/dpkg/updates dpkg/.database",
		"/var dpkg/dpkg",
		"/var/lib dpkg/dpkg",
		"/var/log/dpkg.log dpkg/.database",
	))
	if c := outcome.Components[0]; c.Name != "dpkg/.database" || c.IntervalDays != 1 || c.HasMtimeClamp {
		t.Errorf("got %+v", c)
	}
	if len(outcome.Warnings) > 0 {
		t.Errorf("got %q", outcome.Warnings)
	}
}

func TestInterrupted(t *testing.T) {
	check(t, root(deb{name: "a", list: "/usr/a"})+`
file /usr/a
file /var/lib/dpkg/updates/0001
file /var/lib/dpkg/status-new
file /var/lib/dpkg/info/a.list-new
`, "/usr/a dpkg/a\n",
		`found "/var/lib/dpkg/updates/0001": dpkg was interrupted`,
		`found "/var/lib/dpkg/info/a.list-new", "/var/lib/dpkg/status-new", which an interrupted`)
}

// TestDamage checks that readable data are used, and that all damage is reported.
func TestDamage(t *testing.T) {
	const status = "/var/lib/dpkg/status"
	good := "Package: good\nStatus: install ok installed\nVersion: 1\n\n"
	rest := file("/var/lib/dpkg/info/good.list", listOf("/usr/good"), installed) +
		file("/var/lib/dpkg/info/bad.list", listOf("/usr/bad"), installed) + "file /usr/good\nfile /usr/bad\n"
	both := lines("/usr/bad dpkg/bad", "/usr/good dpkg/good")
	for name, c := range map[string]struct {
		text string
		want string
		warn []string
	}{
		"no status":     {"Package: bad\nVersion: 1\n\n" + good, both, []string{`line 1: package "bad" has no complete Status`}},
		"no name":       {good + "Status: install ok installed\n\n" + good, both, []string{`line 5: skipping an entry: Package: no name`, `found a file list of package "bad"`}},
		"bad name":      {"Package: ../x\nVersion: 1\n\n" + good, both, []string{`line 1: skipping an entry: Package: "../x" is not a name`, `found a file list of package "bad"`}},
		"bad source":    {"Package: bad\nSource: .database\nVersion: 1\nStatus: install ok installed\n\n" + good, both, []string{`line 1: package "bad": Source: ".database" is not a name`}},
		"NUL":           {"Package: bad\nVersion: \x00\nStatus: install ok installed\n\n" + good, both, []string{`line 2: package "bad": contains a NUL`}},
		"no field":      {"Package: bad\nsomething\nStatus: install ok installed\n\n" + good, both, []string{`line 2: package "bad": "something" is not a field`}},
		"twice":         {"Package: bad\nVersion: 1\nVersion: 2\nStatus: install ok installed\n\n" + good, both, []string{`line 3: package "bad": field Version occurs twice`}},
		"no empty line": {"Package: bad\nVersion: 1\nStatus: install ok installed\n" + good, both, []string{`line 4: package "bad": no empty line`}},
		"lost entry":    {good, both, []string{`found a file list of package "bad"`}},
		"conffile":      {"Package: bad\nVersion: 1\nConffiles:\n relative 00\nStatus: install ok installed\n\n" + good, both, []string{`line 4: package "bad": "relative 00" is not the path of a configuration file followed by its digest`}},
		"no end":        {"Package: bad\nVersion: 1\nStatus: install ok installed\n\n" + good[:len(good)-2], both, []string{`no empty line after package "good"`}},
		"long line":     {"Package: bad\nVersion: 1\nDepends: " + strings.Repeat("x", 300000) + "\nStatus: install ok installed\n\n" + good, both, []string{`line 3: package "bad": is longer than 262144 bytes`}},
		"long field":    {"Package: bad\nVersion: " + strings.Repeat("1", 5000) + "\nStatus: install ok installed\n\n" + good, both, []string{`line 2: package "bad": field Version has 5000 bytes`}},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, file(status, c.text, installed)+rest, c.want, c.warn...)
		})
	}
	for name, c := range map[string][2]string{
		"cut":     {good + "Package: bad\nSta", `reading "/var/lib/dpkg/status": line 6: package "bad": is truncated`},
		"cut 2":   {good + "Package: bad\nStatus: install ok installed\n", `line 6: package "bad": is truncated`},
		"empty":   {"", `reading "/var/lib/dpkg/status": contains no packages, but "/var/lib/dpkg/info" contains file lists of "bad", "good"`},
		"garbage": {strings.Repeat("\x00", 5000) + "\n\n", `reading "/var/lib/dpkg/status": has no package`},
		"huge":    {good, `database format "2" is unknown`},
	} {
		text := file(status, c[0], installed) + rest
		if name == "huge" {
			text += file("/var/lib/dpkg/info/format", "2\n", installed)
		}
		fails(t, text, c[1])
	}
	fails(t, "dir /var/lib/dpkg/status", `reading "/var/lib/dpkg/status": is not a regular file`)
	fails(t, rest, `contains no packages, but`)
	fails(t, "file /var/lib/dpkg/status sparse=1 size=1073741824", `reading "/var/lib/dpkg/status": the file is 1073741824 bytes`)
}

// TestStatusCut truncates status at any position, and checks that every loss is reported.
func TestStatusCut(t *testing.T) {
	status := ""
	rest := ""
	want := ""
	for _, name := range []string{"a", "b", "c"} {
		status += "Package: " + name + "\nStatus: install ok installed\nVersion: 1\nConffiles:\n /etc/x 00\n\n"
		rest += file("/var/lib/dpkg/info/"+name+".list", listOf("/usr/"+name), installed) + "file /usr/" + name + "\n"
		want += "/usr/" + name + " dpkg/" + name + "\n"
	}
	dir := mkroot.Make(t, rest+file("/var/lib/dpkg/status", status, installed))
	for cut := range len(status) {
		write(t, dir+"/var/lib/dpkg/status", status[:cut])
		tree := pkgdbtest.Tree(t, dir)
		r, err := Repo{}.Load(context.Background(), tree)
		if err != nil {
			continue
		}
		files := 0
		for _, c := range r.Claims {
			if strings.HasPrefix(tree.Files[c.File].Path, "/usr/") {
				files++
			}
		}
		if files != 3 {
			t.Errorf("cut at %d: got %d files", cut, files)
		}
		if cut < len(status)-1 && len(r.Warnings) == 0 {
			t.Errorf("cut at %d: got no warning", cut)
		}
	}
	write(t, dir+"/var/lib/dpkg/status", strings.ReplaceAll(status, "\n", "\r\n"))
	tree, outcome := pkgdbtest.Run(t, dir, Repo{})
	if len(outcome.Warnings) > 0 {
		t.Errorf("CRLF: got %q", outcome.Warnings)
	}
	for line := range strings.Lines(want) {
		if !strings.Contains(pkgdbtest.Claims(tree, Repo{}, true), line) {
			t.Errorf("CRLF: no %s", line)
		}
	}
}

func TestListDamage(t *testing.T) {
	info := "/var/lib/dpkg/info/"
	text := root(
		deb{name: "cut", sums: "/usr/one /usr/two"},
		deb{name: "empty", sums: "/usr/three"},
		deb{name: "odd", list: "/usr/four"},
	) + file(info+"cut.list", "/.\n/usr\n/usr/four", installed) + file(info+"empty.list", "", installed)
	text = strings.Replace(text, `/usr/four\n`, `relative\n/usr/\x00\n/usr/four\n`, 1)
	check(t, text+"file /usr/one\nfile /usr/two\nfile /usr/three\nfile /usr/four\n",
		lines("/usr/four dpkg/odd", "/usr/one dpkg/cut", "/usr/three dpkg/empty", "/usr/two dpkg/cut"),
		`reading "/var/lib/dpkg/info/cut.list": the list is truncated: package "cut" can have files that are not listed`,
		`reading "/var/lib/dpkg/info/empty.list": the list is truncated`,
		`reading "/var/lib/dpkg/info/odd.list": line 3: "relative": is not an absolute path`,
		`reading "/var/lib/dpkg/info/odd.list": line 4: "": contains a NUL`)
}

func TestDiversionsDamage(t *testing.T) {
	for text, want := range map[string]string{
		"/a\n/b\n":              `reading "/var/lib/dpkg/diversions": line 2: is truncated`,
		"/a\nb\nc\n":            `line 2: "b" is not an absolute path`,
		"/a\n/b\n\n":            `line 3: no package`,
		"/a\n/\x00\nc\n":        `line 2: contains a NUL`,
		"/a\n/b\nc\n/d\n/e":     `line 5: is truncated`,
		"/a\n/b\nc\nd\n/e\nf\n": `line 4: "d" is not an absolute path`,
	} {
		fails(t, root(deb{name: "a", list: "/usr/a"})+file("/var/lib/dpkg/diversions", text, installed), want)
	}
}
