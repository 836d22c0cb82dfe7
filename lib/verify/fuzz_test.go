package verify

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/image"
	"chunkah/tests/bound"
	mk "chunkah/tests/mkimage"
)

// Damaged documents are reported as faults, and so is everything that oci.ParseConfig or the reader
// of images refuses.
func FuzzDocuments(f *testing.F) {
	for _, seed := range []string{
		`{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"sha256:0","size":1,"platform":{"os":"linux"}}]}`,
		`{"schemaVersion":2,"config":{"digest":"x"},"layers":[{"annotations":{"a":null}},null]}`,
		`{"architecture":"amd64","os":"linux","created":"x","rootfs":{"type":"layers","diff_ids":[null]},"history":[{"empty_layer":true},{}],"config":{"Env":null}}`,
		`null`, `[`, `{"a":1,"a":2}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		bound.Input(t, len(data))
		index, errs := parseIndex(data)
		if index == nil && len(errs) == 0 {
			t.Error("an invalid index has no fault")
		}
		if m, errs := parseManifest(data); m == nil && len(errs) == 0 {
			t.Error("an invalid manifest has no fault")
		}
		if c, errs, _ := parseConfig(data, 1); c == nil && len(errs) == 0 {
			t.Error("an invalid config has no fault")
		}
	})
}

// store is an image in memory.
type store struct {
	blobs mk.Blobs
	top   []byte
}

func (s store) Close() error { return nil }

func (s store) Manifest(context.Context, string) ([]byte, string, error) { return s.top, "", nil }

func (s store) Blob(_ context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	data, found := s.blobs[d.Digest]
	if !found {
		return nil, fmt.Errorf("%s: %w", d.Digest, fs.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// put adds a blob and replaces mark in a document with its descriptor, since a fuzzer cannot guess
// digests.
func (s store) put(document *[]byte, mark string, data []byte) {
	d := s.blobs.Add("", data)
	*document = bytes.ReplaceAll(*document, []byte(mark), fmt.Appendf(nil, `"digest":%q,"size":%d`, d.Digest, d.Size))
	*document = bytes.ReplaceAll(*document, []byte("#"+mark[1:]), []byte(d.Digest))
}

// FuzzImage checks that two runs find the same faults, and that an image without faults can be
// opened and read, unless a note says that its files are not verified.
func FuzzImage(f *testing.F) {
	for _, tars := range [][2][]byte{
		{mk.Tar(f, mk.Dir("./"), mk.Dir("a/"), mk.File("a/f", "f"), mk.Link("a/g", "a/f")), mk.Tar(f, mk.Dir("a/"), mk.File("a/.wh.f", ""), mk.File("b", "b"))},
		{mk.Tar(f, mk.File("b", ""), mk.File("a/x", ""), mk.File("./b", "")), []byte("no tar")},
	} {
		f.Add([]byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json",@config},
"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar",@below},{"mediaType":"application/vnd.oci.image.layer.v1.tar",@above}]}`),
			[]byte(`{"architecture":"amd64","os":"linux","config":{"Env":["A=1"]},"rootfs":{"type":"layers","diff_ids":["#below","#above"]},
"history":[{"created":"2026-01-02T03:04:05Z","created_by":"chunkah"},{"created_by":"RUN x"}]}`), tars[0], tars[1])
	}
	f.Fuzz(func(t *testing.T, manifest, config, below, above []byte) {
		bound.Input(t, len(manifest)+len(config)+len(below)+len(above))
		if len(below)+len(above) > 1<<20 {
			t.Skip("larger than necessary")
		}
		s := store{blobs: mk.Blobs{}}
		for mark, data := range map[string][]byte{"@below": below, "@above": above} {
			s.put(&config, mark, data)
			s.put(&manifest, mark, data)
		}
		s.put(&manifest, "@config", config)
		s.top = manifest
		src := image.Location{Transport: &image.Transport{
			Prefix: "docker://", Syntax: image.RefOnly, Network: true,
			Open: func(context.Context, image.Location, image.Options) (image.Fetcher, error) { return s, nil },
		}, Ref: "registry.example/a"}
		opt := image.Options{MaxBytes: 16 << 20}
		r, err := Run(t.Context(), src, Options{Image: opt})
		again, againErr := Run(t.Context(), src, Options{Image: opt})
		if !reflect.DeepEqual(r, again) || fmt.Sprint(err) != fmt.Sprint(againErr) {
			t.Fatalf("got %+v, %v, and then %+v, %v", r, err, again, againErr)
		}
		if err != nil {
			t.Fatalf("unexpected error: %v", err)
		}
		if err := readWhole(t.Context(), src, opt); err != nil && len(r.Faults) == 0 && !slices.ContainsFunc(r.Notes, isUnread) {
			t.Errorf("no fault, and: %v\n%s\n%s", err, manifest, config)
		}
	})
}

// isUnread reports whether a note says that the files of an image are not verified.
func isUnread(note Fault) bool { return strings.HasSuffix(note.What, "not its files") }

// readWhole reads an image as a source.
func readWhole(ctx context.Context, src image.Location, opt image.Options) error {
	img, err := image.Open(ctx, src, opt)
	if err != nil {
		return err
	}
	defer img.Close()
	tree, err := image.Flatten(ctx, img, image.FlattenOptions{MaxBytes: opt.MaxBytes})
	if err != nil {
		return err
	}
	return tree.Close()
}
