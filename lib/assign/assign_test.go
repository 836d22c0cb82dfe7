package assign

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
)

func mustAssign(t *testing.T, files []*format.File, repos ...Repo) *Outcome {
	t.Helper()
	out, err := Assign(t.Context(), NewTree(nil, files), repos)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := f.Validate(); err != nil {
			t.Error(err)
		}
	}
	return out
}

func TestClaims(t *testing.T) {
	for _, test := range []struct {
		name  string
		files []*format.File
		repos []Repo
		want  []string
	}{
		{
			"no database at all", records("/", "/usr/", "/usr/bin 5", "/opt/", "/opt/app/", "/opt/app/f"), nil,
			[]string{"/ -", "/opt -", "/opt/app -", "/opt/app/f chunkah/unclaimed/opt/app", "/usr -", "/usr/bin chunkah/unclaimed"},
		},
		{
			"the first repo wins", records("/", "/a", "/b", "/c"),
			[]Repo{fake{name: "x", claims: []string{"/a x/1", "/b x/1"}}, fake{name: "y", claims: []string{"/b y/1", "/c y/1"}}},
			[]string{"/ -", "/a x/1", "/b x/1", "/c y/1"},
		},
		{
			"a file of several owners within a repo", records("/", "/a", "/b"),
			[]Repo{fake{name: "x", claims: []string{"/a x/b", "/a x/c", "/a x/a", "/a x/a", "/b x/a", "/b x/a"}}},
			[]string{"/ -", "/a x/.shared", "/b x/a"},
		},
		{
			"a file of several weak owners", records("/", "/a g1", "/b g1"),
			[]Repo{fake{name: "x", claims: []string{"~/a x/b", "~/a x/a"}}},
			[]string{"/ -", "/a x/.shared", "/b x/.shared"},
		},
		{
			"a directory belongs to all of one repo", records("/", "/d/", "/d/f", "/e/"),
			[]Repo{fake{name: "x", claims: []string{"/d x/b", "/d x/a", "/d x/a", "/e x/a"}}, fake{name: "y", claims: []string{"/d y/a", "/e y/a"}}},
			[]string{"/ -", "/d x/a x/b", "/d/f chunkah/unclaimed/d", "/e x/a"},
		},
		{
			"strong before weak", records("/", "/a", "/b", "/c"),
			[]Repo{
				fake{name: "x", claims: []string{"~/a x/weak", "~/b x/weak", "~/c x/weak"}},
				fake{name: "y", claims: []string{"/a y/strong", "~/b y/weak"}},
			},
			[]string{"/ -", "/a y/strong", "/b x/weak", "/c x/weak"},
		},
		{
			"tagged records stay", records("/ @mine", "/a @mine @too", "/d/ @mine", "/d/f", "/l -> a @mine"),
			[]Repo{fake{name: "x", claims: []string{"/ x/1", "/a x/1", "/d x/1", "/d/f x/1", "~/l x/1"}}},
			[]string{"/ mine", "/a mine too", "/d mine", "/d/f x/1", "/l mine"},
		},
		{
			"the first claimed name of an inode takes all", records("/", "/a g1", "/b g1", "/c g1", "/opt/", "/opt/x/", "/opt/x/d g1"),
			[]Repo{fake{name: "x", claims: []string{"/c x/1", "/b x/2", "~/a x/3"}}, fake{name: "y", claims: []string{"/a y/1"}}},
			[]string{"/ -", "/a x/2", "/b x/2", "/c x/2", "/opt -", "/opt/x -", "/opt/x/d x/2"},
		},
		{
			"a tagged name of an inode takes those without", records("/", "/a g1", "/b g1 @mine", "/c g1 @other", "/d g1"),
			[]Repo{fake{name: "x", claims: []string{"/a x/1", "/d x/1"}}},
			[]string{"/ -", "/a mine", "/b mine", "/c other", "/d mine"},
		},
		{
			"names of an inode that nobody claims", records("/", "/opt/", "/opt/x/", "/opt/x/f g1", "/srv/", "/srv/y/", "/srv/y/f g1"), nil,
			[]string{"/ -", "/opt -", "/opt/x -", "/opt/x/f chunkah/unclaimed/opt/x", "/srv -", "/srv/y -", "/srv/y/f chunkah/unclaimed/opt/x"},
		},
		{
			"nothing found", records("/", "/a"), []Repo{fake{name: "x", none: true}, fake{name: "y"}},
			[]string{"/ -", "/a chunkah/unclaimed"},
		},
		{"no records", nil, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			mustAssign(t, test.files, test.repos...)
			wantTags(t, test.files, test.want...)
		})
	}
}

