package pack

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"chunkah/format"
)

// For any tree and any tags, the output is consistent.
func TestProperties(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 1))
		records := randomTree(r)
		most := 1 + r.IntN(12)
		p, report := run(t, Options{Max: most}, records...)
		checkHeld(t, p, records)
		checkLayers(t, p)
		checkGroups(t, p)
		if len(p.layers) > most || report.Layers != len(p.layers) || len(p.layers) == 0 {
			t.Errorf("%d layers, %d reported, %d at most", len(p.layers), report.Layers, most)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// checkHeld checks that each file is in exactly one layer and unchanged, that each directory is in
// at least one layer, and that the layers contain nothing else.
func checkHeld(t *testing.T, p *packed, records []format.Record) {
	t.Helper()
	held := map[string]int{}
	for _, l := range p.layers {
		for _, f := range l.files {
			held[f.Path]++
		}
	}
	for _, rec := range records {
		f, ok := rec.(*format.File)
		if !ok {
			continue
		}
		if n := held[f.Path]; n == 0 || n > 1 && f.Type != format.TypeDir {
			t.Errorf("%s %q is in %d layers", f.Type, f.Path, n)
		}
		delete(held, f.Path)
	}
	for path := range held {
		t.Errorf("%q comes from nowhere", path)
	}
}

// checkLayers checks that in each layer records are in order, parents come before their contents,
// names are sorted, and directories that belong to no component of the layer are marked as implied.
func checkLayers(t *testing.T, p *packed) {
	t.Helper()
	for i, l := range p.layers {
		if l.Index != int64(i) || !slices.IsSorted(l.Components) || len(l.Fingerprints) != len(l.Components) {
			t.Errorf("layer %d: %+v", i, l.Layer)
		}
		if err := l.Validate(); err != nil {
			t.Error(err)
		}
		there := map[string]bool{}
		for n, f := range l.files {
			if err := f.Validate(); err != nil {
				t.Error(err)
			}
			if n > 0 && format.ComparePaths(l.files[n-1].Path, f.Path) >= 0 {
				t.Errorf("layer %d: %q comes after %q", i, f.Path, l.files[n-1].Path)
			}
			if f.Path != "/" && !there[format.Parent(f.Path)] {
				t.Errorf("layer %d: %q comes without its parent", i, f.Path)
			}
			there[f.Path] = f.Type == format.TypeDir
			if f.Implied != (len(f.Components) == 0) || f.Implied && f.Type != format.TypeDir || f.MTimeNsec != 0 {
				t.Errorf("layer %d: %+v", i, *f)
			}
			for _, name := range f.Components {
				if !slices.Contains(l.Components, name) {
					t.Errorf("layer %d has %q of component %q", i, f.Path, name)
				}
			}
		}
		if len(l.files) == 0 {
			t.Errorf("layer %d is empty", i)
		}
	}
}

// checkGroups checks that all hard links to an inode are in one layer and have one component.
func checkGroups(t *testing.T, p *packed) {
	t.Helper()
	groups := map[int64]string{}
	for _, l := range p.layers {
		for _, f := range l.files {
			if f.Hardlink == 0 {
				continue
			}
			where := fmt.Sprint(l.Index, f.Components)
			if before, known := groups[f.Hardlink]; known && before != where {
				t.Errorf("hard-link group %d is in %s and %s", f.Hardlink, before, where)
			}
			groups[f.Hardlink] = where
		}
	}
}

// The order and position of component records do not matter.
func TestComponentOrderIsIrrelevant(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 2))
		records := randomTree(r)
		want, _ := run(t, Options{Max: 4}, records...)
		var components, files []format.Record
		for _, rec := range records {
			if _, ok := rec.(*format.File); ok {
				files = append(files, rec)
			} else {
				components = append(components, rec)
			}
		}
		r.Shuffle(len(components), func(i, j int) { components[i], components[j] = components[j], components[i] })
		half := r.IntN(len(files))
		shuffled := slices.Concat(files[:half], components, files[half:])
		got, _ := run(t, Options{Max: 4}, shuffled...)
		if got.listing() != want.listing() {
			t.Fatalf("seed %d: got\n%s\nwant\n%s", seed, got.listing(), want.listing())
		}
	}
}

