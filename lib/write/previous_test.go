package write

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/cache"
	"chunkah/lib/compress"
	"chunkah/lib/oci"
	"chunkah/lib/proofs"
)

// Layers that are in the previous image are not compressed again, and the image is the same.
func TestPreviousLayersAreTaken(t *testing.T) {
	root := sample(t)
	first := filepath.Join(t.TempDir(), "first")
	opt := to(first)
	opt.Compression = compress.Settings{Algorithm: compress.Gzip}
	run(t, opt, packed(t, root))
	img := readImage(t, first)

	previous := map[digest.Digest]StoredLayer{}
	for i, k := range kept(img) {
		if i > 0 { // the first layer is new
			previous[k.DiffID] = k
		}
	}
	for _, name := range []string{"archive", "layout/"} {
		again := t.TempDir() + "/" + name
		opt := to(again)
		opt.SpoolDir = t.TempDir()
		opt.Compression, opt.Reusable = compress.Settings{Algorithm: compress.Gzip}, previous
		report := run(t, opt, packed(t, root))
		if report.Reused != len(previous) || report.ReusedBytes == 0 {
			t.Errorf("%s: %d layers and %d bytes are reused, not %d layers", name, report.Reused, report.ReusedBytes, len(previous))
		}
		if got := readImage(t, again); string(got.blobs["index.json"]) != string(img.blobs["index.json"]) {
			t.Errorf("%s: the image differs", name)
		}
	}
}

// A previous image cannot change the result. Blobs that have a wrong digest or diffID, are
// unreadable or never end are refused and reported, and the image is the same as without the
// previous image. This is also true with a cache.
func TestPreviousLayersAreProven(t *testing.T) {
	for _, algorithm := range []compress.Algorithm{compress.Gzip, compress.Zstd} {
		root := sample(t)
		first := filepath.Join(t.TempDir(), "first")
		settings := compress.Settings{Algorithm: algorithm}
		opt := to(first)
		opt.Compression = settings
		run(t, opt, packed(t, root))
		want := readImage(t, first)
		list := kept(want)
		reads := func(in func() io.Reader) func(context.Context) (io.ReadCloser, error) {
			return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(in()), nil }
		}
		slices.SortFunc(list, func(a, b StoredLayer) int { return cmp.Compare(a.Descriptor.Size, b.Descriptor.Size) })
		victim, other := list[0], list[1]
		forged := other
		forged.DiffID = victim.DiffID
		damaged := victim
		damaged.Open = reads(func() io.Reader { return bytes.NewReader(make([]byte, victim.Descriptor.Size)) })
		shut := victim
		shut.Open = func(context.Context) (io.ReadCloser, error) { return nil, errors.New("no such blob") }
		longer := victim
		longer.Descriptor.Size = 1 << 40
		endless := victim
		endless.Open = reads(func() io.Reader { f, _ := os.Open("/dev/zero"); return f })
		short := victim
		short.Open = reads(func() io.Reader { return strings.NewReader("") })
		for name, k := range map[string]StoredLayer{
			"does not decompress to the layer": forged, "of the previous image": damaged, "no such blob": shut, "compresses to at most": longer,
			"does not match its digest": endless, "is 0 bytes": short,
		} {
			for _, store := range []*cache.Cache{nil, newCache(t)} {
				out := filepath.Join(t.TempDir(), "again")
				opt := to(out)
				opt.SpoolDir, opt.Compression, opt.Cache = t.TempDir(), settings, store
				opt.Reusable = map[digest.Digest]StoredLayer{victim.DiffID: k}
				report := run(t, opt, packed(t, root))
				if got := readImage(t, out); !bytes.Equal(got.blobs["index.json"], want.blobs["index.json"]) {
					t.Errorf("%s: the image differs", name)
				}
				if report.Reused != 0 || len(report.Refused) != 1 || !strings.Contains(report.Refused[0].Error(), name) {
					t.Errorf("%s: %d are reused, refused are %v", name, report.Reused, report.Refused)
				}
			}
		}
	}
}

