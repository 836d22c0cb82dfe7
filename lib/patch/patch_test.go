package patch

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/filelist"
)

// tree is a file system to which the test oracle applies layers, entry by entry.
type tree map[string]shown

// shown is a file with its inode, which is identified by a layer and a hard-link group.
type shown struct {
	file  *format.File
	layer int
}

// apply applies a layer as described in the image specification.
func (t tree) apply(layer int, files []*format.File) {
	remove := func(path string) {
		for p := range t {
			if p == path || strings.HasPrefix(p, path+"/") {
				delete(t, p)
			}
		}
	}
	for _, f := range files {
		if f.Type == format.TypeWhiteout {
			remove(f.Path)
		}
	}
	for _, f := range files {
		old, exists := t[f.Path]
		switch {
		case f.Type == format.TypeWhiteout:
			continue
		case f.Type != format.TypeDir, exists && old.file.Type != format.TypeDir:
			remove(f.Path)
		}
		t[f.Path] = shown{f, layer}
	}
}

// text describes a tree without times: each file with the names of its inode.
func (t tree) text() string {
	names := make(map[[2]int64][]string)
	for _, path := range slices.Sorted(maps.Keys(t)) {
		if s := t[path]; s.file.Hardlink != 0 {
			key := [2]int64{int64(s.layer), s.file.Hardlink}
			names[key] = append(names[key], path)
		}
	}
	var b strings.Builder
	for _, path := range slices.Sorted(maps.Keys(t)) {
		s := t[path]
		f := s.file
		fmt.Fprintf(&b, "%s %s %o %d %d %d %s %s %v", path, f.Type, f.Mode, f.UID, f.GID, f.Size, f.Target, f.Digest, f.Xattrs)
		if list := names[[2]int64{int64(s.layer), f.Hardlink}]; f.Hardlink != 0 && len(list) > 1 {
			fmt.Fprintf(&b, " = %v", list)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// image is a chain of images for tests.
type image struct {
	layers []Layer
	ids    []int // IDs of the layers
	next   int
}

// update makes the next image as pack does, with one new layer per component and with whiteouts in
// the first new layer.
func (m *image) update(root []*format.File, opt Options) *Plan {
	p := Make(root, m.layers, opt)
	byPath := make(map[string]*format.File)
	for _, f := range root {
		byPath[f.Path] = f
	}
	next := &image{next: m.next}
	for _, i := range p.Kept {
		next.layers, next.ids = append(next.layers, m.layers[i]), append(next.ids, m.ids[i])
	}
	groups := make(map[string]map[string]*format.File)
	add := func(name string, f *format.File) {
		if groups[name] == nil {
			groups[name] = make(map[string]*format.File)
		}
		groups[name][f.Path] = f
		for at := f.Path; at != "/"; {
			at = format.Parent(at)
			groups[name][at] = byPath[at]
		}
	}
	first := "gone"
	for _, i := range p.Write {
		if f := root[i]; f.Type != format.TypeDir {
			add(f.Components[0], f)
			first = f.Components[0]
		}
	}
	for _, path := range p.Gone {
		add(first, &format.File{Path: path, Type: format.TypeWhiteout})
	}
	for _, i := range slices.Backward(p.Write) { // in reverse order, so that files come before their parent directories
		has := func(files map[string]*format.File) bool { return files[root[i].Path] != nil }
		if f := root[i]; f.Type == format.TypeDir && !slices.ContainsFunc(slices.Collect(maps.Values(groups)), has) {
			add("dirs", f)
		}
	}
	names := slices.Sorted(maps.Keys(groups))
	room := opt.Max - len(p.Kept)
	for len(names) > room { // join
		last := names[len(names)-1]
		maps.Copy(groups[names[0]], groups[last])
		names = names[:len(names)-1]
	}
	for _, name := range names {
		l := Layer{Files: filelist.Of(slices.SortedFunc(maps.Values(groups[name]), func(a, b *format.File) int { return format.ComparePaths(a.Path, b.Path) })...)}
		next.layers, next.ids = append(next.layers, l), append(next.ids, next.next)
		next.next++
	}
	*m = *next
	return p
}

func (m *image) flatten() tree {
	t := make(tree)
	for i, l := range m.layers {
		t.apply(i, slices.Collect(l.Files.Copies()))
	}
	return t
}

// world is a random root that changes.
type world struct {
	rng   *rand.Rand
	files map[string]*format.File
	links int64
}

func newWorld(seed uint64) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 1)), files: map[string]*format.File{"/": {Path: "/", Type: format.TypeDir, Mode: 0o755}}}
	for range 40 {
		w.change()
	}
	return w
}

