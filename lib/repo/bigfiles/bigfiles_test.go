package bigfiles

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/assign"
)

func file(path string, size, group int64) *format.File {
	return &format.File{Path: path, Type: format.TypeFile, Size: size, Hardlink: group}
}

// tags assigns components and returns "path component" for each record.
func tags(t *testing.T, repos []assign.Repo, files ...*format.File) []string {
	t.Helper()
	out, err := assign.Assign(t.Context(), assign.NewTree(nil, files), repos)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range out.Components {
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
	}
	var list []string
	for _, f := range files {
		list = append(list, f.Path+" "+strings.Join(f.Components, " "))
	}
	return list
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestThreshold(t *testing.T) {
	dir := &format.File{Path: "/opt", Type: format.TypeDir}
	link := &format.File{Path: "/opt/link", Type: format.TypeSymlink, Target: "big"}
	got := tags(t, []assign.Repo{Repo{}}, dir, file("/opt/big", least, 0), file("/opt/huge", 1<<40, 0), link,
		file("/opt/small", least-1, 0), file("/opt/unknown", format.SizeUnknown, 0))
	want(t, got, "/opt ", "/opt/big bigfiles/opt/big", "/opt/huge bigfiles/opt/huge", "/opt/link chunkah/unclaimed",
		"/opt/small chunkah/unclaimed", "/opt/unknown chunkah/unclaimed")
}

// All hard links to an inode are in the component of the first path.
func TestHardLinks(t *testing.T) {
	got := tags(t, []assign.Repo{Repo{}}, file("/a", 5<<20, 7), file("/b", 3<<20, 0), file("/c", 5<<20, 7), file("/d", 1, 8), file("/e", 1, 8))
	want(t, got, "/a bigfiles/a", "/b bigfiles/b", "/c bigfiles/a", "/d chunkah/unclaimed", "/e chunkah/unclaimed")
}

// owner claims one path for a package.
type owner string

func (owner) Name() string { return "owner" }

func (o owner) Load(_ context.Context, t *assign.Tree) (*assign.Result, error) {
	i, ok := t.Lookup(string(o))
	if !ok {
		return nil, errors.New("no such record")
	}
	p := &assign.Package{Component: &format.Component{Name: "owner/x"}}
	return &assign.Result{Claims: []assign.Claim{{File: i, Package: p}}}, nil
}

// A package takes precedence, even if its repo comes later and it owns only one of several hard
// links.
func TestPackagesGoFirst(t *testing.T) {
	for _, claimed := range []string{"/a", "/c"} {
		got := tags(t, []assign.Repo{Repo{}, owner(claimed)}, file("/a", 5<<20, 7), file("/b", 3<<20, 0), file("/c", 5<<20, 7))
		want(t, got, "/a owner/x", "/b bigfiles/b", "/c owner/x")
	}
	tagged := file("/a", 5<<20, 0)
	tagged.Components = []string{"mine"}
	want(t, tags(t, []assign.Repo{Repo{}}, tagged), "/a mine")
}

// Files whose names are the same text are one component, because nothing else distinguishes them.
func TestOddNames(t *testing.T) {
	got := tags(t, []assign.Repo{Repo{}}, file("/a\nb", least, 0), file("/x\xfe", least, 0), file("/x\xff", least, 0))
	want(t, got, "/a\nb bigfiles/a\nb", "/x\xfe bigfiles/x\uFFFD", "/x\xff bigfiles/x\uFFFD")
}

// A path can be longer than a component's name.
func TestLongNames(t *testing.T) {
	long := strings.Repeat("/"+strings.Repeat("n", 255), 255)
	got := tags(t, []assign.Repo{Repo{}}, file(long, least, 0))
	if !strings.HasSuffix(got[0], " bigfiles"+long) {
		t.Errorf("got %.100q", got)
	}
	got = tags(t, []assign.Repo{Repo{}}, file("/usr"+long+long, least, 0))
	if !strings.HasSuffix(got[0], " chunkah/unclaimed") {
		t.Errorf("got %.100q", got)
	}
}

func TestSummary(t *testing.T) {
	files := []*format.File{file("/a", 2<<20, 1), file("/b", 2<<20, 1), file("/c", 3<<20, 0), file("/d", 4, 0)}
	out, err := assign.Assign(t.Context(), assign.NewTree(nil, files), []assign.Repo{Repo{}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := out.Summaries[0], (assign.Summary{Repo: "bigfiles", Found: true, Packages: 2, Components: 2, Files: 3, Bytes: 5 << 20}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for i, name := range []string{"bigfiles/a", "bigfiles/c"} {
		if out.Components[i].Name != name {
			t.Errorf("component %d is %q", i, out.Components[i].Name)
		}
	}
}

func TestCancelled(t *testing.T) {
	why := errors.New("someone pressed a key")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := assign.Assign(ctx, assign.NewTree(nil, nil), []assign.Repo{Repo{}}); !errors.Is(err, why) {
		t.Errorf("%v", err)
	}
}
