package verify

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/chunked"
	"chunkah/lib/compress"
	"chunkah/lib/layer"
)

// contents is a layer.Content that has the same text for every file.
type contents string

func (c contents) WriteFile(_ context.Context, w io.Writer, _ *format.File) (int64, error) {
	n, err := io.WriteString(w, string(c))
	return int64(n), err
}

// chunkedLayer returns the tar and the blob of a layer with one file, and the blob's annotations.
func chunkedLayer(t *testing.T, text string) (tar, blob []byte, annotations map[string]string) {
	t.Helper()
	pool := compress.NewPool(1)
	defer pool.Close()
	var plain, packed bytes.Buffer
	z, err := chunked.NewWriter(t.Context(), pool, &packed, compress.Settings{Algorithm: compress.Zstd}, 0)
	if err != nil {
		t.Fatal(err)
	}
	files := []*format.File{
		{Path: "/", Type: format.TypeDir, Mode: 0o755}, {Path: "/a", Type: format.TypeFile, Mode: 0o644, Size: int64(len(text))},
	}
	if err := layer.WriteObserved(t.Context(), io.MultiWriter(&plain, z), files, contents(text), z); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return plain.Bytes(), packed.Bytes(), z.Positions().Annotations()
}

// The tables of zstd:chunked layers must describe the layers. A layer without marks needs no
// tables.
func TestTablesOfChunks(t *testing.T) {
	tar, blob, annotations := chunkedLayer(t, "one")
	_, other, ofOther := chunkedLayer(t, "two")
	p, err := chunked.FromAnnotations(annotations, int64(len(blob)))
	if err != nil {
		t.Fatal(err)
	}
	swapped := append(bytes.Clone(blob[:p.Start()]), other[p.Start():]...)
	for name, tt := range map[string]struct {
		blob        []byte
		annotations map[string]string
		want        string
	}{
		"right":                     {blob, annotations, ""},
		"no marks":                  {swapped, nil, ""},
		"tables of another":         {swapped, ofOther, `entry "a"`},
		"annotations of another":    {blob, ofOther, "table"},
		"annotations that lack one": {blob, map[string]string{"io.github.containers.zstd-chunked.manifest-checksum": annotations["io.github.containers.zstd-chunked.manifest-checksum"]}, "numbers"},
	} {
		r := verify(t, parts{tars: [][]byte{tar}, blobs: [][]byte{tt.blob}, manifest: func(m document) {
			l := at(m, "layers", 0).(document)
			l["mediaType"] = "application/vnd.oci.image.layer.v1.tar+zstd"
			if tt.annotations != nil {
				list := document{}
				for key, value := range tt.annotations {
					list[key] = value
				}
				l["annotations"] = list
			}
		}})
		switch {
		case tt.want == "" && len(r.Faults) > 0:
			t.Errorf("%s: %v", name, r.Faults)
		case tt.want != "" && (len(r.Faults) != 1 || !strings.Contains(r.Faults[0].What, tt.want) || !strings.HasPrefix(r.Faults[0].Where, "layer 0")):
			t.Errorf("%s: %v, want one with %q", name, r.Faults, tt.want)
		}
	}
}
