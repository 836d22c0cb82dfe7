package image

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"chunkah/lib/patch"
	mk "chunkah/tests/mkimage"
)

// shadowsOf flattens an image with these layers and returns the tree and the layers' shadows.
func shadowsOf(t *testing.T, layers ...[]mk.Entry) (*Tree, []patch.Shadow) {
	t.Helper()
	img := openLayers(t, layers...)
	lists := make([]patch.Layer, len(layers))
	tree, err := Flatten(context.Background(), img, FlattenOptions{Spool: t.TempDir(), Records: func(i int, l LayerEntries) {
		lists[i] = patch.Layer(l)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustClose(t, tree) })
	return tree, patch.Shadows(lists)
}

// Files that upper layers hide are found, whatever hides them.
func TestShadows(t *testing.T) {
	base := []mk.Entry{
		mk.Dir("d"), mk.Dir("d/e"), mk.File("d/e/key", strings.Repeat("k", 700)), mk.File("d/f", "f"), mk.File("g", "g"),
		mk.File("h1", "linked"), mk.Link("h2", "h1"),
	}
	for name, c := range map[string]struct {
		above []mk.Entry
		want  string // the removed files of layer 0, then its stale bytes
	}{
		"nothing":                      {[]mk.Entry{mk.Dir("d"), mk.File("n", "n")}, " 0"},
		"a file":                       {[]mk.Entry{mk.File("d/f", "other")}, " 1024"},
		"a whiteout of a file":         {[]mk.Entry{mk.File("d/.wh.f", "")}, "/d/f 1024"},
		"a whiteout of a directory":    {[]mk.Entry{mk.File(".wh.d", "")}, "/d/e/key /d/f 2560"},
		"an opaque directory":          {[]mk.Entry{mk.Dir("d"), mk.File("d/.wh..wh..opq", "")}, "/d/e/key /d/f 2560"},
		"one without its entry":        {[]mk.Entry{mk.File("d/.wh..wh..opq", "")}, "/d/e/key /d/f 2560"},
		"opaque, with new files":       {[]mk.Entry{mk.Dir("d"), mk.File("d/f", "F"), mk.File("d/.wh..wh..opq", "")}, "/d/e/key 2560"},
		"opaque below":                 {[]mk.Entry{mk.Dir("d"), mk.Dir("d/e"), mk.File("d/e/.wh..wh..opq", "")}, "/d/e/key 1536"},
		"the opaque root":              {[]mk.Entry{mk.File(".wh..wh..opq", ""), mk.File("n", "n")}, "/d/e/key /d/f /g /h1 /h2 5120"},
		"a directory becomes a file":   {[]mk.Entry{mk.File("d", "file")}, "/d/e/key /d/f 2560"},
		"a directory becomes a link":   {[]mk.Entry{mk.Symlink("d", "g")}, "/d/e/key /d/f 2560"},
		"by a hard link to a file":     {[]mk.Entry{mk.Link("d", "g")}, "/d/e/key /d/f 2560"},
		"a file becomes a directory":   {[]mk.Entry{mk.Dir("g"), mk.File("g/x", "x")}, "/g 1024"},
		"one that has no entry":        {[]mk.Entry{mk.File("g/x", "x")}, "/g 1024"},
		"a file becomes a symlink":     {[]mk.Entry{mk.Symlink("g", "d/f")}, "/g 1024"},
		"the first name of an inode":   {[]mk.Entry{mk.File(".wh.h1", "")}, " 0"},
		"the second":                   {[]mk.Entry{mk.File(".wh.h2", "")}, " 512"},
		"both":                         {[]mk.Entry{mk.File(".wh.h1", ""), mk.File(".wh.h2", "")}, "/h1 /h2 1536"},
		"moved by a hard link":         {[]mk.Entry{mk.File(".wh.g", ""), mk.Link("moved", "g")}, " 0"},
		"both moved":                   {[]mk.Entry{mk.File(".wh.h1", ""), mk.File(".wh.h2", ""), mk.Link("moved", "h2")}, " 512"},
		"moved by a link to a link":    {[]mk.Entry{mk.File(".wh.g", ""), mk.Link("m1", "g"), mk.Link("m2", "m1")}, " 0"},
		"moved out of an opaque place": {[]mk.Entry{mk.File("d/.wh..wh..opq", ""), mk.Link("moved", "d/e/key")}, "/d/f 1024"},
		"a whiteout behind a symlink":  {[]mk.Entry{mk.File("g/.wh.x", "")}, " 0"},
	} {
		_, shadows := shadowsOf(t, base, c.above)
		if got := fmt.Sprint(strings.Join(paths(shadows[0].Removed), " "), " ", shadows[0].Stale); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
		sum := int64(0)
		for by, n := range shadows[0].HiddenBy {
			if sum += n; by != 1 {
				t.Errorf("%s: hidden by layer %d", name, by)
			}
		}
		if sum != shadows[0].Stale {
			t.Errorf("%s: %d bytes are stale, and %d are hidden by layers", name, shadows[0].Stale, sum)
		}
	}
}

func paths(files []patch.Removed) (list []string) {
	for _, f := range files {
		list = append(list, f.Path)
	}
	return list
}

// In random images, a file counts as removed if the flattened image contains no file with the same
// contents, and no regular file at the same path.
func TestShadowsOfRandomImages(t *testing.T) {
	removed := 0
	for seed := range uint64(100) {
		r := &randomLayers{rng: rand.New(rand.NewPCG(seed, 2)), files: make(map[string]string)}
		var layers [][]mk.Entry
		for range 2 + seed%4 {
			layers = append(layers, r.layer())
		}
		tree, shadows := shadowsOf(t, layers...)
		visible := make(map[string]string)
		readAll(t, tree, "/", visible)
		for i, s := range shadows {
			var want []string
			for _, name := range r.names[i] {
				text := r.files[name]
				if _, file := visible["/"+strings.SplitN(name, ":", 2)[1]]; !file && !shows(visible, text) {
					want = append(want, "/"+strings.SplitN(name, ":", 2)[1])
				}
			}
			slices.Sort(want)
			got := paths(s.Removed)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d, layer %d: removed %q, want %q\n%s\n%s", seed, i, got, want, r.text.String(), listing(t, tree))
			}
			removed += len(got)
		}
	}
	if removed == 0 {
		t.Error("no file was removed")
	}
}

