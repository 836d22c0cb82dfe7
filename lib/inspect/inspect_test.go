package inspect

import (
	"archive/tar"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/image"
	"chunkah/lib/plan"
	"chunkah/lib/transport"
	"chunkah/tests/mkimage"
)

func open(t *testing.T, img *mkimage.Image) *Image {
	t.Helper()
	in, err := Open(context.Background(), image.Location{Transport: transport.Layout, Path: img.Layout(t)}, image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	})
	return in
}

func read(t *testing.T, img *mkimage.Image, opt Options) *Image {
	t.Helper()
	in := open(t, img)
	if err := in.Read(context.Background(), opt); err != nil {
		t.Fatal(err)
	}
	return in
}

// recorded returns a layer with chunkah's record in its history.
func recorded(t *testing.T, data []byte, packing string, stability int64, components ...string) mkimage.Layer {
	t.Helper()
	comment, err := plan.Comment(&format.Layer{Components: components, StabilityPPM: stability})
	if err != nil {
		t.Fatal(err)
	}
	return mkimage.Layer{Tar: data, Packing: packing, History: v1.History{CreatedBy: plan.Author, Comment: comment}}
}

// The manifest and config contain most of the description. No layer is read, so damaged layers do
// not matter.
func TestOpenWithoutLayers(t *testing.T) {
	data := mkimage.Tar(t, mkimage.File("a", "x"))
	rust := v1.History{CreatedBy: plan.Author, Author: plan.Author, Comment: "rpm/a rpm/b"}
	ours := v1.History{CreatedBy: plan.Author, Comment: "rpm/a, rpm/b"}
	tests := []struct {
		name       string
		layer      mkimage.Layer
		bytes      int64
		stability  int64
		components []string
		own        bool
	}{
		{"ours, plain", recorded(t, data, mkimage.Plain, 5, "a", "b"), int64(len(data)), 5, []string{"a", "b"}, true},
		{"ours, packed", recorded(t, data, mkimage.Gzip, 5, "a"), Unknown, 5, []string{"a"}, true},
		{"of a packer without stability", recorded(t, data, mkimage.Gzip, 0, "a"), Unknown, Unknown, []string{"a"}, true},
		{"only names", mkimage.Layer{Tar: data, History: ours, Annotations: map[string]string{annotationStability: "0.984123"}},
			int64(len(data)), 984123, []string{"rpm/a", "rpm/b"}, true},
		{"of the Rust chunkah", mkimage.Layer{Tar: data, History: rust, Annotations: map[string]string{annotationStability: "0.006"}},
			int64(len(data)), 6000, []string{"rpm/a", "rpm/b"}, true},
		{"no number", mkimage.Layer{Tar: data, History: ours, Annotations: map[string]string{annotationStability: "NaN"}},
			int64(len(data)), Unknown, []string{"rpm/a", "rpm/b"}, true},
		{"of another tool", mkimage.Layer{Tar: data, Annotations: map[string]string{annotationStability: "0.5"}}, int64(len(data)), Unknown, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := open(t, &mkimage.Image{Layers: []mkimage.Layer{tt.layer}})
			l := in.Layers[0]
			if l.Bytes != tt.bytes || l.Stability != tt.stability || !slices.Equal(l.Components, tt.components) || l.Own != tt.own || l.Entries != nil {
				t.Errorf("got %d bytes, %d ppm, %q, own %v, %d entries", l.Bytes, l.Stability, l.Components, l.Own, len(l.Entries))
			}
			if in.Platform != "linux/amd64" || in.Created == nil || in.IsRead() {
				t.Errorf("got %+v", in)
			}
		})
	}
}

