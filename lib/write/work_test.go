package write

import (
	"io"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/compress"
	"chunkah/lib/metrics"
	"chunkah/lib/oci"
)

// network is an archive that accepts blobs like a registry. The second blob is sent twice.
type network struct {
	oci.Destination
	seen func()
	n    int
}

func (d *network) Traits() oci.Traits { return oci.Traits{Access: oci.Network} }

func (d *network) Blob(desc v1.Descriptor, hint oci.Hint, write func(io.Writer) error) error {
	d.seen()
	if d.n++; d.n == 2 { // the first attempt fails
		if err := write(io.Discard); err != nil {
			return err
		}
	}
	return d.Destination.Blob(desc, hint, write)
}

// The total work is known from the start, and all of it is done at the end, for each kind of
// destination, with and without layers from the previous image.
func TestWorkIsKnown(t *testing.T) {
	root := sample(t)
	for _, algorithm := range []compress.Algorithm{compress.None, compress.Gzip} {
		first := filepath.Join(t.TempDir(), "first")
		opt := to(first)
		opt.Compression.Algorithm = algorithm
		run(t, opt, packed(t, root))
		previous := map[digest.Digest]StoredLayer{}
		for _, k := range kept(readImage(t, first))[1:] {
			previous[k.DiffID] = k
		}
		for _, place := range []string{"archive", "layout/", "network", "stream", "several"} {
			for _, layers := range []map[digest.Digest]StoredLayer{nil, previous} {
				measured := metrics.Start("test")
				work := measured.Stage("write").Work()
				opt := to(t.TempDir() + "/" + place)
				create := opt.Create
				totals := map[int64]bool{}
				switch place {
				case "network":
					opt.Create = func() (oci.Destination, error) {
						d, err := create()
						return &network{Destination: d, seen: func() { totals[measured.Status().Expected] = true }}, err
					}
				case "stream":
					opt = toWriter(io.Discard)
				case "several":
					second := to(t.TempDir() + "/layout/")
					opt.Create = func() (oci.Destination, error) {
						a, err := create()
						if err != nil {
							return nil, err
						}
						b, err := second.Create()
						return oci.NewSeveral([]oci.Output{{Destination: a}, {Destination: b}}), err
					}
				}
				opt.Compression.Algorithm, opt.Reusable, opt.Work, opt.SpoolDir = algorithm, layers, work, t.TempDir()
				run(t, opt, packed(t, root))
				end := measured.Status()
				totals[end.Expected] = true
				if end.Done != end.Expected || end.Expected == 0 || len(totals) != 1 {
					t.Errorf("%s to %s with %d layers of before: %d of %d bytes, totals %v", algorithm, place, len(layers), end.Done, end.Expected, totals)
				}
			}
		}
	}
}
