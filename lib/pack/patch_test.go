package pack

import (
	"fmt"
	"slices"
	"testing"

	"chunkah/format"
	"chunkah/lib/filelist"
	"chunkah/lib/group"
	"chunkah/lib/patch"
	"chunkah/lib/plan"
)

// imageOf returns the packed layers as the previous image.
func imageOf(p *packed) *Image {
	img := &Image{Name: "oci:/last:@x"}
	for i, l := range p.layers {
		img.Layers = append(img.Layers, ImageLayer{
			Layer: patch.Layer{Files: filelist.Of(l.files...)}, DiffID: fmt.Sprintf("sha256:%064d", i), Record: l.Layer,
		})
	}
	return img
}

// patchedRoot contains two packages, and compiled Python with the time of its source.
func patchedRoot() []format.Record {
	return []format.Record{
		&format.Component{Name: "p/a", MtimeClamp: 2000, HasMtimeClamp: true}, &format.Component{Name: "p/py", MtimeClamp: 2000, HasMtimeClamp: true},
		dir("/"), dir("/a"), file("/a/1", "p/a"), file("/a/2", "p/a"), file("/a/3", "p/a"),
		dir("/py"), dir("/py/__pycache__"), file("/py/__pycache__/m.cpython-311.pyc", "p/py"), file("/py/m.py", "p/py"), file("/py/n.py", "p/py"),
	}
}

// altered returns the records with the file at path changed, or without it if change is nil.
func altered(records []format.Record, path string, change func(*format.File)) (list []format.Record) {
	for _, rec := range clone(records) {
		if f, ok := rec.(*format.File); ok && f.Path == path {
			if change == nil {
				continue
			}
			change(f)
		}
		list = append(list, rec)
	}
	return list
}

// pycAt returns compiled Python with the given source time.
func pycAt(time int) string {
	return "\xa7\x0d\x0d\x0a\x00\x00\x00\x00" + string([]byte{byte(time), byte(time >> 8), 0, 0, 0, 0, 0, 0})
}

// Unchanged files stay in kept layers, regardless of their times. The source of compiled Python
// stays in its layer only if the compiled file is still valid.
func TestPatch(t *testing.T) {
	const pyc = "/py/__pycache__/m.cpython-311.pyc"
	src := &texts{of: map[string]string{pyc: pycAt(1000)}}
	opt := Options{Open: src.open, MaxStale: 900_000, Max: 8}
	first, _ := run(t, opt, patchedRoot()...)
	for _, l := range first.layers {
		if entries, err := plan.EntriesOf(slices.Values(l.files)); l.Entries == "" || l.Entries != entries || err != nil {
			t.Errorf("layer %d has the entries %q, want %q", l.Index, l.Entries, entries)
		}
	}
	opt.PreviousImage, opt.PreviousLayout = imageOf(first), &group.Previous{}
	for _, test := range []struct {
		name    string
		records []format.Record
		pyc     int
		want    []string // files in new layers
	}{
		{"nothing", patchedRoot(), 1000, nil},
		{"a time", altered(patchedRoot(), "/a/1", func(f *format.File) { f.MTime = 1500 }), 1000, nil},
		{"a mode", altered(patchedRoot(), "/a/1", func(f *format.File) { f.Mode = 0o600 }), 1000, []string{"/a/1"}},
		{"a file less", altered(patchedRoot(), "/a/2", nil), 1000, []string{"/a/2"}},
		{"a source that is not compiled", altered(patchedRoot(), "/py/n.py", func(f *format.File) { f.MTime = 1500 }), 1000, nil},
		{"a source compiled again", altered(patchedRoot(), "/py/m.py", func(f *format.File) { f.MTime = 1500 }), 1500, []string{pyc, "/py/m.py"}},
		{"a source whose compiled file is stale", altered(patchedRoot(), "/py/m.py", func(f *format.File) { f.MTime = 1500 }), 1000, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			src.of[pyc] = pycAt(test.pyc)
			p, report := run(t, opt, test.records...)
			var got []string
			for i, l := range p.layers {
				if l.DiffID != "" {
					if i >= len(first.layers) || !slices.Equal(l.paths(), first.layers[i].paths()) {
						t.Errorf("kept layer %d has %q", i, l.paths())
					}
					continue
				}
				for _, f := range l.files {
					if f.Type != format.TypeDir {
						got = append(got, f.Path)
					}
				}
			}
			if !slices.Equal(got, test.want) || p.header.Previous != opt.PreviousImage.Name || len(report.Patch.Kept) != len(first.layers) {
				t.Errorf("new layers have %q, want %q; %+v", got, test.want, report.Patch.Plan)
			}
		})
	}
}

