package write

import (
	"bytes"
	"context"
	"io"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"chunkah/lib/cache"
	"chunkah/lib/chunked"
	"chunkah/lib/compress"
	"chunkah/lib/proofs"
)

// chunkedTo returns options for a zstd:chunked image.
func chunkedTo(t *testing.T, name string) Options {
	t.Helper()
	opt := to(name)
	opt.SpoolDir = t.TempDir()
	opt.Compression, opt.Chunked = compress.Settings{Algorithm: compress.Zstd}, true
	return opt
}

// Layers are marked as zstd:chunked unless clients would create different files from them, and the
// annotations are correct.
func TestChunkedLayers(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out")
	report := run(t, chunkedTo(t, name), packed(t, sample(t)))
	if len(report.Unmarked) != 1 || report.Unmarked[0].Path != "/etc/\xff" {
		t.Errorf("unmarked are %q, want only the layer with a name that is not UTF-8", report.Unmarked)
	}
	marked := 0
	for _, k := range kept(readImage(t, name)) {
		if !chunked.Marked(k.Descriptor.Annotations) {
			continue
		}
		marked++
		blob := readKept(t, k)
		p, err := chunked.FromAnnotations(k.Descriptor.Annotations, int64(len(blob)))
		if err != nil {
			t.Fatal(err)
		}
		tables, err := chunked.ReadTables(p, bytes.NewReader(blob[p.Start():]))
		if err != nil {
			t.Fatal(err)
		}
		sum := digest.SHA256.Digester()
		if err := tables.Check(bytes.NewReader(blob), sum.Hash()); err != nil || sum.Digest() != k.DiffID {
			t.Errorf("the tables of layer %s: %v", k.DiffID, err)
		}
	}
	if marked != report.Layers-1 {
		t.Errorf("%d of %d layers are marked", marked, report.Layers)
	}
	if _, err := (Options{Chunked: true, Compression: compress.Settings{Algorithm: compress.Gzip}}).withDefaults(); err == nil {
		t.Error("gzip can be zstd:chunked")
	}
}

func readKept(t *testing.T, k StoredLayer) []byte {
	t.Helper()
	in, err := k.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	blob, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	return blob
}

// A cache does not change the image, whether it is cold, warm, damaged or filled with plain zstd.
func TestChunkedFromCache(t *testing.T) {
	root, dir := sample(t), filepath.Join(t.TempDir(), "cache")
	opt := chunkedTo(t, "")
	want, _ := cachedBuild(t, opt, root)
	store, err := cache.Open(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	opt.Cache = store
	plain := opt
	plain.Chunked = false
	cachedBuild(t, plain, root)
	for _, step := range []struct {
		name   string
		before func()
		reused int // 1 if only the layer that is never marked is reused
	}{
		{"only plain", func() {}, 1},
		{"warm", func() {}, 4},
		{"damaged", func() { damage(t, dir) }, 0},
		{"warm after it", func() {}, 4},
		{"of other layers", func() { swap(t, dir) }, 0},
	} {
		step.before()
		got, report := cachedBuild(t, opt, root)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: other bytes", step.name)
		}
		if report.Reused != step.reused {
			t.Errorf("%s: %d of %d layers came from the cache, want %d", step.name, report.Reused, report.Layers, step.reused)
		}
	}
}

// Layers from the previous image keep their annotations, for any destination, with and without a
// cache, and whether or not the blob is read.
func TestChunkedFromPrevious(t *testing.T) {
	root, first := sample(t), filepath.Join(t.TempDir(), "first")
	record := filepath.Join(t.TempDir(), "proven")
	opt := chunkedTo(t, first)
	opt.Proofs, opt.Record = proofs.Open(record), true
	run(t, opt, packed(t, root))
	want := readImage(t, first)
	previous := map[digest.Digest]StoredLayer{}
	for _, k := range kept(want) {
		previous[k.DiffID] = k
	}
	for name, change := range map[string]func(*Options){
		"read":          func(*Options) {},
		"into a cache":  func(o *Options) { o.Cache = newCache(t) },
		"proven":        func(o *Options) { o.Proofs = proofs.Open(record) },
		"proven, cache": func(o *Options) { o.Cache, o.Proofs = newCache(t), proofs.Open(record) },
	} {
		for _, place := range []string{"archive", "layout/"} {
			again := t.TempDir() + "/" + place
			opt := chunkedTo(t, again)
			opt.Reusable = previous
			change(&opt)
			report := run(t, opt, packed(t, root))
			if report.Reused != report.Layers || len(report.Refused) > 0 {
				t.Errorf("%s, %s: %d of %d layers are reused, refused are %v", name, place, report.Reused, report.Layers, report.Refused)
			}
			if got := readImage(t, again); !bytes.Equal(got.blobs["index.json"], want.blobs["index.json"]) {
				t.Errorf("%s, %s: the image differs", name, place)
			}
		}
	}
	plain := chunkedTo(t, filepath.Join(t.TempDir(), "plain"))
	plain.Chunked, plain.Reusable = false, previous
	if report := run(t, plain, packed(t, root)); report.Reused != 1 || len(report.Refused) > 0 {
		t.Errorf("plain zstd: %d layers are reused, want only the one that is not marked", report.Reused)
	}
}

