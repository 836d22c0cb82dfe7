package xattr

import (
	"slices"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/tests/bound"
)

// FuzzLoad tags a small tree with arbitrary attribute values. Either they are refused with an error
// that names the path, or each file gets one component: its own, or that of the nearest directory
// above it.
func FuzzLoad(f *testing.F) {
	f.Add("app", "weekly", "lib\n", "30")
	f.Add("a\x00", "0", "\xff", "")
	f.Add("app", "7", "app", "weekly")
	f.Add(strings.Repeat("n", format.MaxText), "", "", "36526")
	f.Fuzz(func(t *testing.T, above, aboveTime, below, belowTime string) {
		bound.Input(t, len(above)+len(aboveTime)+len(below)+len(belowTime))
		files := []*format.File{
			file("/a/", component(above), every(aboveTime)), file("/a/b", component(below)), file("/a/c", every(belowTime)),
			file("/a/d/"), file("/a/d/e", component(below), every(belowTime)), file("/b"),
		}
		result, err := load(t, files...)
		if err != nil {
			if !strings.Contains(err.Error(), `"/a`) {
				t.Errorf("the error names no path: %v", err)
			}
			return
		}
		var names []string
		for _, p := range result.Packages {
			c := p.Component
			if err := c.Validate(); err != nil || !strings.HasPrefix(c.Name, "xattr/") || c.IntervalDays < 0 {
				t.Errorf("component %+v: %v", c, err)
			}
			names = append(names, c.Name)
		}
		if slices.Sort(names); len(slices.Compact(names)) != len(result.Packages) {
			t.Errorf("a component occurs twice: %q", names)
		}
		got := make([]*assign.Package, len(files))
		for _, c := range result.Claims {
			got[c.File] = c.Package
		}
		a, b := got[0], got[1]
		if want := []*assign.Package{a, b, a, a, b, nil}; a == nil || b == nil || !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}