// According to law 1, the contents, sizes and times of one component, and the times of directories,
// do not affect the contents of other layers.
func TestUnrelatedChangeLeavesLayers(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 3))
		records := randomTree(r)
		before := byComponent(t, records)
		changed := clone(records)
		const victim = "c1"
		for _, rec := range changed {
			switch f := rec.(type) {
			case *format.File:
				if f.Type == format.TypeDir {
					f.MTime += r.Int64N(100000)
				}
			case *format.Component:
				if f.Name == victim {
					f.MtimeClamp, f.HasMtimeClamp, f.Updates = r.Int64N(100000), true, []int64{5}
				}
			}
		}
		changeFiles(changed, victim)
		after := byComponent(t, changed)
		for name, want := range before {
			if name != victim && after[name] != want {
				t.Fatalf("seed %d: component %q: got\n%s\nwant\n%s", seed, name, after[name], want)
			}
		}
	}
}

// changeFiles makes all files of a component newer and larger.
func changeFiles(records []format.Record, component string) {
	groups := map[int64]bool{}
	owned := func(f *format.File) bool { return len(f.Components) > 0 && f.Components[0] == component }
	claimed := map[int64]bool{}
	for _, rec := range records {
		if f, ok := rec.(*format.File); ok && f.Hardlink != 0 && len(f.Components) > 0 && !claimed[f.Hardlink] {
			claimed[f.Hardlink] = true
			groups[f.Hardlink] = owned(f)
		}
	}
	for _, rec := range records {
		f, ok := rec.(*format.File)
		if !ok || f.Type == format.TypeDir || f.Hardlink == 0 && !owned(f) || f.Hardlink != 0 && !groups[f.Hardlink] {
			continue
		}
		f.MTime += 50000
		if f.Type == format.TypeFile {
			f.Size++
		}
	}
}

// byComponent packs each component into a layer of its own and returns the contents of each layer.
func byComponent(t *testing.T, records []format.Record) map[string]string {
	t.Helper()
	p, _ := run(t, Options{Max: MaxMax}, records...)
	layers := map[string]string{}
	for _, l := range p.layers {
		if len(l.Components) != 1 {
			t.Fatalf("a layer of %q", l.Components)
		}
		layers[l.Components[0]] = l.records() + l.Fingerprints[0]
	}
	return layers
}

// Missing parents get the same records as parents in the stream.
func TestMissingParents(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 4))
		var whole, sparse []format.Record
		parents := map[string]bool{}
		for _, rec := range randomTree(r) {
			if f, ok := rec.(*format.File); ok && f.Path != "/" {
				parents[format.Parent(f.Path)] = true
			}
		}
		parents["/"] = true
		for _, rec := range randomTree(rand.New(rand.NewPCG(seed, 4))) {
			f, ok := rec.(*format.File)
			if ok && f.Type == format.TypeDir && parents[f.Path] {
				plain := &format.File{Path: f.Path, Type: format.TypeDir, Mode: 0o755}
				whole = append(whole, plain)
				continue
			}
			whole, sparse = append(whole, rec), append(sparse, rec)
		}
		want, _ := run(t, Options{Max: 4}, whole...)
		got, _ := run(t, Options{Max: 4}, sparse...)
		if got.listing() != want.listing() {
			t.Fatalf("seed %d: got\n%s\nwant\n%s", seed, got.listing(), want.listing())
		}
	}
}

// The size of a component is the size of its own records in a tar.
func TestSizes(t *testing.T) {
	a := with(file("/a", "one"), func(f *format.File) { f.Hardlink = 1 })
	b := with(file("/b", "one"), func(f *format.File) { f.Hardlink = 1 })
	_, report := run(t, Options{}, dir("/"), a, b, with(file("/c", "two"), func(f *format.File) { f.Size = format.SizeUnknown }))
	if want := int64(512 + 512 + 512 + 512); report.Bytes != want {
		t.Errorf("got %d bytes, want %d", report.Bytes, want)
	}
}

// Adding a file of another component to an empty directory does not change the layers of previously
// unclaimed files (law 1).
func TestFillingAnEmptyDirectoryCostsLittle(t *testing.T) {
	before, _ := run(t, Options{}, dir("/"), dir("/etc"), file("/etc/big"), dir("/opt"), file("/tagged", "a"))
	after, _ := run(t, Options{}, dir("/"), dir("/etc"), file("/etc/big"), dir("/opt"), file("/opt/new", "b"), file("/tagged", "a"))
	was, is := before.of(t, "chunkah/unclaimed"), after.of(t, "chunkah/unclaimed")
	if !slices.Equal(was.paths(), is.paths()) {
		t.Errorf("the unclaimed layer had %q and has %q", was.paths(), is.paths())
	}
}
