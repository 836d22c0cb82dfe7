package reuse

import (
	"archive/tar"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/image"
	"chunkah/lib/inspect"
	"chunkah/lib/patch"
	"chunkah/lib/plan"
	"chunkah/lib/transport"
	"chunkah/tests/mkimage"
)

// layer makes a layer with these components, in the form NAME or NAME=FINGERPRINT, and with these
// files.
func layer(t *testing.T, packing, components string, entries ...mkimage.Entry) mkimage.Layer {
	t.Helper()
	l := mkimage.Layer{Tar: mkimage.Tar(t, entries...), Packing: packing}
	if components == "" {
		return l
	}
	rec := &format.Layer{StabilityPPM: 5}
	for name := range strings.FieldsSeq(components) {
		name, fingerprint, found := strings.Cut(name, "=")
		rec.Components = append(rec.Components, name)
		if found {
			rec.Fingerprints = append(rec.Fingerprints, fingerprint)
		}
	}
	comment, err := plan.Comment(rec)
	if err != nil {
		t.Fatal(err)
	}
	l.History = v1.History{CreatedBy: plan.Author, Comment: comment}
	return l
}

// byName assigns each file to the component that is named in the first part of the file's name.
type byName struct{}

func (byName) Name() string { return "test" }

func (byName) Load(_ context.Context, t *assign.Tree) (*assign.Result, error) {
	r := &assign.Result{}
	for i, f := range t.Files {
		if name, _, found := strings.Cut(strings.TrimPrefix(f.Path, "/"), "-"); found {
			p := &assign.Package{Component: &format.Component{Name: name}}
			r.Claims = append(r.Claims, assign.Claim{File: i, Package: p})
		}
	}
	return r, nil
}

