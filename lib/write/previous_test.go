package write

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/compress"
	"chunkah/lib/oci"
)

// Layers that the previous image has are taken from it, not compressed again, and
// the image is the same.
func TestPreviousLayersAreTaken(t *testing.T) {
	root := sample(t)
	first := filepath.Join(t.TempDir(), "first")
	opt := to(first)
	opt.Compression = compress.Settings{Algorithm: compress.Gzip}
	run(t, opt, packed(t, root))
	img := readImage(t, first)

	previous := map[digest.Digest]Kept{}
	for i, k := range kept(img) {
		if i > 0 { // one is new
			previous[k.DiffID] = k
		}
	}
	for _, name := range []string{"archive", "layout/"} {
		again := t.TempDir() + "/" + name
		opt := to(again)
		opt.Compression, opt.Previous = compress.Settings{Algorithm: compress.Gzip}, previous
		report := run(t, opt, packed(t, root))
		if report.Reused != len(previous) || report.ReusedBytes == 0 {
			t.Errorf("%s: %d layers and %d bytes are reused, not %d layers", name, report.Reused, report.ReusedBytes, len(previous))
		}
		if got := readImage(t, again); string(got.blobs["index.json"]) != string(img.blobs["index.json"]) {
			t.Errorf("%s: another image comes of it", name)
		}
	}
}

// A previous image whose blobs are not what it says spoils nothing.
func TestPreviousLayersAreChecked(t *testing.T) {
	root := sample(t)
	first := filepath.Join(t.TempDir(), "first")
	opt := to(first)
	opt.Compression = compress.Settings{Algorithm: compress.Zstd}
	run(t, opt, packed(t, root))
	list := kept(readImage(t, first))
	opt = to(filepath.Join(t.TempDir(), "again"))
	opt.Compression = compress.Settings{Algorithm: compress.Zstd}
	opt.Previous = map[digest.Digest]Kept{list[0].DiffID: list[0]}
	k := opt.Previous[list[0].DiffID]
	k.Open = func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(make([]byte, k.Descriptor.Size))), nil
	}
	opt.Previous[list[0].DiffID] = k
	fails(t, opt, packed(t, root), "it is not what its digest says")
}

// A destination that takes several blobs at once gets them so.
func TestConcurrentDestination(t *testing.T) {
	d := &meeting{want: 3, met: make(chan struct{})}
	opt := Options{
		SpoolDir: t.TempDir(), Compression: compress.Settings{Algorithm: compress.Gzip},
		Create: func(oci.Options) (oci.Destination, error) { return d, nil },
	}
	run(t, opt, packed(t, sample(t)))
	if d.most != d.want {
		t.Errorf("%d blobs at once at most, not %d", d.most, d.want)
	}
}

// meeting is a destination each of whose layers waits until so many are there.
type meeting struct {
	mu        sync.Mutex
	want      int
	now, most int
	met       chan struct{}
}

func (d *meeting) AtOnce() int { return d.want }

func (d *meeting) Blob(desc v1.Descriptor, write func(io.Writer) error) error {
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
	case <-time.After(time.Minute): // they never meet: the test says so
	}
	defer func() {
		d.mu.Lock()
		d.now--
		d.mu.Unlock()
	}()
	return write(io.Discard)
}

func (d *meeting) Commit([]byte) error     { return nil }
func (d *meeting) Abort() error            { return nil }
func (d *meeting) Occupies() []os.FileInfo { return nil }