func (w *world) root() []*format.File {
	var list []*format.File
	for _, f := range w.files {
		c := *f
		list = append(list, &c)
	}
	slices.SortFunc(list, func(a, b *format.File) int { return format.ComparePaths(a.Path, b.Path) })
	return list
}

func (w *world) pick(list []string) string { return list[w.rng.IntN(len(list))] }

func (w *world) paths(t func(*format.File) bool) (list []string) {
	for _, path := range slices.Sorted(maps.Keys(w.files)) {
		if t(w.files[path]) {
			list = append(list, path)
		}
	}
	return list
}

func isDir(f *format.File) bool  { return f.Type == format.TypeDir }
func isFile(f *format.File) bool { return f.Type == format.TypeFile }

func (w *world) remove(path string) {
	for p := range w.files {
		if p == path || strings.HasPrefix(p, path+"/") {
			delete(w.files, p)
		}
	}
}

func (w *world) fresh(path string) *format.File {
	n := w.rng.IntN(6) // only a few different contents, so that old contents come back
	return &format.File{
		Path: path, Type: format.TypeFile, Mode: 0o644, Size: int64(1 + n*3000), Digest: format.NewDigest([32]byte{byte(n)}), MTime: w.rng.Int64N(9),
		Components: []string{w.pick([]string{"a", "b", "c", "d", "e", "f"})},
	}
}

// change makes one random change.
func (w *world) change() {
	dirs := w.paths(isDir)
	dir := w.pick(dirs)
	path := strings.TrimSuffix(dir, "/") + "/" + w.pick([]string{"p", "q", "r", "s", "-t"})
	switch w.rng.IntN(12) {
	case 0, 1, 2, 3: // a file, possibly in place of a directory
		w.remove(path)
		w.files[path] = w.fresh(path)
	case 4: // a directory in place of anything
		if strings.Count(path, "/") < 5 && (w.files[path] == nil || !isDir(w.files[path])) {
			w.remove(path)
			w.files[path] = &format.File{Path: path, Type: format.TypeDir, Mode: 0o755}
		}
	case 5:
		w.remove(path)
		w.files[path] = &format.File{Path: path, Type: format.TypeSymlink, Mode: 0o777, Target: w.pick([]string{"x", "y"}), Components: []string{"a"}}
	case 6: // purge
		if dir != "/" {
			w.remove(dir)
		}
	case 7:
		w.files[dir].Mode = 0o700 + uint16(w.rng.IntN(3))
	case 8, 9:
		if list := w.paths(isFile); len(list) > 0 {
			f := w.files[w.pick(list)]
			for _, other := range w.files {
				if other.Hardlink == f.Hardlink && f.Hardlink != 0 || other == f {
					if w.rng.IntN(2) == 0 {
						break
					}
				}
			}
			mode, xattrs := 0o640+uint32(w.rng.IntN(3)), []format.Xattr{{Name: "user.x", Value: []byte{byte(w.rng.IntN(2))}}}
			for _, other := range w.files {
				if other == f || f.Hardlink != 0 && other.Hardlink == f.Hardlink {
					other.Mode, other.Xattrs = uint16(mode), xattrs
				}
			}
		}
	case 10: // link
		if list := w.paths(isFile); len(list) > 0 {
			f := w.files[w.pick(list)]
			if strings.HasPrefix(f.Path, path+"/") || f.Path == path {
				return
			}
			w.remove(path)
			if f.Hardlink == 0 {
				w.links++
				f.Hardlink = w.links
			}
			c := *f
			c.Path = path
			w.files[path] = &c
		}
	case 11: // part
		if list := w.paths(func(f *format.File) bool { return f.Hardlink != 0 }); len(list) > 0 {
			w.files[w.pick(list)].Hardlink = 0
		}
	}
}