func TestOutcome(t *testing.T) {
	files := records("/", "/a 10", "/b 20 g1", "/c 20 g1", "/d/", "/e 40", "/f 80", "/g 0")
	files[6].Size = format.SizeUnknown
	out := mustAssign(t, files,
		fake{name: "x", claims: []string{"/a x/z", "/b x/y", "/d x/z", "/a x/zz", "~/e x/weak"}},
		fake{name: "none", none: true},
		fake{name: "y", claims: []string{"/a y/late"}})
	if got, want := names(out.Components), []string{"x/.shared", "x/weak", "x/y", "x/z", format.Unclaimed}; !slices.Equal(got, want) {
		t.Errorf("components are %q, want %q", got, want)
	}
	if want := []string{"warning of x", "warning of y"}; !slices.Equal(out.Warnings, want) {
		t.Errorf("warnings are %q", out.Warnings)
	}
	want := []Summary{
		{Repo: "x", Found: true, Packages: 7, Components: 4, Files: 4, Bytes: 70},
		{Repo: "none"},
		{Repo: "y", Found: true, Packages: 7},
		{Repo: "chunkah", Found: true, Components: 1, Files: 2},
	}
	if !reflect.DeepEqual(out.Summaries, want) {
		t.Errorf("got  %+v\nwant %+v", out.Summaries, want)
	}
}

func TestRepoErrors(t *testing.T) {
	for _, repo := range []Repo{fake{name: "x", err: errBroken}, fake{name: "x", weak: errBroken}} {
		out, err := Assign(t.Context(), NewTree(nil, records("/", "/a")), []Repo{repo})
		if out != nil || !errors.Is(err, errBroken) || err.Error() != "x: the database is broken" {
			t.Errorf("%v, %v", out, err)
		}
	}
}