// If new layers of a limited size do not fit above the kept layers, no layers are kept.
func TestPatchOfLimitedSize(t *testing.T) {
	var records []format.Record
	for i := range 40 {
		records = append(records, file(fmt.Sprintf("/%02d", i), fmt.Sprintf("c%02d", i%8)))
	}
	records = append([]format.Record{dir("/")}, records...)
	src := &texts{}
	opt := Options{Open: src.open, MaxStale: 1_000_000, Max: 16, MaxLayerSize: 8 << 10}
	first, _ := run(t, opt, records...)
	opt.PreviousImage = imageOf(first)
	again, report := run(t, opt, records...)
	if report.Patch == nil || len(report.Patch.Kept) != len(first.layers) || len(again.layers) != len(first.layers) {
		t.Fatalf("the same root: %+v", report.Patch)
	}
	for _, rec := range records[1:] {
		rec.(*format.File).Mode = 0o600
		if rec.(*format.File).Path > "/35" {
			break
		}
	}
	p, _ := run(t, opt, records...)
	if len(p.layers) > 16 {
		t.Errorf("%d layers", len(p.layers))
	}
}

// A directory whose attributes changed needs no layer of its own if a new layer contains something
// below the directory. If it had a layer of its own, the next image would drop one of the two
// layers.
func TestPatchOfDirectoryWithNewFile(t *testing.T) {
	for _, names := range [][2]string{{"p/a", "p/b"}, {"p/b", "p/a"}} {
		owned := func(mode uint16) *format.File {
			d := dir("/d")
			d.Mode, d.Components = mode, []string{names[0]}
			return d
		}
		root := func(mode uint16, size int64) []format.Record {
			f := file("/d/2", names[1])
			f.Size = size
			return []format.Record{
				&format.Component{Name: "p/a", MtimeClamp: 2000, HasMtimeClamp: true}, &format.Component{Name: "p/b", MtimeClamp: 2000, HasMtimeClamp: true},
				dir("/"), owned(mode), file("/d/1", names[0]), f, file("/d/3", names[1]),
			}
		}
		src := &texts{}
		opt := Options{Open: src.open, MaxStale: 1_000_000, Max: 8, PreviousLayout: &group.Previous{}}
		first, _ := run(t, opt, root(0o755, 1)...)
		opt.PreviousImage = imageOf(first)
		second, _ := run(t, opt, root(0o700, 2)...)
		opt.PreviousImage = imageOf(second)
		third, report := run(t, opt, root(0o700, 2)...)
		if len(third.layers) != len(second.layers) {
			t.Errorf("%v: %d layers, then %d of the same root: %+v", names, len(second.layers), len(third.layers), report.Patch.Plan)
		}
	}
}

// The lowest new layer records which layers of the previous image were rewritten, and why.
func TestPatchRecordsRewrittenLayers(t *testing.T) {
	src := &texts{of: map[string]string{}}
	opt := Options{Open: src.open, MaxStale: 1, Max: 8}
	first, _ := run(t, opt, patchedRoot()...)
	opt.PreviousImage, opt.PreviousLayout = imageOf(first), &group.Previous{}
	var want []string
	for _, l := range opt.PreviousImage.Layers {
		if slices.ContainsFunc(slices.Collect(l.Files.Copies()), func(f *format.File) bool { return f.Path == "/a/1" }) {
			want = append(want, l.DiffID)
		}
	}
	p, _ := run(t, opt, altered(patchedRoot(), "/a/1", func(f *format.File) { f.Mode = 0o600 })...)
	lowest := true // this is the lowest of the new layers
	for _, l := range p.layers {
		switch {
		case l.DiffID == "" && lowest:
			lowest = false
			if !slices.Equal(l.Rewritten, want) || !slices.Equal(l.Reasons, []string{string(patch.Stale)}) {
				t.Errorf("layer %d records that %q were rewritten because of %q, want %q", l.Index, l.Rewritten, l.Reasons, want)
			}
		case l.Rewritten != nil || l.Reasons != nil:
			t.Errorf("layer %d records rewritten layers", l.Index)
		}
	}
	if lowest || len(p.layers) < 2 {
		t.Errorf("there are %d layers, and none is new: %t", len(p.layers), lowest)
	}
}