// After each of many random updates, the flattened image equals the root, and neither the number of
// layers nor the number of stale bytes exceeds its limit. The records of kept layers are unchanged.
func TestRandomUpdates(t *testing.T) {
	kept, fates := 0, map[Reason]int{}
	for seed := range uint64(60) {
		w := newWorld(seed)
		m := &image{}
		opt := Options{Max: 1 + int(seed%9), MaxStale: int64(seed%7) * 50_000}
		var past [][]*format.File
		for step := range 40 {
			root := w.root()
			if w.rng.IntN(8) == 0 && len(past) > 0 { // a downgrade
				root = past[w.rng.IntN(len(past))]
			}
			past = append(past, root)
			before := *m
			p := m.update(root, opt)
			want := make(tree)
			want.apply(0, root)
			if got := m.flatten().text(); got != want.text() {
				t.Fatalf("seed %d, step %d: got\n%s\nwant\n%s", seed, step, got, want.text())
			}
			shown := make(map[string]format.File)
			for f := range Visible(m.layers) {
				shown[f.Path] = *f
			}
			for path, s := range m.flatten() {
				if f := shown[path]; !reflect.DeepEqual(&f, s.file) {
					t.Fatalf("seed %d, step %d: %q: visible is %+v, want %+v", seed, step, path, f, s.file)
				}
				delete(shown, path)
			}
			if len(shown) > 0 {
				t.Fatalf("seed %d, step %d: also visible are %+v", seed, step, shown)
			}
			if len(m.layers) > opt.Max {
				t.Fatalf("seed %d, step %d: %d layers, want at most %d", seed, step, len(m.layers), opt.Max)
			}
			if p.Stale*ppm > opt.MaxStale*p.Bytes {
				t.Fatalf("seed %d, step %d: %d of %d bytes are stale", seed, step, p.Stale, p.Bytes)
			}
			for n, i := range p.Kept {
				if m.ids[n] != before.ids[i] {
					t.Fatalf("seed %d, step %d: kept layer %d is another", seed, step, i)
				}
			}
			for _, f := range p.Fates {
				fates[f.Reason]++
			}
			kept += len(p.Kept)
			// Building the same root again changes nothing.
			layers := len(m.layers)
			if again := m.update(root, opt); len(again.Kept) != layers || len(again.Write)+len(again.Gone) > 0 {
				t.Fatalf("seed %d, step %d: the same root again: %+v", seed, step, again)
			}
			for range w.rng.IntN(6) {
				w.change()
			}
		}
	}
	for _, why := range []Reason{Kept, Empty, Stale, Room} {
		if fates[why] == 0 {
			t.Errorf("no layer is %s", why)
		}
	}
	if kept == 0 {
		t.Error("no layer was kept")
	}
}

// The layer that is dissolved to make room is a small layer near the top, unless a lower layer has
// far fewer bytes. Clients that store layers by chain must download all layers above a dissolved
// layer again.
func TestRoomCountsTheChain(t *testing.T) {
	file := func(path string, size int64, content int) *format.File {
		return &format.File{
			Path: path, Type: format.TypeFile, Mode: 0o644, Size: size, Digest: format.NewDigest([32]byte{byte(content)}), Components: []string{"one"},
		}
	}
	dir := &format.File{Path: "/", Type: format.TypeDir, Mode: 0o755}
	for name, test := range map[string]struct {
		low, top int64 // bytes of the second and the highest layer
		want     []int // kept
	}{
		"near the top": {2_000, 20_000, []int{0, 1, 2}},
		"far fewer":    {2_000, 90_000, []int{0, 2, 3}},
	} {
		root := []*format.File{dir, file("/a", 500_000, 1), file("/b", test.low, 2), file("/c", 2_000_000, 3), file("/d", test.top, 4), file("/e", 1, 5)}
		var layers []Layer
		for _, f := range root[1:5] {
			layers = append(layers, Layer{Files: filelist.Of(dir, f)})
		}
		if p := Make(root, layers, Options{Max: 4, MaxStale: ppm}); !slices.Equal(p.Kept, test.want) {
			t.Errorf("%s: kept %v, want %v", name, p.Kept, test.want)
		}
	}
}

// The fate of a layer that is not kept contains the number of bytes that were stale at the time of
// the decision.
func TestFatesCountStaleBytes(t *testing.T) {
	file := func(path string, content int) *format.File {
		return &format.File{
			Path: path, Type: format.TypeFile, Mode: 0o644, Size: 100_000, Digest: format.NewDigest([32]byte{byte(content)}), Components: []string{"one"},
		}
	}
	dir := &format.File{Path: "/", Type: format.TypeDir, Mode: 0o755}
	const bytes = 100_000 + 512 + 352 // padded, with its header
	layer := func(files ...*format.File) Layer {
		return Layer{Files: filelist.Of(append([]*format.File{dir}, files...)...)}
	}
	layers := []Layer{
		layer(file("/a", 1), file("/b", 2), file("/c", 3)), layer(file("/d", 4), file("/e", 5)), layer(file("/f", 6)), layer(file("/g", 7), file("/h", 8)),
	}
	layers[3].Fault = "odd"
	root := []*format.File{dir, file("/a", 1), file("/b", 20), file("/c", 3), file("/d", 4), file("/e", 5), file("/f", 60), file("/g", 7), file("/h", 80)}
	got := Make(root, layers, Options{Max: 8, MaxStale: 0}).Fates
	want := []Fate{
		{Stale, 3 * bytes, bytes, ""}, {Kept, 2 * bytes, 0, ""}, {Empty, bytes, bytes, ""}, {Unusable, 2 * bytes, bytes, "odd"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
