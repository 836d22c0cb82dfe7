package pipeline

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/layer"
	"chunkah/lib/pack"
)

// pkg is a package of a generated root.
type pkg struct {
	name    string
	files   []string
	updates []int64
}

// packages generates packages with files in shared directories.
func packages(r *rand.Rand, n int) []pkg {
	var all []pkg
	for i := range n {
		p := pkg{name: fmt.Sprintf("p%03d", i)}
		for range r.IntN(20) {
			p.updates = append(p.updates, 1_600_000_000+r.Int64N(100_000_000))
		}
		for f := range 1 + r.IntN(6) {
			dir := []string{"/usr/bin", "/usr/lib", "/usr/lib/" + p.name, "/etc", fmt.Sprintf("/usr/share/doc/d%d", r.IntN(4))}[r.IntN(5)]
			p.files = append(p.files, fmt.Sprintf("%s/%s-%d", dir, p.name, f))
		}
		all = append(all, p)
	}
	return all
}

// rootOf returns records as scan does, for the files of packages and for files that no package
// owns. A file's metadata depends only on its name.
func rootOf(all []pkg) []*format.File {
	dirs := map[string]bool{"/": true}
	var files []*format.File
	add := func(path string) {
		r := rand.New(rand.NewPCG(uint64(len(path)), uint64(path[len(path)-3])<<8|uint64(path[len(path)-1])))
		f := &format.File{Path: path, Type: format.TypeFile, Mode: 0o644, Size: r.Int64N(1 << r.IntN(22)), MTime: 1_600_000_000}
		if r.IntN(6) == 0 {
			f.Type, f.Size, f.Target = format.TypeSymlink, 0, "x"
		}
		files = append(files, f)
		for dir := format.Parent(path); !dirs[dir]; dir = format.Parent(dir) {
			dirs[dir] = true
		}
	}
	for _, p := range all {
		for _, path := range p.files {
			add(path)
		}
	}
	for i := range 10 {
		add(fmt.Sprintf("/opt/app%d/file-%d", i%3, i))
	}
	for dir := range dirs {
		files = append(files, &format.File{Path: dir, Type: format.TypeDir, Mode: 0o755})
	}
	slices.SortFunc(files, func(a, b *format.File) int { return format.ComparePaths(a.Path, b.Path) })
	return files
}

// made is a repo of generated packages.
type made []pkg

func (made) Name() string { return "made" }

func (m made) Load(_ context.Context, t *assign.Tree) (*assign.Result, error) {
	res := &assign.Result{}
	for _, p := range m {
		made := &assign.Package{Name: p.name, Component: &format.Component{Name: "made/" + p.name, Updates: p.updates}}
		res.Packages = append(res.Packages, made)
		for _, file := range p.files {
			for _, path := range []string{file, format.Parent(file)} {
				at, found, err := t.Find(path)
				if err != nil {
					return nil, err
				}
				if found {
					res.Claims = append(res.Claims, assign.Claim{File: at, Package: made})
				}
			}
		}
	}
	return res, nil
}

// recordBuffer stores records between two stages.
type recordBuffer struct {
	records []format.Record
	at      int
}

func (k *recordBuffer) Write(rec format.Record) error {
	k.records = append(k.records, rec)
	return nil
}

func (k *recordBuffer) Finish() error { return nil }

func (k *recordBuffer) Next() (format.Record, error) {
	if k.at == len(k.records) {
		return nil, io.EOF
	}
	k.at++
	return k.records[k.at-1], nil
}

// layersOf assigns and packs packages, and returns the records of each layer.
func layersOf(t *testing.T, all []pkg, opt pack.Options) [][]format.Record {
	t.Helper()
	in, between, out := &recordBuffer{records: []format.Record{&format.Header{Version: 1, SourceDate: 1_700_000_000, HasSourceDate: true}}}, &recordBuffer{}, &recordBuffer{}
	for _, f := range rootOf(all) {
		in.records = append(in.records, f)
	}
	if _, err := assign.Run(t.Context(), in, between, assign.Options{Repos: []assign.Repo{made(all)}}); err != nil {
		t.Fatal(err)
	}
	if _, err := pack.Run(t.Context(), between, out, opt); err != nil {
		t.Fatal(err)
	}
	var layers [][]format.Record
	for _, rec := range out.records {
		switch rec.(type) {
		case *format.Layer:
			layers = append(layers, []format.Record{rec})
		case *format.File:
			layers[len(layers)-1] = append(layers[len(layers)-1], rec)
		}
	}
	return layers
}