// A blob that was proven before is not decompressed again, and is not read if the destination
// already contains it. A proof is valid only for one layer and size.
func TestProvenLayersAreNotRead(t *testing.T) {
	root := sample(t)
	first := filepath.Join(t.TempDir(), "first")
	record := filepath.Join(t.TempDir(), "proven")
	opt := to(first)
	opt.Compression, opt.Proofs, opt.Record = compress.Settings{Algorithm: compress.Gzip}, proofs.Open(record), true
	run(t, opt, packed(t, root))
	list := kept(readImage(t, first))
	reads := 0
	previous := map[digest.Digest]StoredLayer{}
	for _, k := range list {
		open := k.Open
		k.Open = func(ctx context.Context) (io.ReadCloser, error) {
			in, err := open(ctx)
			return &readOnce{ReadCloser: in, reads: &reads}, err
		}
		previous[k.DiffID] = k
	}
	layout := filepath.Join(t.TempDir(), "layout")
	for i, want := range []int{len(list), 0} {
		opt := to(layout)
		opt.Create = func() (oci.Destination, error) { return oci.OpenLayout(layout, "", oci.Options{}) }
		opt.SpoolDir, opt.Compression = t.TempDir(), compress.Settings{Algorithm: compress.Gzip}
		opt.Reusable, opt.Proofs, opt.Record = previous, proofs.Open(record), true
		report := run(t, opt, packed(t, root))
		if report.Reused != len(list) || reads != want {
			t.Errorf("build %d: %d layers of %d are reused, %d were read", i, report.Reused, len(list), reads)
		}
		reads = 0
	}
	forged, longer := list[1], list[0]
	forged.DiffID = list[0].DiffID
	longer.Descriptor.Size++
	for name, k := range map[string]StoredLayer{"another layer": forged, "another size": longer} {
		opt := to(filepath.Join(t.TempDir(), "out"))
		opt.SpoolDir, opt.Compression = t.TempDir(), compress.Settings{Algorithm: compress.Gzip}
		opt.Reusable, opt.Proofs = map[digest.Digest]StoredLayer{k.DiffID: k}, proofs.Open(record)
		if report := run(t, opt, packed(t, root)); report.Reused != 0 || len(report.Refused) != 1 {
			t.Errorf("%s: %d are reused, refused are %v", name, report.Reused, report.Refused)
		}
	}
}

// readOnce counts how many readers of this type are read.
type readOnce struct {
	io.ReadCloser
	reads *int
	read  bool
}

func (r *readOnce) Read(p []byte) (int, error) {
	if !r.read {
		*r.reads, r.read = *r.reads+1, true
	}
	return r.ReadCloser.Read(p)
}

// A proven blob that is missing or cannot be opened is compressed again, and the user is warned.
func TestProvenLayerThatCannotBeOpened(t *testing.T) {
	root := sample(t)
	dir := t.TempDir()
	opt := to(filepath.Join(dir, "first"))
	settings, record := compress.Settings{Algorithm: compress.Gzip}, filepath.Join(dir, "proven")
	opt.Compression, opt.Proofs, opt.Record = settings, proofs.Open(record), true
	first := run(t, opt, packed(t, root))
	gone := kept(readImage(t, filepath.Join(dir, "first")))[0]
	gone.Open = func(context.Context) (io.ReadCloser, error) { return nil, os.ErrNotExist }
	for _, output := range []string{"archive", "layout/"} {
		opt := to(filepath.Join(t.TempDir(), output))
		opt.SpoolDir, opt.Compression, opt.Proofs = t.TempDir(), settings, proofs.Open(record)
		opt.Reusable = map[digest.Digest]StoredLayer{gone.DiffID: gone}
		report := run(t, opt, packed(t, root))
		if report.Reused != 0 || len(report.Refused) != 1 || report.Manifest != first.Manifest {
			t.Errorf("%s: %d are reused, refused are %v, the manifest is %s", output, report.Reused, report.Refused, report.Manifest)
		}
	}
}

func newCache(t *testing.T) *cache.Cache {
	t.Helper()
	c, err := cache.Open(filepath.Join(t.TempDir(), "cache"), 0)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// If a destination accepts several blobs at the same time, several blobs are written at the same
// time.
func TestConcurrentDestination(t *testing.T) {
	d := &meeting{want: 3, met: make(chan struct{})}
	opt := Options{
		SpoolDir: t.TempDir(), Compression: compress.Settings{Algorithm: compress.Gzip},
		Create: func() (oci.Destination, error) { return d, nil },
	}
	run(t, opt, packed(t, sample(t)))
	if d.most != d.want {
		t.Errorf("%d blobs at once at most, not %d", d.most, d.want)
	}
}

// meeting is a destination that blocks each layer until a number of layers have arrived.
type meeting struct {
	mu        sync.Mutex
	want      int
	now, most int
	met       chan struct{}
}

func (d *meeting) Traits() oci.Traits {
	return oci.Traits{Access: oci.Network, Parallel: d.want}
}

func (d *meeting) Blob(desc v1.Descriptor, _ oci.Hint, write func(io.Writer) error) error {
	if desc.MediaType == v1.MediaTypeImageConfig || desc.MediaType == v1.MediaTypeImageManifest {
		return write(io.Discard)
	}
	d.mu.Lock()
	d.now++
	if d.most = max(d.most, d.now); d.most == d.want {
		select {
		case <-d.met:
		default:
			close(d.met)
		}
	}
	d.mu.Unlock()
	select {
	case <-d.met:
	case <-time.After(time.Minute): // the layers never meet, and the test fails
	}
	defer func() {
		d.mu.Lock()
		d.now--
		d.mu.Unlock()
	}()
	return write(io.Discard)
}

func (d *meeting) NewBlob(int64, bool) (oci.BlobWriter, error) { return nil, nil }
func (d *meeting) Finish([]byte) ([]oci.Finished, error)       { return nil, nil }
func (d *meeting) Commit() error                               { return nil }
func (d *meeting) Written(m digest.Digest) []digest.Digest     { return []digest.Digest{m} }
func (d *meeting) Discard() error                              { return nil }