// Blobs with wrong tables are refused even if they decompress to the layer, because clients would
// make files from the tables.
func TestChunkedTablesAreProven(t *testing.T) {
	root, dir := sample(t), t.TempDir()
	before := run(t, chunkedTo(t, dir+"/first"), packed(t, root))
	want := readImage(t, dir+"/first")
	plain := chunkedTo(t, dir+"/plain")
	plain.Chunked = false
	run(t, plain, packed(t, root))
	unmarked := map[digest.Digest]StoredLayer{}
	for _, k := range kept(readImage(t, dir+"/plain")) {
		unmarked[k.DiffID] = k
	}
	for _, k := range kept(want) {
		if !chunked.Marked(k.Descriptor.Annotations) {
			continue
		}
		blob := readKept(t, k)
		p, err := chunked.FromAnnotations(k.Descriptor.Annotations, int64(len(blob)))
		if err != nil {
			t.Fatal(err)
		}
		other := blob
		for _, o := range kept(want) {
			if o.DiffID != k.DiffID && chunked.Marked(o.Descriptor.Annotations) {
				other = readKept(t, o)
			}
		}
		ofOther, err := chunked.Read(bytes.NewReader(other), int64(len(other)))
		if err != nil {
			t.Fatal(err)
		}
		forged := func(blob []byte, annotations map[string]string) StoredLayer {
			k := k
			k.Descriptor.Digest, k.Descriptor.Size = digest.FromBytes(blob), int64(len(blob))
			k.Descriptor.Annotations = maps.Clone(annotations)
			k.Open = func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(blob)), nil }
			return k
		}
		swapped := append(bytes.Clone(blob[:p.Start()]), other[ofOther.Start():]...)
		for name, f := range map[string]StoredLayer{
			"no tables":               forged(readKept(t, unmarked[k.DiffID]), k.Descriptor.Annotations),
			"tables of another layer": forged(swapped, k.Descriptor.Annotations),
			"cut tables":              forged(blob[:len(blob)-1], k.Descriptor.Annotations),
		} {
			for _, store := range []*cache.Cache{nil, newCache(t)} {
				out := filepath.Join(t.TempDir(), "again")
				opt := chunkedTo(t, out)
				opt.Reusable, opt.Cache = map[digest.Digest]StoredLayer{k.DiffID: f}, store
				report := run(t, opt, packed(t, root))
				if report.Reused != 0 || len(report.Refused) != 1 || !strings.Contains(report.Refused[0].Error(), "tables") {
					t.Errorf("%s: %d are reused, refused are %v", name, report.Reused, report.Refused)
				}
				if got := readImage(t, out); !bytes.Equal(got.blobs["index.json"], want.blobs["index.json"]) {
					t.Errorf("%s: the image differs", name)
				}
			}
		}
		lied := maps.Clone(k.Descriptor.Annotations)
		maps.Copy(lied, ofOther.Annotations())
		// Wrong annotations for correct tables are replaced.
		opt := chunkedTo(t, filepath.Join(t.TempDir(), "lied"))
		opt.Reusable = map[digest.Digest]StoredLayer{k.DiffID: forged(blob, lied)}
		if report := run(t, opt, packed(t, root)); report.Reused != 1 || report.Manifest != before.Manifest {
			t.Errorf("annotations that lie: %d are reused, the manifest is %s", report.Reused, report.Manifest)
		}
	}
}
