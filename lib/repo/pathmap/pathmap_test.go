package pathmap

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/places/placestest"
	"chunkah/tests/bound"
)

// mapOf parses a map that must be valid.
func mapOf(t testing.TB, data string) *Repo {
	t.Helper()
	r, err := New("f.json", []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func sample(t testing.TB) *placestest.Root {
	return placestest.New(t).File("/usr/bin/bash", "x").File("/usr/bin/[", "x").File("/usr/bin/sh", "x").File("/usr/lib/modules/6.1/a.ko", "x").
		File("/usr/lib/modules/6.1/.hidden/b.ko", "x").File("/usr/lib/libc.so.6", "x").File("/usr/lib/a-ä.so", "x").File("/usr/libexec/x", "x").
		Symlink("/lib", "usr/lib").Symlink("/usr/bin/bash2", "bash")
}

func TestShapes(t *testing.T) {
	for name, data := range map[string]string{
		"paths":           `{"/usr/bin/bash": "bash", "/usr/lib/modules": "kernel/modules"}`,
		"objects of path": `{"/usr/bin/bash": {"component": "bash"}, "/usr/lib/modules/": {"component": "kernel/modules"}}`,
		"components":      `{"bash": "/usr/bin/bash", "kernel/modules": ["usr/lib/modules"]}`,
		"files":           `{"bash": {"interval": "weekly", "files": ["/usr/bin/bash"]}, "kernel/modules": {"paths": "./usr//lib/modules"}}`,
		"list":            `[{"prefix": "/usr/bin/bash", "component": "bash"}, {"path": "/usr/lib/modules", "component": "kernel/modules", "interval": 30}]`,
		"both ways":       `{"/usr/bin/bash": "bash", "kernel/modules": ["/usr/lib/modules"]}`,
		"in two places":   `{"kernel/modules": "/usr/lib/modules", "bash": "/usr/bin/bash", "kernel/modules": [], "bash": ["/usr/bin/bash"]}`,
		"by a link":       `{"bash": "/usr/./bin/bash", "kernel/modules": "/lib/modules"}`,
	} {
		a := sample(t).Assign(mapOf(t, data))
		a.WantWarnings()
		a.Want("/usr/bin/bash", "map/bash", "/usr/lib/modules/6.1/a.ko", "kernel/modules", "/usr/lib/modules", "kernel/modules",
			"/usr/bin/sh", "chunkah/unclaimed", "/usr/libexec/x", "chunkah/unclaimed", "/usr/bin/bash2", "map/bash")
		if t.Failed() {
			t.Fatal(name)
		}
	}
}

func TestIntervals(t *testing.T) {
	r := mapOf(t, `{"a": {"interval": "weekly", "files": []}, "/x": {"component": "a"}, "/y": {"component": "a", "interval": 7}, "b": {"interval": "monthly", "path": "/z"}, "c": "/c"}`)
	a := placestest.New(t).File("/x", "").File("/y", "").File("/z", "").File("/c", "").Assign(r)
	var got []string
	for _, c := range a.Outcome.Components {
		got = append(got, fmt.Sprint(c.Name, " ", c.IntervalDays))
	}
	if want := "map/a 7, map/b 30, map/c 0"; strings.Join(got, ", ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// An interval requires no paths, and replaces the update history that another repo found for the
// component.
func TestIntervalOfPackage(t *testing.T) {
	r := mapOf(t, `{"rpm/kmod": {"interval": "daily"}, "rpm/gone": {"interval": 7}, "rpm/bash": {"interval": "monthly", "files": ["/mine"]}}`)
	a := placestest.New(t).File("/kmod", "").File("/bash", "").File("/other", "").File("/mine", "").Assign(r, history{})
	a.WantWarnings(`map "f.json": component "rpm/gone", which has an interval, is not in the tree`)
	a.Want("/mine", "rpm/bash", "/bash", "rpm/bash")
	var got []string
	for _, c := range a.Outcome.Components {
		got = append(got, fmt.Sprint(c.Name, " ", c.IntervalDays, " ", len(c.Updates)))
	}
	if want := "rpm/bash 30 0, rpm/kmod 1 0, rpm/other 0 2"; strings.Join(got, ", ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// history is a repo that claims every file and returns two updates for each component.
type history struct{}

func (history) Name() string { return "rpm" }

func (history) Load(_ context.Context, t *assign.Tree) (*assign.Result, error) {
	r := &assign.Result{}
	for i, f := range t.Files {
		p := &assign.Package{Name: f.Path, Component: &format.Component{Name: "rpm" + f.Path, Updates: []int64{1, 2}}}
		r.Packages = append(r.Packages, p)
		r.Claims = append(r.Claims, assign.Claim{File: i, Package: p})
	}
	return r, nil
}

// Symlinks belong to the component of the file that they lead to, unless a repo claims them.
func TestLinks(t *testing.T) {
	r := placestest.New(t).File("/opt/web/bin/web", "").Symlink("/usr/local/bin/web", "/opt/web/bin/web").Symlink("/usr/bin/www", "../local/bin/web").
		Symlink("/srv/web", "/opt/web").Symlink("/usr/bin/owned", "/opt/web/bin/web").Own("dpkg/owned", "/usr/bin/owned").Symlink("/usr/bin/loop", "loop")
	a := r.Assign(mapOf(t, `{"/opt/web": "web"}`))
	a.Want("/usr/local/bin/web", "map/web", "/usr/bin/www", "map/web", "/srv/web", "chunkah/unclaimed", "/usr/bin/owned", "dpkg/owned", "/usr/bin/loop", "chunkah/unclaimed")
}

func TestMostSpecific(t *testing.T) {
	for _, data := range []string{
		`{"/usr": "usr", "/usr/lib": "lib", "/usr/lib/*": "star", "/usr/lib/lib*.so.*": "so", "/usr/lib/libc.so.6": "libc", "/**/*.ko": "ko", "/usr/lib/modules/*/": "mod"}`,
		`{"/usr/lib/modules/*/": "mod", "/**/*.ko": "ko", "/usr/lib/libc.so.6": "libc", "/usr/lib/lib*.so.*": "first", "/usr/lib/*": "star", "/usr/lib": "lib", "/usr": "usr", "so": "/usr/lib/lib*.so.*"}`,
	} {
		a := sample(t).Assign(mapOf(t, data))
		a.WantWarnings()
		a.Want("/usr/bin/bash", "map/usr", "/usr/libexec/x", "map/usr", "/usr/lib/a-ä.so", "map/star", "/usr/lib", "map/lib",
			"/usr/lib/libc.so.6", "map/libc", "/usr/lib/modules/6.1/a.ko", "map/mod", "/usr/lib/modules/6.1/.hidden/b.ko", "map/mod")
	}
	a := sample(t).Assign(mapOf(t, `{"/usr/lib/libc*": "last", "/usr/lib/*.6": "later"}`))
	a.Want("/usr/lib/libc.so.6", "map/later")
}

func TestPatterns(t *testing.T) {
	for pattern, want := range map[string]string{
		"/usr/lib/**":               "/usr/lib/a-ä.so /usr/lib/libc.so.6 /usr/lib/modules/6.1/.hidden/b.ko /usr/lib/modules/6.1/a.ko",
		"/usr/lib/modules/**/*.ko":  "/usr/lib/modules/6.1/.hidden/b.ko /usr/lib/modules/6.1/a.ko",
		"/lib/modules/**/.hid*":     "/usr/lib/modules/6.1/.hidden/b.ko",
		"/lib/*.so":                 "/usr/lib/a-ä.so",
		"/**/a-?.so":                "/usr/lib/a-ä.so",
		"/usr/l*/a-[à-ü].so":        "/usr/lib/a-ä.so",
		"/usr/bin/[[]":              "/usr/bin/[",
		"/usr/bin/[":                "/usr/bin/[",
		"/usr/bin/[!a-z]":           "/usr/bin/[",
		"/usr/bin/[^s]?":            "",
		"/usr/bin/s[h-]":            "/usr/bin/sh",
		"/usr/bin/*[":               "/usr/bin/[",
		"/usr/bin/**/sh":            "/usr/bin/sh",
		"/**/bin/**/**/*s*h":        "/usr/bin/bash /usr/bin/sh",
		"/usr/lib/*/6.1/a.ko/**":    "/usr/lib/modules/6.1/a.ko",
		"/usr/lib":                  "/usr/lib/a-ä.so /usr/lib/libc.so.6 /usr/lib/modules/6.1/.hidden/b.ko /usr/lib/modules/6.1/a.ko",
		"/usr/li":                   "",
		"/gone/*":                   "",
		"/lib/modules/6.1/a.ko":     "/usr/lib/modules/6.1/a.ko",
		"/usr/bin/bash*/":           "/usr/bin/bash",
		"/*/*/modules/6.1/.hidden/": "/usr/lib/modules/6.1/.hidden/b.ko",
	} {
		r := sample(t)
		tree := r.Tree()
		result, err := mapOf(t, fmt.Sprintf(`{%q: "x"}`, pattern)).Load(t.Context(), tree)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, claim := range result.Claims {
			if tree.Files[claim.File].Type == format.TypeFile {
				got = append(got, tree.Files[claim.File].Path)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %q, want %q", pattern, got, want)
		}
		if (len(result.Warnings) == 0) != (len(result.Claims) > 0) {
			t.Errorf("%s: warnings %q", pattern, result.Warnings)
		}
	}
}

func TestNothingMatches(t *testing.T) {
	a := sample(t).Assign(mapOf(t, `{"a": ["/usr/bin/bash", "/gone", "/gone/*"], "b": ["/usr/bin/bash"], "c": [`+
		strings.Repeat(`"/x/*", `, 11)+`"/y"]}`))
	a.WantWarnings(
		`map "f.json": component "map/a": 2 of 3 paths match nothing: "/gone", "/gone/*"`,
		`component "map/c": 12 of 12 paths| and 2 more`,
	)
	a.Want("/usr/bin/bash", "map/b")
	many := "{"
	for i := range maxWarnings + 2 {
		many += fmt.Sprintf(`"c%d": "/gone/%d",`, i, i)
	}
	a = sample(t).Assign(mapOf(t, many+`"z": []}`))
	if n := len(a.Warnings); n != maxWarnings+1 || !strings.Contains(a.Warnings[n-1], "2 more components") {
		t.Errorf("%d warnings", n)
	}
}

func TestRefused(t *testing.T) {
	for data, want := range map[string]string{
		``:                          `reading map "f.json": line 1: unexpected EOF`,
		`"x"`:                       `is neither an object nor a list`,
		"{\n\"/a\": \"b\",\n\"c\"":  `line 3: `,
		`{"/a": "b"} x`:             `line 1: `,
		`{"/a": "b"} {}`:            `line 1: has text after its end`,
		"{\"/a\": \"\xff\"}":        `is not UTF-8`,
		`{"/a": ""}`:                `entry "/a": is not a component name`,
		`{"/a": "/b"}`:              `entry "/a": "/b" is a path too`,
		`{"a": "b"}`:                `entry "a": neither this nor "b" begins with a slash`,
		`{"/a": ["b"]}`:             `entry "/a": a path belongs to one component`,
		`{"a": 1}`:                  `entry "a": maps to 1`,
		`{"a": ["/b", null]}`:       `entry "a": null is not a path`,
		`{"a": ["/b/../c"]}`:        `entry "a": path "/b/../c" contains ".."`,
		`{"a": [""]}`:               `entry "a": "" is not a path`,
		`{"": ["/b"]}`:              `entry "": is not a component name`,
		`{"a": {}}`:                 `entry "a": has neither paths nor an interval`,
		`{"/a": {}}`:                `entry "/a": has no component`,
		`{"a": {"files": {}}}`:      `entry "a": {} is not a path`,
		`{"a": {"file": "/b"}}`:     `entry "a": has the unknown field "file"`,
		`{"a": {"component": "b"}}`: `entry "a": needs one component`,
		`{"/a": {"component": 1}}`:  `entry "/a": needs one component`,
		`{"/a": {"path": "/b"}}`:    `entry "/a": lists paths twice`,
		`{"a": {"files": [], "interval": "hourly"}}`:                                   `entry "a": interval "hourly": must be a number of days`,
		`{"a": {"files": [], "interval": 0}}`:                                          `interval 0: must be a number`,
		`{"a": {"files": [], "interval": 1.5}}`:                                        `interval 1.5: must be a number`,
		`{"a": {"files": [], "interval": 7}, "/x": {"component": "a", "interval": 8}}`: `entry "/x": the interval of component "map/a" is 8 days here and 7 in entry "a"`,
		`[1]`:                  `entry 1: is not an object`,
		`[{"prefix": "/a"}]`:   `entry 1: has no component`,
		`[{"component": "a"}]`: `entry 1: has neither paths nor an interval`,
		`[{"component": "a"`:   `line 1: `,
		`{"a": ["/\u0000"]}`:   `is not a path`,
		`{"` + strings.Repeat("a", 70000) + `": "/b"}`: `is not a component name`,
		`{"a": "/` + strings.Repeat("b", 5000) + `"}`:  `is not a path`,
	} {
		_, err := New("f.json", []byte(data))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: got %v, want %s", data, err, want)
		} else if len(err.Error()) > 400 {
			t.Errorf("%.60s: %d bytes of error", data, len(err.Error()))
		}
	}
}

// TestEffort checks that the work is limited for any map.
func TestEffort(t *testing.T) {
	for _, path := range []string{"/usr", "/**/x", "/usr/**"} {
		m := newMatcher(sample(t).Tree())
		if _, err := m.match(0, path); err != nil || m.effort == 0 {
			t.Errorf("%s: effort %d, %v", path, m.effort, err)
		}
		m.effort = maxEffort
		if _, err := m.match(0, path); !errors.Is(err, errEffort) {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

func FuzzMap(f *testing.F) {
	f.Add([]byte(`{"/usr/bin/*": "bash", "k": {"interval": "weekly", "files": ["usr/lib/**/[!a-z].ko"]}}`))
	f.Add([]byte(`[{"prefix": "/usr", "component": "x/y", "interval": 3}]`))
	tree := sample(f).Tree()
	f.Fuzz(func(t *testing.T, data []byte) {
		bound.Input(t, len(data))
		r, err := New("f", data)
		if err != nil {
			return
		}
		result, err := r.Load(t.Context(), tree)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range result.Packages {
			if err := p.Component.Validate(); err != nil {
				t.Error(err)
			}
		}
	})
}

func FuzzMatch(f *testing.F) {
	f.Add("/**/a[!b-c]*?/**", "/x/a/b/ad.e/z")
	f.Add("[]-a]/**/**/x", "]/x")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		bound.Input(t, len(pattern)+len(path))
		names := appendNames(nil, path)
		if !matchNames([]string{"**"}, names) || matchNames(nil, names) {
			t.Errorf("%q", path)
		}
		if !isPattern(path) && !matchNames(names, names) {
			t.Errorf("%q does not match itself", path)
		}
		if got, want := matchNames(appendNames(nil, pattern), names), slow(appendNames(nil, pattern), names); got != want {
			t.Errorf("%q, %q: %t, want %t", pattern, path, got, want)
		}
	})
}

// slow is a simple implementation of "**".
func slow(patterns, names []string) bool {
	if len(patterns) > 12 || len(names) > 12 {
		return matchNames(patterns, names)
	}
	switch {
	case len(patterns) == 0:
		return len(names) == 0
	case patterns[0] == "**":
		return slow(patterns[1:], names) || len(names) > 0 && slow(patterns, names[1:])
	}
	return len(names) > 0 && matchName(patterns[0], names[0]) && slow(patterns[1:], names[1:])
}
