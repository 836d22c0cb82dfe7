package history

import (
	"context"
	"math"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/assign"
)

func record(stay int64, names ...string) *format.Layer {
	return &format.Layer{Components: names, StabilityPPM: stay}
}

// packages claims files as a fallback, as a package database can.
type packages map[string]string

func (packages) Name() string { return "dpkg" }

func (p packages) Load(_ context.Context, t *assign.Tree) (*assign.Result, error) {
	return &assign.Result{Fallback: func(context.Context) (*assign.Result, error) {
		r := &assign.Result{}
		for i, f := range t.Files {
			if name := p[f.Path]; name != "" {
				pkg := &assign.Package{Component: &format.Component{Name: name}}
				r.Claims = append(r.Claims, assign.Claim{File: i, Package: pkg})
			}
		}
		return r, nil
	}}, nil
}

func TestHistory(t *testing.T) {
	web := record(339_917, "xattr/web") // one change per seven days
	mixed := record(0, "dpkg/perl", "dpkg/tool", "xattr/api")
	for _, tt := range []struct {
		path  string
		layer *format.Layer
		dpkg  string
		want  string
	}{
		{"/a", web, "", "xattr/web"},
		{"/a owned", web, "dpkg/bash", "xattr/web"},
		{"/map", record(0, "map/models"), "", "map/models"},
		{"/other", nil, "", "chunkah/unclaimed"},
		{"/none", record(0), "", "chunkah/unclaimed"},
		{"/gone", record(0, "dpkg/gone"), "", "dpkg/gone"},
		{"/renamed", record(0, "dpkg/old"), "dpkg/new", "dpkg/new"},
		{"/custom", record(0, "alone"), "", "alone"},
		{"/left", record(0, "chunkah/unclaimed/opt/app"), "", "chunkah/unclaimed"},
		{"/part", record(0, "xattr/large#1c29e0b7"), "", "xattr/large"},
		{"/part2", record(0, "xattr/large#1c29e0b8##"), "", "xattr/large"},
		{"/several", record(0, "xattr/one", "xattr/two"), "", "chunkah/unclaimed"},
		{"/several2", record(0, "dpkg/perl", "dpkg/tool"), "", "chunkah/unclaimed"},
		{"/mixed", mixed, "", "xattr/api"},
		{"/mixed of perl", mixed, "dpkg/perl", "dpkg/perl"},
		{"/mixed of tool", mixed, "dpkg/tool", "dpkg/tool"},
		{"/mixed with a removed one", record(0, "dpkg/perl", "dpkg/removed", "xattr/api"), "", "chunkah/unclaimed"},
		{"/mixed with what nobody claimed", record(0, "chunkah/unclaimed", "xattr/api"), "", "chunkah/unclaimed"},
		{"/no name", record(0, ""), "", "chunkah/unclaimed"},
		{"/no text", record(0, "xattr/\xff"), "", "chunkah/unclaimed"},
		{"/long", record(0, strings.Repeat("x", format.MaxText+1)), "", "chunkah/unclaimed"},
	} {
		t.Run(tt.path, func(t *testing.T) {
			layers := map[string]*format.Layer{tt.path: tt.layer}
			dpkg := packages{tt.path: tt.dpkg, "/perl": "dpkg/perl", "/tool": "dpkg/tool"}
			files := []*format.File{
				{Path: tt.path, Type: format.TypeFile}, {Path: "/perl", Type: format.TypeFile}, {Path: "/tool", Type: format.TypeFile},
			}
			repo := &Repo{LayerOf: func(path string) *format.Layer { return layers[path] }, ByPeople: []string{"xattr", "map"}}
			out, err := assign.Assign(t.Context(), assign.NewTree(nil, files), []assign.Repo{repo, dpkg})
			if err != nil {
				t.Fatal(err)
			}
			if got := files[0].Components; len(got) != 1 || got[0] != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			for _, c := range out.Components {
				if c.Name == "xattr/web" && c.IntervalDays != 7 {
					t.Errorf("got %+v", c)
				}
			}
		})
	}
}

// Directories have no components of their own, and records that already have components keep them.
func TestOthersAreLeftAlone(t *testing.T) {
	files := []*format.File{
		{Path: "/dir", Type: format.TypeDir}, {Path: "/dir/tagged", Type: format.TypeFile, Components: []string{"given"}},
	}
	repo := &Repo{LayerOf: func(string) *format.Layer { return record(0, "xattr/web") }, ByPeople: []string{"xattr"}}
	if _, err := assign.Assign(t.Context(), assign.NewTree(nil, files), []assign.Repo{repo}); err != nil {
		t.Fatal(err)
	}
	if len(files[0].Components) != 0 || files[1].Components[0] != "given" {
		t.Errorf("got %+v and %+v", *files[0], *files[1])
	}
}

func TestNothingKnown(t *testing.T) {
	files := []*format.File{{Path: "/a", Type: format.TypeFile}}
	for _, repo := range []*Repo{{}, {LayerOf: func(string) *format.Layer { return nil }}} {
		if got, err := repo.Load(t.Context(), assign.NewTree(nil, files)); got != nil || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
	}
}

// The interval calculated from a chance results in the same chance again, so that the chance does
// not drift from image to image.
func TestInterval(t *testing.T) {
	for days := int64(1); days <= 2000; days++ {
		stay := int64(math.Round(1e6 * math.Pow(1-1/float64(days), 7)))
		want := days
		if stay == 0 {
			want = 0 // every day
		}
		if got := interval(stay); got != want {
			t.Errorf("%d days stay with %d, which is taken for %d days", days, stay, got)
		}
	}
	for stay, want := range map[int64]int64{-1: 0, 0: 0, 1: 2, 999_999: maxInterval, 1_000_000: maxInterval} {
		if got := interval(stay); got != want {
			t.Errorf("%d stay: got %d days, want %d", stay, got, want)
		}
	}
}
