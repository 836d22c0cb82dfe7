package chunked

import (
	"bytes"
	"io"
	"testing"

	"chunkah/format"
	"chunkah/lib/compress"
	"chunkah/tests/bound"
)

// FuzzTables reads arbitrary blobs. If the tables in a blob pass the check, they describe the bytes
// that every zstd reader returns.
func FuzzTables(f *testing.F) {
	root := &format.File{Path: "/", Type: format.TypeDir, Mode: 0o755}
	_, small, _ := build(f, []*format.File{root, {Path: "/a", Type: format.TypeFile, Size: 1}}, made{"/a": {1}}, 1)
	f.Add(small)
	_, two, _ := build(f, []*format.File{root, {Path: "/a", Type: format.TypeFile, Size: 140_000}}, made{"/a": text(1, 140_000)}, 1)
	f.Add(two)
	f.Add(small[len(small)-footerSize-skippableSize:])
	f.Fuzz(func(t *testing.T, blob []byte) {
		bound.Memory(t, 4*maxWindow+len(blob)<<12) // decoders with the largest window
		if tables, err := Read(bytes.NewReader(blob), int64(len(blob))); err == nil {
			_, _ = tables.Files() // the entries are not verified
		}
		var got bytes.Buffer
		if check(blob, &got) != nil {
			return
		}
		in, err := compress.Zstd.NewReader(bytes.NewReader(blob))
		if err != nil {
			t.Fatalf("right tables of a blob that cannot be read: %v", err)
		}
		defer in.Close()
		if want, err := io.ReadAll(in); err != nil || !bytes.Equal(want, got.Bytes()) {
			t.Fatalf("right tables of another tar: %v", err)
		}
	})
}