// TestEntries reads entries of every type.
func TestEntries(t *testing.T) {
	below := mkimage.Tar(t, mkimage.Dir("d/"), mkimage.File("d/x", "gone"), mkimage.File("gone", "x"))
	above := mkimage.Tar(t, mkimage.Dir("./"), mkimage.File("d/.wh..wh..opq", ""), mkimage.File(".wh.gone", ""), mkimage.File("a\nb", "four"),
		mkimage.Link("link", "a\nb"), mkimage.Symlink("sym\xff", "to\xff"), mkimage.Device('3', "null", 1, 3))
	in := read(t, &mkimage.Image{Layers: []mkimage.Layer{{Tar: below, Packing: mkimage.Zstd}, {Tar: above}}}, Options{Tree: true})
	var got []string
	for i := range in.Layers[1].Entries {
		e := &in.Layers[1].Entries[i]
		got = append(got, fmt.Sprintf("%s %q %q %d", e.Type(), e.Path, e.Link, e.Size))
	}
	want := []string{`dir "/" "" 0`, `opaque "/d" "" 0`, `whiteout "/gone" "" 0`, `file "/a\nb" "" 4`, `hardlink "/link" "a\nb" 0`,
		`symlink "/sym\xff" "to\xff" 0`, `char "/null" "" 0`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if n := in.Layers[0].Bytes; n != int64(len(below)) {
		t.Errorf("layer 0 has %d bytes, want %d", n, len(below))
	}
	nodes, err := in.Walk(-1)
	if err != nil {
		t.Fatal(err)
	}
	var tree []string
	for _, n := range nodes {
		tree = append(tree, fmt.Sprintf("%d %q %v %d %q in %d", n.Depth, n.Path, n.Dir, n.Bytes, n.Target, n.Layer))
	}
	want = []string{`0 "/" true 4 "" in 1`, `1 "/a\nb" false 4 "" in 1`, `1 "/d" true 0 "" in 0`, `1 "/link" false 0 "" in 1`,
		`1 "/null" false 0 "" in 1`, `1 "/sym\xff" false 0 "to\xff" in 1`}
	if !slices.Equal(tree, want) {
		t.Errorf("got %q, want %q", tree, want)
	}
	if nodes, err := in.Walk(0); err != nil || len(nodes) != 1 || nodes[0].Bytes != 4 {
		t.Errorf("got %+v, %v", nodes, err)
	}
}

// Two entries count as equal if they differ only in time.
func TestEntryMeta(t *testing.T) {
	of := func(e mkimage.Entry) Entry {
		t.Helper()
		in := read(t, &mkimage.Image{Layers: []mkimage.Layer{{Tar: mkimage.Tar(t, e)}}}, Options{Tree: true})
		return in.Layers[0].Entries[0]
	}
	a := of(mkimage.File("a", "x"))
	for name, e := range map[string]mkimage.Entry{
		"mode":  mkimage.File("a", "x").But(func(h *tar.Header) { h.Mode = 0o600 }),
		"owner": mkimage.File("a", "x").But(func(h *tar.Header) { h.Uid = 1 }),
		"xattr": mkimage.File("a", "x").Xattr("user.a", "b"),
		"type":  mkimage.Symlink("a", "x"),
	} {
		if b := of(e); b.Meta == a.Meta {
			t.Errorf("%s: no difference", name)
		}
	}
	later := of(mkimage.File("a", "x").But(func(h *tar.Header) { h.ModTime = h.ModTime.Add(1e9) }))
	if later.Meta != a.Meta || later.Content != a.Content || later.MTime == a.MTime {
		t.Errorf("got %+v and %+v", a, later)
	}
	if b := of(mkimage.File("a", "y")); b.Meta != a.Meta || b.Content == a.Content {
		t.Errorf("got %+v and %+v", a, b)
	}
}

// byName assigns each file to the component in the first part of its name.
type byName struct{}

func (byName) Name() string { return "test" }

func (byName) Load(_ context.Context, t *assign.Tree) (*assign.Result, error) {
	r := &assign.Result{}
	byName := map[string]*assign.Package{}
	for i, f := range t.Files {
		name, _, found := strings.Cut(strings.TrimPrefix(f.Path, "/"), "-")
		if !found {
			continue
		}
		if byName[name] == nil {
			byName[name] = &assign.Package{Component: &format.Component{Name: name}}
		}
		r.Claims = append(r.Claims, assign.Claim{File: i, Package: byName[name]})
	}
	return r, nil
}

func TestComponents(t *testing.T) {
	layers := []mkimage.Layer{
		recorded(t, mkimage.Tar(t, mkimage.File("x-1", "12345"), mkimage.File("y-1", "12"), mkimage.File("z-1", "1")), "", 7, "x", "y"),
		recorded(t, mkimage.Tar(t, mkimage.File("x-2", "123")), mkimage.Gzip, 8, "custom"),
		recorded(t, mkimage.Tar(t, mkimage.File("p-1", "1"), mkimage.File("q-1", "1")), "", 9, "p#01234567", "q#01234567", "q#89abcdef"),
		{Tar: mkimage.Tar(t, mkimage.Dir("d/"), mkimage.File("x-3", "1234567"), mkimage.File("loose", "12345678"))},
	}
	in := read(t, &mkimage.Image{Layers: layers}, Options{Repos: []assign.Repo{byName{}}})
	s := in.Summary(true)
	var got []string
	for _, c := range s.Components {
		stability := int64(Unknown)
		if c.Stability != nil {
			stability = *c.Stability
		}
		got = append(got, fmt.Sprintf("%s %d bytes %d files %v %d", c.Name, c.Bytes, c.Files, c.Layers, stability))
	}
	want := []string{
		"x 12 bytes 2 files [0 3] -1", "chunkah/unclaimed 8 bytes 1 files [3] -1", "custom 3 bytes 1 files [1] 8", "y 2 bytes 1 files [0] 7",
		" 1 bytes 1 files [0] 7", "p#01234567 1 bytes 1 files [2] 9", "q 1 bytes 1 files [2] 9",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSummary(t *testing.T) {
	data := mkimage.Tar(t, mkimage.Dir("d/"), mkimage.File("d/a", "abc"))
	img := &mkimage.Image{Layers: []mkimage.Layer{recorded(t, data, "", 5, "a"), {Tar: data, Packing: mkimage.Gzip, History: v1.History{CreatedBy: "RUN x"}}}}
	s := open(t, img).Summary(false)
	if s.Bytes != nil || s.Layers[1].Bytes != nil || s.Layers[0].Files != nil || s.Layers[0].CreatedBy != "" || s.Layers[1].CreatedBy != "RUN x" {
		t.Errorf("got %+v", s)
	}
	s = read(t, img, Options{Tree: true}).Summary(false)
	if *s.Bytes != int64(2*len(data)) || *s.Layers[1].Files != 1 || s.Layers[1].Stability != nil {
		t.Errorf("got %+v", s)
	}
	empty := read(t, &mkimage.Image{}, Options{Tree: true}).Summary(true)
	if data, err := json.Marshal(empty); err != nil || !strings.Contains(string(data), `"layers":[]`) {
		t.Errorf("got %s, %v", data, err)
	}
}

// The stability of a chain is the product of all stabilities from the bottom up, as far as they are
// known.
func TestChainStability(t *testing.T) {
	layers := func(ppm ...int64) *Image {
		img := &mkimage.Image{}
		for _, n := range ppm {
			img.Layers = append(img.Layers, recorded(t, nil, "", max(n, 0), "a")) // packers write 0 if it is unknown
		}
		return open(t, img)
	}
	for _, tt := range []struct{ stability, want []int64 }{
		{nil, []int64{}},
		{[]int64{900_000}, []int64{900_000}},
		{[]int64{1_000_000, 900_000, 500_000, 1}, []int64{1_000_000, 900_000, 450_000, 0}},
		{[]int64{500_000, Unknown, 900_000}, []int64{500_000, Unknown, Unknown}},
		{[]int64{Unknown, 900_000}, []int64{Unknown, Unknown}},
	} {
		if got := layers(tt.stability...).ChainStability(); !slices.Equal(got, tt.want) {
			t.Errorf("%v: got %v, want %v", tt.stability, got, tt.want)
		}
	}
	s := layers(900_000, 900_000, Unknown).Summary(false)
	if *s.Layers[1].ChainStability != 810_000 || s.Layers[2].ChainStability != nil {
		t.Errorf("got %+v", s.Layers)
	}
}

func TestFind(t *testing.T) {
	in := &Image{}
	for _, hex := range []string{"00aa", "11aa", "11bb"} {
		d := digest.NewDigestFromEncoded(digest.SHA256, hex+strings.Repeat("0", 60))
		in.Layers = append(in.Layers, Layer{Layer: image.Layer{Descriptor: v1.Descriptor{Digest: d}, DiffID: digest.FromString(hex)}})
	}
	got := map[string]string{}
	for _, name := range []string{"0", "2", "3", "-1", "00aa", "sha256:11b", "11", "ff00ff", "", "sha256:", string(in.Layers[1].DiffID)} {
		n, err := in.Find(name)
		got[name] = fmt.Sprint(n, err == nil)
	}
	want := map[string]string{"0": "0 true", "2": "2 true", "3": "0 false", "-1": "0 false", "00aa": "0 true", "sha256:11b": "2 true", "11": "0 false",
		"ff00ff": "0 false", "": "0 false", "sha256:": "0 false", string(in.Layers[1].DiffID): "1 true"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// An image that cannot be read is an error, not an image without layers.
func TestOpenDamaged(t *testing.T) {
	img := &mkimage.Image{Layers: []mkimage.Layer{{Tar: mkimage.Tar(t, mkimage.File("a", "x"), mkimage.File("../b", "y"))}}}
	err := open(t, img).Read(context.Background(), Options{})
	if err == nil || !strings.Contains(err.Error(), `"../b"`) {
		t.Errorf("got %v", err)
	}
}
