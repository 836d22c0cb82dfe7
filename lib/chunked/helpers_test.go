package chunked

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"chunkah/format"
	"chunkah/lib/compress"
	"chunkah/lib/layer"
)

// made maps paths to file contents. Its method is a layer.Content.
type made map[string][]byte

func (m made) WriteFile(_ context.Context, w io.Writer, f *format.File) (int64, error) {
	data := m[f.Path]
	for rest := data; len(rest) > 0; { // in pieces, as files are read
		n, err := w.Write(rest[:min(len(rest), 100_000)])
		if err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return int64(len(data)), nil
}

// noise returns n incompressible bytes that depend on the seed.
func noise(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// text returns n compressible bytes that depend on the seed.
func text(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 2))
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, "line %d of %d\n", r.IntN(1000), seed)
	}
	return b.Bytes()[:n]
}

// sample is a layer that contains every kind of entry that a marked layer can contain.
func sample() ([]*format.File, made) {
	holes := bytes.Join([][]byte{noise(1, 200_000), make([]byte, 300_000), noise(2, 70_000), make([]byte, 90_000)}, nil)
	contents := made{
		"/etc/large":    append(text(3, 1_500_000), noise(4, 3_000_000)...),
		"/etc/holes":    holes,
		"/etc/zeros":    make([]byte, 400_000),
		"/etc/small":    text(5, 1000),
		"/etc/same":     text(5, 1000),
		"/etc/same-too": text(5, 1000),
		"/etc/one":      {0},
	}
	dir := func(path string) *format.File {
		return &format.File{Path: path, Type: format.TypeDir, Mode: 0o755, MTime: 1}
	}
	files := []*format.File{dir("/"), dir("/etc")}
	add := func(f *format.File) {
		f.Size = int64(len(contents[f.Path]))
		files = append(files, f)
	}
	long := "/etc/" + string(bytes.Repeat([]byte("n"), 180)) + "é"
	add(&format.File{Path: "/etc/capable", Type: format.TypeFile, Mode: 0o4755, UID: 1, GID: 3_000_000, MTime: -86_400, Xattrs: []format.Xattr{
		{Name: "security.capability", Value: []byte("\x00\x01\xff=\n")}, {Name: "user.empty"},
	}})
	add(&format.File{Path: "/etc/empty", Type: format.TypeFile, Mode: 0o600})
	add(&format.File{Path: "/etc/holes", Type: format.TypeFile, Mode: 0o644, MTime: 1 << 35})
	add(&format.File{Path: "/etc/large", Type: format.TypeFile, Mode: 0o644, MTime: 1_700_000_000})
	add(&format.File{Path: "/etc/link", Type: format.TypeSymlink, Target: "a<b>&\"c\"", Mode: 0o777})
	add(&format.File{Path: long, Type: format.TypeFile, Mode: 0o644})
	add(&format.File{Path: "/etc/one", Type: format.TypeFile, Mode: 0o644})
	add(&format.File{Path: "/etc/same", Type: format.TypeFile, Mode: 0o644, Hardlink: 7})
	add(&format.File{Path: "/etc/same-too", Type: format.TypeFile, Mode: 0o644, Hardlink: 7})
	add(&format.File{Path: "/etc/small", Type: format.TypeFile, Mode: 0o644})
	add(&format.File{Path: "/etc/zeros", Type: format.TypeFile, Mode: 0o644})
	return files, contents
}

// build returns a layer's tar and blob.
func build(t testing.TB, files []*format.File, contents made, threads int) (tar, blob []byte, p *Positions) {
	t.Helper()
	pool := compress.NewPool(threads)
	defer pool.Close()
	var plain, out bytes.Buffer
	z, err := NewWriter(context.Background(), pool, &out, compress.Settings{Algorithm: compress.Zstd}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := layer.WriteObserved(context.Background(), io.MultiWriter(&plain, z), files, contents, z); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return plain.Bytes(), out.Bytes(), z.Positions()
}