// In the layers made from scan's records, each file is in exactly one layer, after its parents.
// There are no more layers than requested, and a tar can store every record.
func TestLayersOfAnyRoot(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 31))
		all := packages(r, 1+r.IntN(60))
		most := 1 + r.IntN(40)
		layers := layersOf(t, all, pack.Options{Max: most})
		if len(layers) > most || len(layers) == 0 {
			t.Errorf("%d layers, %d at most", len(layers), most)
		}
		held := map[string]int{}
		for i, records := range layers {
			dirs := map[string]bool{}
			for _, rec := range records[1:] {
				f := rec.(*format.File)
				held[f.Path]++
				if f.Path != "/" && !dirs[format.Parent(f.Path)] {
					t.Errorf("layer %d: %q comes before its parent", i, f.Path)
				}
				dirs[f.Path] = f.Type == format.TypeDir
				if err := layer.Check(f); err != nil {
					t.Error(err)
				}
			}
		}
		for _, f := range rootOf(all) {
			if n := held[f.Path]; n == 0 || n > 1 && f.Type != format.TypeDir {
				t.Errorf("%s %q is in %d layers", f.Type, f.Path, n)
			}
			delete(held, f.Path)
		}
		for path := range held {
			t.Errorf("%q is unexpected", path)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// contents formats the contents of layers.
func contents(layers [][]format.Record) string {
	var b strings.Builder
	for _, records := range layers {
		for _, rec := range records {
			switch rec := rec.(type) {
			case *format.Layer:
				fmt.Fprintf(&b, "%+v\n", *rec)
			case *format.File:
				fmt.Fprintf(&b, "%+v\n", *rec)
			}
		}
	}
	return b.String()
}

// shown returns the components of each layer.
func shown(layers [][]format.Record) []string {
	var list []string
	for _, records := range layers {
		list = append(list, fmt.Sprintf("%q", records[0].(*format.Layer).Components))
	}
	return list
}

// The order of packages and files in a database has no effect.
func TestPackageOrderIsIrrelevant(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 32))
		all := packages(r, 60)
		want := contents(layersOf(t, all, pack.Options{Max: 20}))
		mixed := slices.Clone(all)
		for i, p := range mixed {
			mixed[i].files, mixed[i].updates = slices.Clone(p.files), slices.Clone(p.updates)
			r.Shuffle(len(p.files), func(a, b int) { mixed[i].files[a], mixed[i].files[b] = mixed[i].files[b], mixed[i].files[a] })
		}
		r.Shuffle(len(mixed), func(a, b int) { mixed[a], mixed[b] = mixed[b], mixed[a] })
		if got := contents(layersOf(t, mixed, pack.Options{Max: 20})); got != want {
			t.Fatalf("seed %d: got\n%s\nwant\n%s", seed, got, want)
		}
	}
}

// Adding or removing a package changes few layers of other packages.
func TestOnePackageMovesFewLayers(t *testing.T) {
	if testing.Short() {
		t.Skip("packs 120 roots")
	}
	const most, rounds, perRound = 24, 60, 3
	changed := 0
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 33))
		all := packages(r, 150)
		before := shown(layersOf(t, all, pack.Options{Max: most}))
		gone := r.IntN(len(all))
		after := shown(layersOf(t, slices.Delete(slices.Clone(all), gone, gone+1), pack.Options{Max: most}))
		for _, l := range after {
			if !slices.Contains(before, l) {
				changed++
			}
		}
	}
	t.Logf("%.2f of %d layers change", float64(changed)/rounds, most)
	if changed > perRound*rounds {
		t.Errorf("%d layers change in %d rounds, at most %d per round", changed, rounds, perRound)
	}
}
