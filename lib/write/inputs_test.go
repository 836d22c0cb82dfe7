package write

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/format"
	"chunkah/lib/compress"
	"chunkah/lib/oci"
)

// An image on top of kept layers contains the unchanged blobs of these layers, and their diffIDs
// and history before its own. Files that a whiteout removes are missing.
func TestKeptLayers(t *testing.T) {
	base := filepath.Join(t.TempDir(), "base")
	run(t, to(base), packed(t, plant(t, map[string]string{"etc/motd": "hello", "usr/bin/tool": "1"})))
	below := readImage(t, base)

	out := filepath.Join(t.TempDir(), "out")
	opt := to(out)
	top := plant(t, map[string]string{"usr/bin/more": "22"})
	config := &oci.Config{Labels: map[string]string{"from": "base"}}
	opt.Open = func(ctx context.Context, _ *format.Header) (*Inputs, error) {
		s, err := (&Options{}).open(ctx, header(top))
		s.Config, s.Base = config, kept(below)
		return s, err
	}
	opt.Edit = func(c *oci.Config) error { return c.EditLabels([]string{"own=1"}) }
	h := header("")
	h.Sources, h.KeepLayers = []string{"oci:/base"}, int64(len(below.manifest.Layers))
	run(t, opt, []format.Record{
		h, layerRecord(0), dir("/etc"), &format.File{Path: "/etc/motd", Type: format.TypeWhiteout},
		layerRecord(1), dir("/usr"), dir("/usr/bin"), file("/usr/bin/more", 2),
	})
	img := readImage(t, out)

	n := len(below.manifest.Layers)
	for i, l := range below.manifest.Layers {
		if img.manifest.Layers[i].Digest != l.Digest || img.config.RootFS.DiffIDs[i] != below.config.RootFS.DiffIDs[i] {
			t.Errorf("layer %d is %s, not %s", i, img.manifest.Layers[i].Digest, l.Digest)
		}
	}
	if got := img.config.History[:n]; !slices.EqualFunc(got, below.config.History, func(a, b v1.History) bool { return a.Comment == b.Comment }) {
		t.Errorf("the history is %+v", got)
	}
	if len(img.layers) != n+2 || img.layers[n][1].Name != "etc/.wh.motd" {
		t.Errorf("%d layers, not %d with a whiteout", len(img.layers), n+2)
	}
	if got := img.config.Config.Labels; len(got) != 2 || len(config.Labels) != 1 {
		t.Errorf("labels %v, and the source's are %v", got, config.Labels)
	}
}

// kept returns an image's layers as kept layers of a source.
func kept(img *found) []StoredLayer {
	var list []StoredLayer
	for i, l := range img.manifest.Layers {
		blob := img.blobs["blobs/sha256/"+l.Digest.Encoded()]
		list = append(list, StoredLayer{
			Layer: oci.Layer{Descriptor: l, DiffID: img.config.RootFS.DiffIDs[i], History: img.config.History[i]},
			Open:  func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(blob)), nil },
		})
	}
	return list
}

// An OCI manifest uses OCI media types, because clients refuse Docker's media types in it.
func TestKeptMediaTypes(t *testing.T) {
	const docker = "application/vnd.docker.image.rootfs.diff.tar"
	for algorithm, mediaType := range map[compress.Algorithm]string{
		compress.None: docker, compress.Gzip: docker + ".gzip", compress.Zstd: docker + ".zstd",
	} {
		base := filepath.Join(t.TempDir(), "base")
		opt := to(base)
		opt.Compression.Algorithm = algorithm
		run(t, opt, packed(t, plant(t, map[string]string{"a/b": "hello"})))
		below := readImage(t, base)
		h := header("")
		h.Sources, h.KeepLayers = []string{"oci:/base"}, int64(len(below.manifest.Layers))

		layers := kept(below)
		for i := range layers {
			layers[i].Descriptor.MediaType = mediaType
		}
		out := filepath.Join(t.TempDir(), "out")
		opt = to(out)
		opt.Inputs = &Inputs{Base: layers}
		run(t, opt, []format.Record{h, layerRecord(0), dir("/d")})
		if got, want := readImage(t, out).manifest.Layers[0].MediaType, below.manifest.Layers[0].MediaType; got != want {
			t.Errorf("%q becomes %q, not %q", mediaType, got, want)
		}
	}
}

