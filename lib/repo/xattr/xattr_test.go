package xattr

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/places/placestest"
)

// file makes a record with extended attributes "name=value".
func file(path string, attrs ...string) *format.File {
	f := &format.File{Path: path, Type: format.TypeFile}
	if strings.HasSuffix(path, "/") {
		f.Path, f.Type = "/"+strings.Trim(path, "/"), format.TypeDir
	}
	for _, a := range attrs {
		name, value, _ := strings.Cut(a, "=")
		f.Xattrs = append(f.Xattrs, format.Xattr{Name: name, Value: []byte(value)})
	}
	format.SortXattrs(f.Xattrs)
	return f
}

func component(name string) string { return attrComponent + "=" + name }

func every(text string) string { return attrInterval + "=" + text }

func load(t *testing.T, files ...*format.File) (*assign.Result, error) {
	t.Helper()
	if !slices.IsSortedFunc(files, func(a, b *format.File) int { return format.ComparePaths(a.Path, b.Path) }) {
		t.Fatal("the records are not in order")
	}
	return Repo{}.Load(t.Context(), assign.NewTree(nil, files))
}

// claims runs Load and returns "path component" for each claim.
func claims(t *testing.T, files ...*format.File) (*assign.Result, []string) {
	t.Helper()
	result, err := load(t, files...)
	if err != nil {
		t.Fatal(err)
	}
	if result == nil {
		return nil, nil
	}
	var list []string
	for _, c := range result.Claims {
		list = append(list, files[c.File].Path+" "+c.Package.Component.Name)
	}
	for _, p := range result.Packages {
		if err := p.Component.Validate(); err != nil {
			t.Error(err)
		}
	}
	if result.Fallback != nil {
		t.Error("has weak claims")
	}
	return result, list
}