func open(t *testing.T, read bool, layers []mkimage.Layer) *inspect.Image {
	t.Helper()
	img := &mkimage.Image{Layers: layers}
	in, err := inspect.Open(context.Background(), image.Location{Transport: transport.Layout, Path: img.Layout(t)}, image.Options{})
	if err == nil && read {
		err = in.Read(context.Background(), inspect.Options{Repos: []assign.Repo{byName{}}})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	return in
}

// lines formats the parts of a step: layer, component, state, files, reason.
func lines(t *testing.T, s *Step) []string {
	t.Helper()
	var got []string
	sum := int64(0)
	for _, p := range s.Parts {
		line := fmt.Sprintf("%d %s: %s", p.Layer, p.Component, p.State)
		if p.Changed != nil {
			line += fmt.Sprintf(" %d+%d", p.ChangedFiles, p.UnchangedFiles)
			if *p.Changed+*p.Unchanged != *p.Download || *p.Changed < 0 || *p.Unchanged < 0 {
				t.Errorf("%s: %d and %d bytes of %d", line, *p.Changed, *p.Unchanged, *p.Download)
			}
			sum += *p.Download
		}
		if p.Reason != "" {
			line += fmt.Sprintf(" (%s: %s)", p.Reason, p.Why)
		}
		got = append(got, line)
	}
	if len(s.Parts) > 0 && s.Parts[0].Changed != nil && sum != s.Download {
		t.Errorf("the parts have %d bytes of %d", sum, s.Download)
	}
	return got
}

func later(e mkimage.Entry) mkimage.Entry {
	return e.But(func(h *tar.Header) { h.ModTime = h.ModTime.Add(time.Hour) })
}

var (
	a1, a2 = mkimage.File("a-1", "one"), mkimage.File("a-2", "two")
	b1, b2 = mkimage.File("b-1", "one"), mkimage.File("b-2", strings.Repeat("two", 1000))
	newA1  = mkimage.File("a-1", "One")
	d      = mkimage.Dir("d/")
)

func TestCompare(t *testing.T) {
	type list = []mkimage.Layer
	tests := []struct {
		name     string
		old, new list
		want     []string
	}{
		{"the same", list{layer(t, "", "a", a1)}, list{layer(t, "", "a", a1)}, nil},
		{"reordered", list{layer(t, "", "a", a1), layer(t, "", "b", b1)}, list{layer(t, "", "b", b1), layer(t, "", "a", a1)}, nil},
		{"a file changed", list{layer(t, "", "a", a1, a2)}, list{layer(t, "", "a", newA1, a2)},
			[]string{"0 a: changed 1+1 (component: other files of the component changed)"}},
		{"all changed", list{layer(t, "", "a", a1)}, list{layer(t, "", "a", newA1)}, []string{"0 a: changed 1+0"}},
		{"a mode changed", list{layer(t, "", "a", a1)}, list{layer(t, "", "a", a1.But(func(h *tar.Header) { h.Mode = 0o600 }))}, []string{"0 a: changed 1+0"}},
		{"new", list{layer(t, "", "a", a1)}, list{layer(t, "", "a", a1), layer(t, "", "b", b1)}, []string{"1 b: new 1+0"}},
		{"a neighbour changed", list{layer(t, "", "a b", a1, b1, b2)}, list{layer(t, "", "a b", newA1, b1, b2)},
			[]string{"0 b: same 0+2 (neighbour: shares a layer with a, which changed)", "0 a: changed 1+0"}},
		{"two neighbours changed", list{layer(t, "", "a b c", a1, b1, b2, mkimage.File("c-1", "x"))}, list{layer(t, "", "a b c", newA1, b1, b2, mkimage.File("c-2", "x"))},
			[]string{"0 b: same 0+2 (neighbour: shares a layer with a and 1 more that changed)", "0 a: changed 1+0", "0 c: new 1+0"}},
		{"compressed differently", list{layer(t, mkimage.Gzip, "a b", a1, b1)}, list{layer(t, mkimage.Zstd, "a b", a1, b1)},
			[]string{"0 a: same 0+1 (compression: the same tar, compressed differently)", "0 b: same 0+1 (compression: the same tar, compressed differently)"}},
		{"joined", list{layer(t, "", "a", a1), layer(t, "", "b", b1, b2)}, list{layer(t, "", "a b", a1, b1, b2)},
			[]string{"0 b: same 0+2 (grouping: a was added to its layer)",
				"0 a: same 0+1 (grouping: was in layer 0 of the old image; most of its new layer was in layer 1)"}},
		{"parted", list{layer(t, "", "a b", a1, b1)}, list{layer(t, "", "a", a1), layer(t, "", "b", b1)},
			[]string{"0 a: same 0+1 (grouping: 1 file moved from its layer to another one)", "1 b: same 0+1 (grouping: 1 file moved from its layer to another one)"}},
		{"removed", list{layer(t, "", "a", a1, a2)}, list{layer(t, "", "a", a1)}, []string{"0 a: same 0+1 (removed: 1 file of its layer was removed)"}},
		{"times", list{layer(t, "", "a", d, a1)}, list{layer(t, "", "a", d, later(a1))},
			[]string{"0 a: same 0+1 (times: only mtimes differ)"}},
		{"times of a directory", list{layer(t, "", "a", d, a1)}, list{layer(t, "", "a", later(d), a1)},
			[]string{"0 a: same 0+1 (times: only mtimes differ)"}},
		{"a directory's mode", list{layer(t, "", "a", d, a1)}, list{layer(t, "", "a", d.But(func(h *tar.Header) { h.Mode = 0o700 }), a1)},
			[]string{`0 a: same 0+1 (directories: mode, owner or xattrs of the directory "/d" differ)`}},
		{"only directories", list{layer(t, "", "a", a1)}, list{layer(t, "", "a", a1), layer(t, "", "e", d)}, []string{"1 e: new 1+0"}},
		{"another order of entries", list{layer(t, "", "a", a1, a2)}, list{layer(t, "", "a", a2, a1)},
			[]string{"0 a: same 0+2 (tar: the tar is encoded differently)"}},
		{"of another tool", list{layer(t, "", "", a1, b1)}, list{layer(t, "", "", newA1, b1, mkimage.File("c", ""))},
			[]string{"0 a: changed 1+0", "0 b: same 0+1 (neighbour: shares a layer with a and 1 more that changed)", "0 chunkah/unclaimed: new 1+0"}},
		{"covered by a layer above", list{layer(t, "", "", a1, b1), layer(t, "", "", newA1)}, list{layer(t, "", "", a1, b2), layer(t, "", "", newA1)},
			[]string{"0 b: new 1+0", "0 a: same 0+1 (neighbour: shares a layer with b, which changed)"}},
		{"a layer twice", list{layer(t, "", "a", a1)}, list{layer(t, "", "b", b1), layer(t, "", "b", b1)}, []string{"0 b: new 1+0"}},
		{"no layers before", nil, list{layer(t, "", "a", a1)}, []string{"0 a: new 1+0"}},
		{"no layers after", list{layer(t, "", "a", a1)}, nil, nil},
		{"an empty layer", nil, list{layer(t, "", "a")}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := Compare(open(t, true, tt.old), open(t, true, tt.new), "")
			if tt.name == "an empty layer" {
				if s.DownloadLayers != 1 || s.Parts != nil {
					t.Errorf("got %+v", s)
				}
				return
			}
			if got := lines(t, s); !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

// If files are not read, fingerprints show what changed.
func TestCompareByFingerprints(t *testing.T) {
	type list = []mkimage.Layer
	tests := []struct {
		name     string
		old, new list
		want     []string
	}{
		{"a neighbour changed", list{layer(t, "", "a=1 b=2", a1, b1)}, list{layer(t, "", "a=x b=2", newA1, b1)},
			[]string{"0 a: changed", "0 b: same (neighbour: shares a layer with a, which changed)"}},
		{"joined", list{layer(t, "", "a=1", a1), layer(t, "", "b=2", b1)}, list{layer(t, "", "a=1 b=2", a1, b1)},
			[]string{"0 a: same (grouping: other components shared its layer)", "0 b: same (grouping: other components shared its layer)"}},
		{"parted", list{layer(t, "", "a=1 b=2", a1, b1)}, list{layer(t, "", "a=1", a1), layer(t, "", "b=3", b1)},
			[]string{"0 a: same (grouping: other components shared its layer)", "1 b: changed"}},
		{"new", nil, list{layer(t, "", "a=1", a1)}, []string{"0 a: new"}},
		{"no fingerprints", list{layer(t, "", "a", a1)}, list{layer(t, "", "a", newA1)}, []string{"0 a: unknown (unread: its files were not read)"}},
		{"compressed differently", list{layer(t, mkimage.Gzip, "a=1", a1)}, list{layer(t, mkimage.Zstd, "a=1", a1)},
			[]string{"0 a: same (compression: the same tar, compressed differently)"}},
		{"of another tool", list{layer(t, "", "", a1)}, list{layer(t, "", "", newA1)}, []string{"0 : unknown (unread: its files were not read)"}},
		{"of another tool, compressed differently", list{layer(t, mkimage.Gzip, "", a1)}, list{layer(t, mkimage.Zstd, "", a1)},
			[]string{"0 : same (compression: the same tar, compressed differently)"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := lines(t, Compare(open(t, false, tt.old), open(t, false, tt.new), "")); !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

// Bytes that the new image's upper layers hide are counted, if the layers were read.
func TestCompareStale(t *testing.T) {
	old := []mkimage.Layer{layer(t, "", "a", a1)}
	patched := append(slices.Clone(old), layer(t, "", "a", newA1))
	if s := Compare(open(t, true, old), open(t, true, patched), ""); s.Stale <= 0 {
		t.Errorf("got %d stale bytes of a file that is hidden", s.Stale)
	}
	if s := Compare(open(t, true, patched), open(t, true, old), ""); s.Stale != 0 {
		t.Errorf("got %d stale bytes without hidden files", s.Stale)
	}
	if s := Compare(open(t, false, old), open(t, false, patched), ""); s.Stale != 0 {
		t.Errorf("got %d stale bytes of layers that were not read", s.Stale)
	}
}

// Only missing blobs are downloaded, each once.
func TestCompareCounts(t *testing.T) {
	a, b := layer(t, "", "a", a1), layer(t, "", "b", b1, b2)
	old, gz := open(t, false, []mkimage.Layer{a}), layer(t, mkimage.Gzip, "a", a1)
	next := open(t, false, []mkimage.Layer{a, b, b, gz})
	s := Compare(old, next, "")
	size := func(i int) int64 { return next.Layers[i].Descriptor.Size }
	if s.Layers != 4 || s.Bytes != size(0)+2*size(1)+size(3) || s.DownloadLayers != 2 || s.Download != size(1)+size(3) ||
		s.SameTarLayers != 1 || s.SameTar != size(3) || !slices.Equal(s.Missing, []bool{false, true, false, true}) {
		t.Errorf("got %+v", s)
	}
	var series Series
	series.Add(s)
	series.Add(&Step{Download: 3})
	if series.Total != s.Download+3 || series.Mean != series.Total/2 {
		t.Errorf("got %+v", series)
	}
}

// TestClientsPullAsPredicted in tests measures the behaviour of real clients.
func TestClients(t *testing.T) {
	type list = []mkimage.Layer
	packed := func(packing, name string, size int) mkimage.Layer {
		return layer(t, packing, name, mkimage.File(name+"-1", strings.Repeat(name, size)))
	}
	a, b, c, d := packed(mkimage.Gzip, "a", 1), packed(mkimage.Gzip, "b", 1000), packed(mkimage.Gzip, "c", 2000), packed(mkimage.Gzip, "d", 3000)
	x, zstdB := packed(mkimage.Gzip, "x", 500), packed(mkimage.Zstd, "b", 1000)
	again := d // the same layer in a different config
	again.History = v1.History{CreatedBy: "again"}
	old := list{a, b, c, d}
	for _, tt := range []struct {
		name                    string
		new                     list
		docker, others, unpacks []int // layers of the new image
	}{
		{"the same", list{a, b, c, d}, nil, nil, nil},
		{"one in the middle", list{a, x, c, d}, []int{1, 2, 3}, []int{1}, []int{1, 2, 3}},
		{"one on top", list{a, b, c, d, x}, []int{4}, []int{4}, []int{4}},
		{"one at the bottom", list{x, a, b, c, d}, []int{0, 1, 2, 3, 4}, []int{0}, []int{0, 1, 2, 3, 4}},
		{"one layer less", list{a, c, d}, []int{1, 2}, nil, []int{1, 2}},
		{"only the start", list{a, b}, nil, nil, nil},
		{"in another order", list{a, c, b, d}, []int{1, 2, 3}, nil, []int{1, 2, 3}},
		{"one twice", list{a, x, d, d}, []int{1, 2}, []int{1}, []int{1, 2, 3}},
		{"one above and below", list{a, b, x, b}, []int{2, 3}, []int{2}, []int{2, 3}},
		{"compressed differently", list{a, zstdB, c, again}, []int{1, 2, 3}, []int{1}, nil},
		{"compressed differently, in the same config", list{a, zstdB, c, d}, nil, []int{1}, nil},
		{"nothing", nil, nil, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, read := range []bool{true, false} {
				was, is := open(t, read, old), open(t, read, tt.new)
				for _, client := range Clients {
					want := Cost{Client: client, Unpack: new(int64(0))}
					downloads := tt.others
					if client == Docker {
						downloads = tt.docker
					}
					for _, i := range downloads {
						want.DownloadLayers++
						want.Download += is.Layers[i].Descriptor.Size
					}
					for _, i := range tt.unpacks {
						want.UnpackLayers++
						want.UnpackBlobs += is.Layers[i].Descriptor.Size
						*want.Unpack += int64(len(tt.new[i].Tar))
					}
					s := Compare(was, is, client)
					got := s.Cost(client)
					if len(tt.unpacks) > 0 && !read {
						if got.Unpack != nil {
							t.Errorf("%s: the size of a layer that was not read is %d", client, *got.Unpack)
						}
						got.Unpack = want.Unpack
					}
					if !reflect.DeepEqual(got, want) {
						t.Errorf("%s: got %+v, want %+v", client, got, want)
					}
					if s.Download != want.Download || s.DownloadLayers != want.DownloadLayers {
						t.Errorf("%s: the step has %d bytes in %d layers", client, s.Download, s.DownloadLayers)
					}
				}
			}
		})
	}
}

// The reason ReasonChain is returned for layers that docker downloads only because layers below
// them changed.
func TestCompareByChain(t *testing.T) {
	old := []mkimage.Layer{layer(t, "", "a", a1), layer(t, "", "b=1", b1)}
	next := []mkimage.Layer{layer(t, "", "a", newA1), layer(t, "", "b=1", b1)}
	for read, want := range map[bool][]string{
		true:  {"0 a: changed 1+0", "1 b: same 0+1 (chain: the layers below it changed)"},
		false: {"0 a: unknown (unread: its files were not read)", "1 b: same (chain: the layers below it changed)"},
	} {
		if got := lines(t, Compare(open(t, read, old), open(t, read, next), Docker)); !slices.Equal(got, want) {
			t.Errorf("read %v: got\n%s\nwant\n%s", read, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func TestSeries(t *testing.T) {
	var s Series
	for _, unpack := range []*int64{new(int64(5)), new(int64(6))} {
		s.Add(&Step{Clients: []Cost{{Docker, 1, 2, 3, unpack, 4}, {Podman, 1, 1, 1, unpack, 1}}})
	}
	if want := []Cost{{Docker, 2, 4, 6, new(int64(11)), 8}, {Podman, 2, 2, 2, new(int64(11)), 2}}; !reflect.DeepEqual(s.Clients, want) {
		t.Errorf("got %+v, want %+v", s.Clients, want)
	}
	s.Add(&Step{Clients: []Cost{{Docker, 1, 2, 3, nil, 4}, {Podman, 1, 1, 1, new(int64(1)), 1}}})
	if s.Clients[0].Unpack != nil || *s.Clients[1].Unpack != 12 || *s.Steps[0].Clients[0].Unpack != 5 {
		t.Errorf("got %+v", s.Clients)
	}
}

func TestScale(t *testing.T) {
	for _, tt := range [][4]int64{{10, 1, 3, 3}, {1 << 60, 1 << 60, 1 << 61, 1 << 59}, {7, 0, 9, 0}, {7, 9, 9, 7}, {7, 0, 0, 0}} {
		if got := scale(tt[0], tt[1], tt[2]); got != tt[3] {
			t.Errorf("scale(%d, %d, %d) = %d, want %d", tt[0], tt[1], tt[2], got, tt[3])
		}
	}
}

// A new image with patch layers records which layers of the old image it rewrote. Their unchanged
// files are downloaded for this reason, even if another file of their component changed.
func TestRewrittenLayers(t *testing.T) {
	stale, room, kept := layer(t, "", "a=1", a1, a2), layer(t, "", "b=1", b1, b2), layer(t, "", "c=1", mkimage.File("c-1", "x"))
	news := []mkimage.Layer{kept, layer(t, "", "a=2", newA1, a2), layer(t, "", "b=1", b1, b2, d)}
	ids := open(t, false, []mkimage.Layer{stale, room, kept}).Layers
	// A record can contain layers that the image still has, and layers of older images.
	rec := &format.Layer{Components: []string{"a"}, Fingerprints: []string{"2"}, Reasons: []string{"stale", "room", "room", "odd"},
		Rewritten: []string{ids[0].DiffID.String(), ids[1].DiffID.String(), ids[2].DiffID.String(), "sha256:" + strings.Repeat("0", 64)}}
	var err error
	if news[1].History.Comment, err = plan.Comment(rec); err != nil {
		t.Fatal(err)
	}
	const why = " of the old image was rewritten because "
	for read, want := range map[bool][]string{
		true: {"1 a: changed 1+1 (stale: layer 0" + why + "its stale bytes exceeded the limit)", "2 b: same 0+2 (room: layer 1" + why + "new files needed a layer)"},
		// Without the files, only fingerprints are compared.
		false: {"1 a: changed", "2 b: same (room: layer 1" + why + "new files needed a layer)"},
	} {
		s := Compare(open(t, read, []mkimage.Layer{stale, room, kept}), open(t, read, news), "")
		if got := lines(t, s); !slices.Equal(got, want) {
			t.Errorf("read %t: got\n%s\nwant\n%s", read, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if want := []Rewritten{{0, ids[0].Descriptor.Size, patch.Stale}, {1, ids[1].Descriptor.Size, patch.Room}}; !slices.Equal(s.Rewritten, want) {
			t.Errorf("rewritten are %+v, want %+v", s.Rewritten, want)
		}
	}
}