// The result does not depend on the order in which a repo returns its claims and components.
func TestOrderOfClaims(t *testing.T) {
	claims := []string{"/a x/2", "/a x/1", "/d x/3", "/d x/1", "/d x/2", "/b x/2", "~/c x/9", "~/c x/8"}
	var want []string
	for i := range claims {
		files := records("/", "/a", "/b g1", "/c", "/d/", "/e g1")
		out := mustAssign(t, files, fake{name: "x", claims: append(slices.Clone(claims[i:]), claims[:i]...)})
		got := names(out.Components)
		for _, f := range files {
			got = append(got, f.Components...)
		}
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// The claim on a file lists each package that claims it once, by name.
func TestExplainPackages(t *testing.T) {
	comp := &format.Component{Name: "x/source"}
	var claims []Claim
	for _, name := range []string{"libs", "tool", "", "libs"} {
		claims = append(claims, Claim{File: 0, Package: &Package{Name: name, Component: comp}})
	}
	repo := &stub{name: "x", result: Result{Claims: claims}}
	out, err := assign(t.Context(), NewTree(nil, records("/a")), []Repo{repo}, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := []Claimant{{Repo: "x", Components: []string{"x/source"}, Packages: []string{"libs", "tool"}, Won: true}}
	if !reflect.DeepEqual(out.Claimants, want) {
		t.Errorf("got %+v, want %+v", out.Claimants, want)
	}
}

func TestLeftovers(t *testing.T) {
	for path, want := range map[string]string{
		"/file":             format.Unclaimed,
		"/etc/":             format.EmptyDirectories,
		"/etc/passwd":       format.Unclaimed,
		"/usr/bin/x":        format.Unclaimed,
		"/lost+found/":      format.EmptyDirectories,
		"/opt/":             format.EmptyDirectories,
		"/opt/readme":       format.Unclaimed,
		"/opt/x/":           format.EmptyDirectories,
		"/opt/x/bin/x":      format.Unclaimed + "/opt/x",
		"/opt/x.y/f":        format.Unclaimed + "/opt/x.y",
		"/srv/www/index":    format.Unclaimed + "/srv/www",
		"/usr/local/":       format.EmptyDirectories,
		"/usr/local/bin/x":  format.Unclaimed + "/usr/local/bin",
		"/usr/local/readme": format.Unclaimed,
		"/home/me/f":        format.Unclaimed + "/home/me",
		"/home/link":        format.Unclaimed,
		"/var/opt/x/f":      format.Unclaimed + "/var/opt/x",
		"/var/www/html/f":   format.Unclaimed + "/var/www/html",
		"/var/lib/x":        format.Unclaimed,
		"/app/":             format.EmptyDirectories,
		"/app/main.py":      format.Unclaimed + "/app",
		"/app/src/main.py":  format.Unclaimed + "/app",
		"/opta/x":           format.Unclaimed + "/opta",
		"/nix/store/x":      format.Unclaimed + "/nix",
		"/opt/a\xffb/f":     format.Unclaimed + "/opt/a\uFFFDb",
		"/\xff/f":           format.Unclaimed + "/\uFFFD",
	} {
		files := records("/", path)
		mustAssign(t, files)
		if got := files[1].Components; len(got) != 1 || got[0] != want {
			t.Errorf("%q is in %q, want %q", path, got, want)
		}
	}
	odd := []*format.File{{Path: "/opt/-x y/\n", Type: format.TypeFile}}
	mustAssign(t, odd)
	wantTags(t, odd, "/opt/-x y/\n "+format.Unclaimed+"/opt/-x y")
}

// The largest leftovers come first. Files of equal size keep the order of the stream.
func TestLargestLeftovers(t *testing.T) {
	var files []*format.File
	for i, size := range []int64{3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7} {
		files = append(files, &format.File{Path: fmt.Sprintf("/f%02d", i), Type: format.TypeFile, Size: size})
	}
	var got []string
	for _, f := range mustAssign(t, files).Leftovers {
		got = append(got, fmt.Sprintf("%d%s", f.Size, f.Path))
	}
	want := "9/f05 9/f12 8/f11 7/f13 6/f07 5/f04 5/f08 5/f10 4/f02 3/f00"
	if strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// An empty directory needs a component, while any other directory is written along with its files.
// Neither the root directory nor parents need a record.
func TestLeftoverDirectories(t *testing.T) {
	files := records("/", "/a/", "/a/b/", "/a/b/f", "/a/bc/", "/d/", "/d-e/", "/d-e/f")
	mustAssign(t, files)
	wantTags(t, files, "/ -", "/a -", "/a/b -", "/a/b/f chunkah/unclaimed/a", "/a/bc chunkah/empty-directories",
		"/d chunkah/empty-directories", "/d-e -", "/d-e/f chunkah/unclaimed/d-e")

	files = records("/usr/bin/x", "/opt/x/", "/srv/a/b")
	mustAssign(t, files)
	wantTags(t, files, "/opt/x chunkah/empty-directories", "/srv/a/b chunkah/unclaimed/srv/a", "/usr/bin/x chunkah/unclaimed")

	files = records("/")
	mustAssign(t, files)
	wantTags(t, files, "/ chunkah/empty-directories")

	// A directory whose only contents are claimed is not empty.
	files = records("/", "/d/", "/d/f")
	mustAssign(t, files, fake{name: "x", claims: []string{"/d/f x/1"}})
	wantTags(t, files, "/ -", "/d -", "/d/f x/1")
}