func shows(visible map[string]string, text string) bool {
	for _, v := range visible {
		if v == text {
			return true
		}
	}
	return false
}

// readAll reads all regular files below a path.
func readAll(t *testing.T, tree *Tree, p string, into map[string]string) {
	t.Helper()
	st, err := tree.Stat(p)
	if err != nil {
		t.Fatal(err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		into[p] = text(t, tree, p, st.Size)
	case unix.S_IFDIR:
		names, err := tree.Names(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			readAll(t, tree, strings.TrimSuffix(p, "/")+"/"+name, into)
		}
	}
}

// randomLayers makes layers with few different names.
type randomLayers struct {
	rng   *rand.Rand
	n     int
	files map[string]string // contents by LAYER:PATH
	names [][]string        // names of regular files, by layer
	text  strings.Builder
}

func (r *randomLayers) path() string {
	var parts []string
	for range 1 + r.rng.IntN(3) {
		parts = append(parts, string(rune('a'+r.rng.IntN(3))))
	}
	return strings.Join(parts, "/")
}

// layer makes a layer in which no path is below a file, and no path occurs twice.
func (r *randomLayers) layer() (list []mk.Entry) {
	at := len(r.names)
	r.names = append(r.names, nil)
	kinds := make(map[string]string)
	free := func(p string, dir bool) bool {
		if kinds[p] != "" {
			return false
		}
		for other, kind := range kinds {
			if strings.HasPrefix(p, other+"/") && kind != "dir" || strings.HasPrefix(other, p+"/") && !dir {
				return false
			}
		}
		return true
	}
	add := func(kind, p string, e mk.Entry) {
		kinds[p] = kind
		list = append(list, e)
		fmt.Fprintf(&r.text, "%d %s %s\n", at, kind, p)
	}
	var own []string
	for range 2 + r.rng.IntN(5) {
		p := r.path()
		switch kind := r.rng.IntN(6); {
		case !free(p, kind == 1):
		case kind == 1:
			add("dir", p, mk.Dir(p))
		case kind == 2:
			add("symlink", p, mk.Symlink(p, "nowhere"))
		case kind == 3 && len(own) > 0:
			first := own[r.rng.IntN(len(own))]
			add("link to "+first, p, mk.Link(p, first))
			r.file(at, p, r.files[fmt.Sprintf("%d:%s", at, first)])
		default:
			r.n++
			text := fmt.Sprintf("contents %d", r.n)
			add("file", p, mk.File(p, text))
			r.file(at, p, text)
			own = append(own, p)
		}
	}
	for range r.rng.IntN(3) {
		p := r.path()
		dir, base := splitName(p)
		switch {
		case r.rng.IntN(2) == 0 && free(p, true):
			fmt.Fprintf(&r.text, "%d opaque %s\n", at, p)
			list = append(list, mk.File(p+"/.wh..wh..opq", ""))
		case kinds[p] == "":
			fmt.Fprintf(&r.text, "%d whiteout %s\n", at, p)
			list = append(list, mk.File(strings.TrimPrefix(dir+"/.wh."+base, "/"), ""))
		}
	}
	return list
}

func (r *randomLayers) file(layer int, p, text string) {
	name := fmt.Sprintf("%d:%s", layer, p)
	r.files[name] = text
	r.names[layer] = append(r.names[layer], name)
}