// Kept layers that do not match their description are refused, and no output remains.
func TestKeptLayersRefused(t *testing.T) {
	base := filepath.Join(t.TempDir(), "base")
	run(t, to(base), packed(t, plant(t, map[string]string{"a/b": "hello"})))
	below := readImage(t, base)
	h := header("")
	h.Sources, h.KeepLayers = []string{"oci:/base"}, int64(len(below.manifest.Layers))
	stream := []format.Record{h, layerRecord(0), dir("/d")}
	whiteout := []format.Record{header("/"), layerRecord(0), &format.File{Path: "/a", Type: format.TypeWhiteout}}
	for _, tc := range []struct {
		name   string
		kept   func([]StoredLayer) []StoredLayer
		stream []format.Record
		want   string
	}{
		{"fewer layers", func([]StoredLayer) []StoredLayer { return nil }, stream, "the stream keeps 1 layers of its source, but the source has only 0"},
		{"a whiteout over nothing", func([]StoredLayer) []StoredLayer { return nil }, whiteout, `"/a" is a whiteout, but there are no layers below`},
		{"too many layers", func(k []StoredLayer) []StoredLayer { return slices.Repeat(k, maxLayers) }, keeping(stream, maxLayers), "exceed the limit of 500"},
		{"short blob", reading("x"), stream, "keeping layer 0, sha256:"},
		{"another blob", reading(strings.Repeat("x", 1<<20)), stream, "content has the wrong digest"},
		{"no blob", func(k []StoredLayer) []StoredLayer {
			k[0].Open = func(context.Context) (io.ReadCloser, error) { return nil, os.ErrNotExist }
			return k
		}, stream, "keeping layer 0, sha256:"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			opt := to(filepath.Join(t.TempDir(), "out"))
			opt.Inputs = &Inputs{Base: tc.kept(kept(below))}
			fails(t, opt, tc.stream, tc.want)
		})
	}
}

// A kept layer can be large, so cancelling the run must stop copying it.
func TestKeptLayerCancelled(t *testing.T) {
	base := filepath.Join(t.TempDir(), "base")
	run(t, to(base), packed(t, plant(t, map[string]string{"a": "hello"})))
	layers := kept(readImage(t, base))
	ctx, cancel := context.WithCancelCause(context.Background())
	read := 0
	layers[0].Open = func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(readerFunc(func(p []byte) (int, error) {
			cancel(errCause)
			read++
			return 1, nil
		})), nil
	}
	opt := to(filepath.Join(t.TempDir(), "out"))
	opt.Inputs = &Inputs{Base: layers}
	h := header("")
	h.Sources = []string{"oci:/base"}
	in := source(keeping([]format.Record{h, layerRecord(0), dir("/d")}, 1))
	if _, err := complete(ctx, &in, opt); !errors.Is(err, errCause) || read != 1 {
		t.Errorf("got %v after %d reads", err, read)
	}
	empty(t, opt.SpoolDir)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// keeping changes the number of kept layers in a stream.
func keeping(stream []format.Record, n int64) []format.Record {
	h := *stream[0].(*format.Header)
	h.KeepLayers = n
	return append([]format.Record{&h}, stream[1:]...)
}

// reading replaces the content of the first kept layer.
func reading(content string) func([]StoredLayer) []StoredLayer {
	return func(k []StoredLayer) []StoredLayer {
		k[0].Open = func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }
		return k
	}
}