func TestInheritance(t *testing.T) {
	_, got := claims(t,
		file("/"),
		file("/a/", component("outer")),
		file("/a/b/"),
		file("/a/b/c"),
		file("/a/b/d", component("own")),
		file("/a/e/", component("inner")),
		file("/a/e/f"),
		file("/a/e/g/"),
		file("/a/e/g/h", component("outer")),
		file("/a/e/g/i"),
		file("/a/z"),
		file("/a-b"),
		file("/ab"),
		file("/b", component("own")),
		file("/c"),
	)
	want := []string{"/a xattr/outer", "/a/b xattr/outer", "/a/b/c xattr/outer", "/a/b/d xattr/own", "/a/e xattr/inner", "/a/e/f xattr/inner",
		"/a/e/g xattr/inner", "/a/e/g/h xattr/outer", "/a/e/g/i xattr/inner", "/a/z xattr/outer", "/b xattr/own"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestInheritanceFromRoot(t *testing.T) {
	link := file("/link")
	link.Type, link.Target = format.TypeSymlink, "a"
	_, got := claims(t, file("/", component("all")), file("/a/"), file("/a/b"), link)
	if want := []string{"/ xattr/all", "/a xattr/all", "/a/b xattr/all", "/link xattr/all"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Parents need no records.
func TestInheritanceWithGaps(t *testing.T) {
	_, got := claims(t, file("/a/", component("x")), file("/a/b/c/d"), file("/e/f/", component("y")), file("/e/f/g/h"), file("/e/i"))
	if want := []string{"/a xattr/x", "/a/b/c/d xattr/x", "/e/f xattr/y", "/e/f/g/h xattr/y"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNothing(t *testing.T) {
	result, _ := claims(t, file("/"), file("/a", "user.comp=x", "user.component2=x", "security.capability=x"))
	if result != nil {
		t.Errorf("found %+v", result)
	}
}

func TestNames(t *testing.T) {
	long := strings.Repeat("n", format.MaxText-len("xattr/"))
	for value, want := range map[string]string{
		"web":           "web",
		"web\x00":       "web", // as tools that write C strings store it
		"web\n":         "web",
		"web\n\x00":     "web",
		" web ":         " web ",
		"a/b=c d\ne":    "a/b=c d\ne",
		"\xc3\xa4":      "\xc3\xa4",
		"\x00web":       "\x00web",
		long:            long,
		"\xff":          "",
		"a\xffb":        "",
		long + "n":      "",
		"xattr/already": "xattr/already",
	} {
		result, err := load(t, file("/a"), file("/some/file", component(value)))
		if want == "" {
			start := `user.component of "/some/file" is not a component name: "`
			if err == nil || !strings.HasPrefix(err.Error(), start) || len(err.Error()) > 500 {
				t.Errorf("%.50q: %+v, %.100v", value, result, err)
			}
			continue
		}
		if err != nil || len(result.Packages) != 1 || result.Packages[0].Component.Name != "xattr/"+want {
			t.Errorf("%.50q: %+v, %.100v", value, result, err)
		}
	}
}

func TestIntervals(t *testing.T) {
	for text, want := range map[string]int64{
		"daily": 1, "weekly": 7, "biweekly": 14, "monthly": 30, "quarterly": 90, "yearly": 365, "weekly\n": 7, "weekly\x00": 7,
		"1": 1, "30": 30, "30\n": 30, "007": 7, "36525": 36525, "36526": 36526, "+5": 5, "9223372036854775808": format.MaxInt, "99999999999999999999": format.MaxInt,
		"0": 0, "-1": 0, "1.5": 0, "": 0, "Daily": 0, "hourly": 0, "7 days": 0, "0x7": 0, "1_0": 0, "++5": 0, "\xff": 0,
	} {
		result, err := load(t, file("/f", component("x"), every(text)))
		if want == 0 {
			start := fmt.Sprintf("user.update-interval of %q is %q: must be a number of days, or daily, ", "/f", strings.TrimRight(text, "\n\x00"))
			if err == nil || !strings.HasPrefix(err.Error(), start) {
				t.Errorf("%q: %+v, %v", text, result, err)
			}
			continue
		}
		if err != nil || result.Packages[0].Component.IntervalDays != want {
			t.Errorf("%q: %+v, %v", text, result, err)
		}
	}
}

// One file can set the interval for its whole component, and several files can set the same
// interval.
func TestIntervalOfComponent(t *testing.T) {
	result, _ := claims(t, file("/a", component("x")), file("/b", component("x"), every("7")), file("/c", component("y"), every("30")),
		file("/d", component("x"), every("weekly")), file("/e", component("z")))
	got := map[string]int64{}
	for _, p := range result.Packages {
		got[p.Component.Name] = p.Component.IntervalDays
	}
	if got["xattr/x"] != 7 || got["xattr/y"] != 30 || got["xattr/z"] != 0 || len(got) != 3 || len(result.Packages) != 3 {
		t.Errorf("got %v, %d packages", got, len(result.Packages))
	}
}

func TestConflict(t *testing.T) {
	_, err := load(t, file("/a/", component("x"), every("weekly")), file("/a/b", component("x"), every("7")),
		file("/c", component("y"), every("1")), file("/d", component("x"), every("8")))
	want := `user.update-interval of "/a/b" is 7 days, but the value for "/d" is 8, both in component "xattr/x"`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// A component inherited from a directory gets the interval of that directory or of a file in it,
// with the same conflicts as in the Rust chunkah. An empty string is a valid name.
func TestIntervalInherited(t *testing.T) {
	result, got := claims(t, file("/d/", component("x")), file("/d/a", every("monthly")), file("/d/b/", every("30")), file("/e", component("")))
	if len(got) != 4 || len(result.Warnings) != 0 || result.Packages[0].Component.IntervalDays != 30 || result.Packages[1].Component.Name != "xattr/" {
		t.Errorf("%q, %+v", got, result)
	}
	_, err := load(t, file("/d/", component("x"), every("weekly")), file("/d/a", every("monthly")))
	if want := `user.update-interval of "/d" is 7 days, but the value for "/d/a" is 30, both in component "xattr/x"`; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	if _, err := load(t, file("/d/", component("x")), file("/d/a", every("never"))); err == nil {
		t.Error("a wrong interval is not reported")
	}
}

// fixed is a repo that claims files for one component.
type fixed struct{ record *format.Component }

func (fixed) Name() string { return "pkg" }

func (r fixed) Load(_ context.Context, t *assign.Tree) (*assign.Result, error) {
	result := &assign.Result{}
	for i, f := range t.Files {
		if strings.HasPrefix(f.Path, "/usr/") {
			result.Claims = append(result.Claims, assign.Claim{File: i, Package: &assign.Package{Component: r.record}})
		}
	}
	return result, nil
}

// An interval on a file without an xattr component applies to the file's package. Components of
// unclaimed files already have an interval. For any number of files, there is at most one warning
// of each kind.
func TestIntervalOfPackages(t *testing.T) {
	files := []*format.File{file("/opt/a", every("weekly")), file("/opt/b", every("never")), file("/opt/c", every("seldom"))}
	for i := range 500 {
		files = append(files, file(fmt.Sprintf("/usr/%03d", i), every(strconv.Itoa(7+i%2))))
	}
	run := func(c *format.Component) *assign.Outcome {
		t.Helper()
		for _, f := range files {
			f.Components = nil
		}
		out, err := assign.Assign(t.Context(), assign.NewTree(nil, files), []assign.Repo{Repo{}, fixed{c}})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	out := run(&format.Component{Name: "pkg/a"})
	got := map[string]int64{}
	for _, c := range out.Components {
		got[c.Name] = c.IntervalDays
	}
	if len(got) != 2 || got["pkg/a"] != 7 || got["chunkah/unclaimed"] != 1 {
		t.Errorf("got %v", got)
	}
	want := []string{
		`user.update-interval is invalid and ignored on 2 files, for example "never" of "/opt/b"`,
		`components whose files have different update intervals: 1, for example "pkg/a" (7 and 8 days): their shortest interval is used`,
	}
	if !slices.Equal(out.Warnings, want) {
		t.Errorf("got %q", out.Warnings)
	}
	out = run(&format.Component{Name: "pkg/a", Updates: []int64{1_600_000_000, 1_650_000_000}})
	if c := out.Components[0]; c.IntervalDays != 7 || c.Updates != nil {
		t.Errorf("the history still counts: %+v", c)
	}
	if out = run(&format.Component{Name: "pkg/a", IntervalDays: 1}); out.Components[0].IntervalDays != 1 {
		t.Errorf("the data from the repo are lost: %+v", out.Components[0])
	}
}

// In a run of the whole stage, records that already have components keep them, and hard links to an
// inode stay together.
func TestAssigned(t *testing.T) {
	tagged := file("/d/tagged")
	tagged.Components = []string{"mine"}
	one, two := file("/d/one"), file("/e/two")
	one.Hardlink, two.Hardlink = 1, 1
	link := &format.File{Path: "/e/link", Type: format.TypeSymlink, Target: "/d/one"} // belongs to its target's component
	files := []*format.File{file("/d/", component("x")), one, tagged, file("/e/"), link, two, file("/f", component("y"), every("3"))}
	out, err := assign.Assign(t.Context(), assign.NewTree(nil, files), []assign.Repo{Repo{}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		got = append(got, f.Path+" "+strconv.Itoa(len(f.Components))+" "+strings.Join(f.Components, " "))
	}
	want := []string{"/d 1 xattr/x", "/d/one 1 xattr/x", "/d/tagged 1 mine", "/e 0 ", "/e/link 1 xattr/x", "/e/two 1 xattr/x", "/f 1 xattr/y"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if len(out.Components) != 2 || out.Components[1].IntervalDays != 3 {
		t.Errorf("components %+v", out.Components)
	}
}

// Symlinks elsewhere in the tree belong to the component of the file that they lead to, unless a
// repo claims them.
func TestLinks(t *testing.T) {
	tree := placestest.New(t).File("/opt/web/bin/web", "").Symlink("/usr/bin/web", "/opt/web/bin/web").
		Symlink("/usr/bin/www", "web").Symlink("/srv/web", "/opt/web").Tree()
	for _, f := range tree.Files {
		if f.Path == "/opt/web" {
			f.Xattrs = []format.Xattr{{Name: attrComponent, Value: []byte("web")}}
		}
	}
	if _, err := assign.Assign(t.Context(), tree, []assign.Repo{Repo{}}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"/usr/bin/web": "xattr/web", "/usr/bin/www": "xattr/web", "/srv/web": "chunkah/unclaimed"}
	for _, f := range tree.Files {
		if name, asked := want[f.Path]; asked && !slices.Equal(f.Components, []string{name}) {
			t.Errorf("%s belongs to %q, want %q", f.Path, f.Components, name)
		}
	}
}
