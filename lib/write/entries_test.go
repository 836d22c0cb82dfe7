package write

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"

	"chunkah/format"
	"chunkah/lib/chunked"
	"chunkah/lib/plan"
	"chunkah/lib/proofs"
)

// A layer that is kept from the previous image keeps its zstd:chunked tables only if this user has
// verified them, or verifies them now. Other annotations do not get into the new image.
func TestTablesOfKeptLayersAreProven(t *testing.T) {
	root, first := sample(t), filepath.Join(t.TempDir(), "first")
	record := filepath.Join(t.TempDir(), "proven")
	opt := chunkedTo(t, first)
	opt.Proofs, opt.Record = proofs.Open(record), true
	run(t, opt, packed(t, root))
	var marked []StoredLayer
	for _, k := range kept(readImage(t, first)) {
		if chunked.Marked(k.Descriptor.Annotations) {
			marked = append(marked, k)
		}
	}
	k := marked[0]
	other, err := chunked.Read(bytes.NewReader(readKept(t, marked[1])), marked[1].Descriptor.Size)
	if err != nil {
		t.Fatal(err)
	}
	blob := readKept(t, k)
	own, err := chunked.FromAnnotations(k.Descriptor.Annotations, k.Descriptor.Size)
	if err != nil {
		t.Fatal(err)
	}
	swapped := append(bytes.Clone(blob[:own.Start()]), readKept(t, marked[1])[other.Start():]...)
	none := filepath.Join(t.TempDir(), "none")
	for name, c := range map[string]struct {
		blob        []byte
		annotations map[string]string
		record      string
		trust       bool
		reads, lost int
	}{
		"proven":                    {blob, k.Descriptor.Annotations, record, false, 1, 0},
		"right":                     {blob, k.Descriptor.Annotations, none, false, 2, 0},
		"wrong annotations":         {blob, other.Annotations(), record, false, 2, 0},
		"wrong tables":              {swapped, k.Descriptor.Annotations, record, false, 2, 1},
		"wrong tables, but trusted": {swapped, k.Descriptor.Annotations, record, true, 1, 0},
		"not marked":                {blob, nil, record, false, 1, 0},
	} {
		reads := 0
		kept := k
		kept.Descriptor.Digest, kept.Descriptor.Size = digest.FromBytes(c.blob), int64(len(c.blob))
		kept.Descriptor.Annotations = maps.Clone(c.annotations)
		if kept.Descriptor.Annotations == nil {
			kept.Descriptor.Annotations = map[string]string{}
		}
		kept.Descriptor.Annotations["containerd.io/snapshot/stargz/toc.digest"] = "sha256:0"
		kept.Descriptor.Annotations[annotationComponent] = "own"
		kept.Descriptor.URLs, kept.Descriptor.Data = []string{"http://registry.example/"}, []byte("x")
		kept.Open = func(context.Context) (io.ReadCloser, error) {
			reads++
			return io.NopCloser(bytes.NewReader(c.blob)), nil
		}
		out := filepath.Join(t.TempDir(), "out")
		opt := chunkedTo(t, out)
		opt.Proofs, opt.TrustPrevious = proofs.Open(c.record), c.trust
		opt.OpenPrevious = func(context.Context, string) (map[digest.Digest]StoredLayer, io.Closer, error) {
			return map[digest.Digest]StoredLayer{k.DiffID: kept}, io.NopCloser(nil), nil
		}
		h := header("")
		h.Previous = "oci:/first"
		report := run(t, opt, []format.Record{h, &format.Layer{DiffID: k.DiffID.String()}, dir("/a"), layerRecord(1), dir("/b")})
		want := map[string]string{annotationComponent: "own"}
		if stability, has := c.annotations[annotationStability]; has {
			want[annotationStability] = stability
		}
		if c.lost == 0 && c.annotations != nil {
			maps.Copy(want, chunked.Of(k.Descriptor.Annotations))
		}
		got := readImage(t, out).manifest.Layers[0]
		if !maps.Equal(got.Annotations, want) || got.URLs != nil || got.Data != nil {
			t.Errorf("%s: the descriptor is %+v, want the annotations %v", name, got, want)
		}
		if reads != c.reads || len(report.LostTables) != c.lost {
			t.Errorf("%s: the blob was read %d times, want %d; lost tables: %v", name, reads, c.reads, report.LostTables)
		}
	}
}

// Only correct digests of entries are recorded in the proofs and in the history.
func TestEntriesAreProven(t *testing.T) {
	root := plant(t, map[string]string{"a": "first", "b": "second"})
	files := func(a string) []*format.File {
		list := []*format.File{dir("/"), file("/a", 5), file("/b", 6)}
		list[1].Digest, list[2].Digest = format.NewDigest(sha256.Sum256([]byte(a))), format.NewDigest(sha256.Sum256([]byte("second")))
		return list
	}
	entries := func(files []*format.File) string {
		text, err := plan.EntriesOf(slices.Values(files))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for name, c := range map[string]struct {
		files   []*format.File
		entries string
		proven  bool
	}{
		"true":              {files("first"), entries(files("first")), true},
		"none":              {files("first"), "", false},
		"of other files":    {files("first"), entries(files("other")), false},
		"of a false digest": {files("other"), entries(files("other")), false},
	} {
		for _, compressed := range []bool{false, true} {
			out := filepath.Join(t.TempDir(), "out")
			opt := to(out)
			if compressed {
				opt = chunkedTo(t, out)
			}
			opt.Proofs = proofs.Open(filepath.Join(t.TempDir(), "proven"))
			stream := []format.Record{header(root), &format.Layer{Entries: c.entries}}
			for _, f := range c.files {
				stream = append(stream, f)
			}
			run(t, opt, stream)
			img := readImage(t, out)
			diffID, d := img.config.RootFS.DiffIDs[0], img.manifest.Layers[0]
			if got := opt.Proofs.HasEntries(diffID, digest.Digest(entries(c.files))); got != c.proven {
				t.Errorf("%s: recorded is %t", name, got)
			}
			if got := opt.Proofs.Has(diffID, d.Digest, d.Size); got != (c.proven && compressed) {
				t.Errorf("%s: the blob is recorded: %t", name, got)
			}
			rec, _ := plan.FromHistory(img.config.History[0])
			if want := map[bool]string{true: c.entries}[c.proven]; rec == nil || rec.Entries != want {
				t.Errorf("%s: the history contains %+v", name, rec)
			}
		}
	}
}
