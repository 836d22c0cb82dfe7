package write

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/compress"
)

// For every kind of output and every compression, the image contains the tree, and its bytes do not
// depend on the number of threads.
func TestEndToEnd(t *testing.T) {
	root := sample(t)
	want := wantListing(t, root)
	for _, algorithm := range []compress.Algorithm{compress.None, compress.Gzip, compress.Zstd} {
		t.Run(string(algorithm), func(t *testing.T) {
			t.Parallel()
			var first []byte
			for _, threads := range []int{1, 2, 8} {
				name := filepath.Join(t.TempDir(), "out")
				opt := to(name)
				opt.Compression, opt.Threads = compress.Settings{Algorithm: algorithm}, threads
				report := run(t, opt, packed(t, root))
				data, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				if first == nil {
					first = data
					img := readImage(t, name)
					if got := img.listing(); got != want {
						t.Errorf("got\n%s\nwant\n%s", got, want)
					}
					checkReport(t, report, img)
				}
				var streamed bytes.Buffer
				opt.Create = toWriter(&streamed).Create
				run(t, opt, packed(t, root))
				if !bytes.Equal(data, first) || !bytes.Equal(streamed.Bytes(), first) {
					t.Errorf("%d threads: other bytes", threads)
				}
				sameBlobs(t, opt, packed(t, root), name)
			}
		})
	}
}

func checkReport(t *testing.T, r *Report, img *found) {
	t.Helper()
	var blobs int64
	for _, d := range img.manifest.Layers {
		blobs += d.Size
	}
	if r.Layers != len(img.layers) || r.Components != 4 || r.Files != 9 || r.BlobBytes != blobs || r.Duplicates != 0 || r.LeftOut != nil {
		t.Errorf("got %+v of %d layers, %d bytes", r, len(img.layers), blobs)
	}
	if img.blobs["blobs/sha256/"+strings.TrimPrefix(r.Manifest, "sha256:")] == nil {
		t.Errorf("no manifest %s", r.Manifest)
	}
}

// sameBlobs writes a layout and compares it with an archive.
func sameBlobs(t *testing.T, opt Options, stream []format.Record, archive string) {
	t.Helper()
	layout := filepath.Join(t.TempDir(), "layout") + "/"
	opt.Create = to(layout).Create
	run(t, opt, stream)
	got, want := readImage(t, layout), readImage(t, archive)
	if len(got.blobs) != len(want.blobs) {
		t.Errorf("%d files in the layout, %d in the archive", len(got.blobs), len(want.blobs))
	}
	for name, data := range want.blobs {
		if !bytes.Equal(got.blobs[name], data) {
			t.Errorf("%q differs between layout and archive", name)
		}
	}
}

// The layers are in stream order, not ordered by size.
func TestLayerOrder(t *testing.T) {
	files := map[string]string{}
	for i := range 40 {
		files[fmt.Sprintf("d%02d/f", i)] = strings.Repeat("x", (i*7919)%40*1000)
	}
	name := filepath.Join(t.TempDir(), "out")
	stream := packed(t, plant(t, files))
	run(t, to(name), stream)
	layers := readImage(t, name).manifest.Layers
	for _, r := range stream {
		if l, ok := r.(*format.Layer); ok {
			if got := layers[l.Index].Annotations[annotationComponent]; got != l.Components[0] {
				t.Errorf("layer %d is that of %s, want %s", l.Index, got, l.Components[0])
			}
		}
	}
}

// A layer that is equal to a lower layer is left out.
func TestEqualLayers(t *testing.T) {
	dir := func() *format.File { return &format.File{Path: "/d", Type: format.TypeDir, Mode: 0o755, MTime: 5} }
	stream := []format.Record{
		&format.Header{Version: 1, Stage: format.StagePack},
		&format.Layer{Index: 0, Components: []string{"a"}}, dir(),
		&format.Layer{Index: 1, Components: []string{"b"}}, dir(), &format.File{Path: "/d/e", Type: format.TypeDir},
		&format.Layer{Index: 2, Components: []string{"c"}}, dir(),
	}
	for _, algorithm := range []compress.Algorithm{compress.None, compress.Gzip} {
		for _, output := range []string{"out", "layout/"} {
			name := filepath.Join(t.TempDir(), "x", output)
			if err := os.Mkdir(filepath.Dir(strings.TrimSuffix(name, "/")), 0o755); err != nil {
				t.Fatal(err)
			}
			opt := to(name)
			opt.Compression.Algorithm = algorithm
			report := run(t, opt, stream)
			img := readImage(t, name)
			if report.Duplicates != 1 || report.Layers != 2 || len(img.layers) != 2 || !strings.Contains(img.config.History[0].Comment, `"components":["a"]`) {
				t.Errorf("%s to %s: got %+v, %d layers", algorithm, output, report, len(img.layers))
			}
		}
	}
}

// If the stream contains no file sizes, they are read from the source.
func TestUnknownSizes(t *testing.T) {
	root := sample(t)
	want, got := filepath.Join(t.TempDir(), "want"), filepath.Join(t.TempDir(), "got")
	run(t, to(want), packed(t, root))
	stream := packed(t, root)
	for _, rec := range stream {
		if f, ok := rec.(*format.File); ok && f.Type == format.TypeFile {
			f.Size = format.SizeUnknown
		}
	}
	run(t, to(got), stream)
	sameFile(t, got, want)
}

func sameFile(t *testing.T, a, b string) {
	t.Helper()
	x, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(x, y) {
		t.Errorf("%q and %q differ", a, b)
	}
}
