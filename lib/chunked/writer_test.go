package chunked

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"

	"chunkah/format"
	"chunkah/lib/compress"
)

// Every zstd reader reads the blob as the tar, and each chunk can be read separately.
func TestBlobIsTarAndChunks(t *testing.T) {
	files, contents := sample()
	tar, blob, p := build(t, files, contents, 2)
	in, err := compress.Zstd.NewReader(bytes.NewReader(blob))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if got, err := io.ReadAll(in); err != nil || !bytes.Equal(got, tar) {
		t.Fatalf("the blob is another tar, or fails: %v", err)
	}
	tables, err := Read(bytes.NewReader(blob), int64(len(blob)))
	if err != nil {
		t.Fatal(err)
	}
	if tables.Digest != p.Digest {
		t.Errorf("the table has the digest %s, and its writer says %s", tables.Digest, p.Digest)
	}
	chunks, err := tables.Chunks()
	if err != nil {
		t.Fatal(err)
	}
	got := made{}
	holes := 0
	for _, c := range chunks {
		z, err := zstd.NewReader(bytes.NewReader(blob[c.Start:c.End]))
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(z)
		z.Close()
		if err != nil || int64(len(data)) != c.Size || digest.FromBytes(data) != c.Digest {
			t.Errorf("%s at %d: %d bytes with the digest %s, %v; want %d with %s", c.Name, c.Offset, len(data), digest.FromBytes(data), err, c.Size, c.Digest)
		}
		if c.Hole {
			holes++
		}
		got["/"+c.Name] = append(got["/"+c.Name], data...)
	}
	for path, want := range contents {
		if path != "/etc/same-too" && !bytes.Equal(got[path], want) {
			t.Errorf("%s: its chunks are other contents", path)
		}
	}
	if holes != 2 {
		t.Errorf("%d holes, want 2: a file of zeros alone is one chunk", holes)
	}
}

// The tables describe the tar, and its bytes do not depend on the number of workers.
func TestTablesDescribeTar(t *testing.T) {
	files, contents := sample()
	tar, blob, p := build(t, files, contents, 1)
	for _, threads := range []int{2, 8} {
		if _, other, _ := build(t, files, contents, threads); !bytes.Equal(other, blob) {
			t.Errorf("%d workers make another blob than one", threads)
		}
	}
	fromNotes, err := FromAnnotations(p.Annotations(), int64(len(blob)))
	if err != nil {
		t.Fatal(err)
	}
	tables, err := ReadTables(fromNotes, bytes.NewReader(blob[p.Start():]))
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := tables.Check(bytes.NewReader(blob), &got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), tar) {
		t.Error("Check writes another tar")
	}
	end := p.split.offset + p.split.size + skippableSize + footerSize
	if n := int64(len(blob)); n > MaxSize(int64(len(tar)), files) || n != end {
		t.Errorf("the blob has %d bytes, but its tables and footer end at %d", n, end)
	}
}

// The bytes must not change by accident. Each change is listed in the changelog, under Digests.
func TestGolden(t *testing.T) {
	files, contents := sample()
	_, blob, _ := build(t, files, contents, 2)
	const want = "dfc0da2e9ee957b43afe5e3c000963890a3ce154694376def3424a204e6989b9"
	if got := fmt.Sprintf("%x", sha256.Sum256(blob)); got != want {
		t.Errorf("the blob has the SHA-256 %s, want %s", got, want)
	}
}

// Blobs of layers with almost no contents are well-formed too.
func TestSmallLayers(t *testing.T) {
	root := &format.File{Path: "/", Type: format.TypeDir, Mode: 0o755}
	for _, files := range [][]*format.File{
		nil,
		{root},
		{root, {Path: "/a", Type: format.TypeFile}},
		{root, {Path: "/a", Type: format.TypeFile, Size: 1}},
	} {
		contents := made{}
		if n := len(files); n > 0 {
			contents["/a"] = make([]byte, files[n-1].Size)
		}
		tar, blob, _ := build(t, files, contents, 2)
		tables, err := Read(bytes.NewReader(blob), int64(len(blob)))
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := tables.Check(bytes.NewReader(blob), &got); err != nil || !bytes.Equal(got.Bytes(), tar) {
			t.Errorf("%d files: %v", len(files), err)
		}
		if len(tables.Entries) != len(files) {
			t.Errorf("%d entries for %d files", len(tables.Entries), len(files))
		}
	}
}

// chunkList records the chunks that a cutter makes.
type chunkList struct {
	data   []byte
	ends   []int
	holes  []int
	isFull bool
}

func (l *chunkList) piece(p []byte) error { l.data = append(l.data, p...); return nil }
func (l *chunkList) full() bool           { return l.isFull }
func (l *chunkList) endChunk(zeros bool) error {
	l.ends = append(l.ends, len(l.data))
	if zeros {
		l.holes = append(l.holes, len(l.data))
	}
	return nil
}

func cutAll(t *testing.T, data []byte, step int, full bool) *chunkList {
	t.Helper()
	l := &chunkList{isFull: full}
	c := cutter{sink: l}
	c.reset()
	for p := data; len(p) > 0; {
		n, err := c.Write(p[:min(step, len(p))])
		if err != nil {
			t.Fatal(err)
		}
		p = p[n:]
	}
	if err := c.end(); err != nil || !bytes.Equal(l.data, data) {
		t.Fatalf("the chunks are other data: %v", err)
	}
	return l
}

// Cuts are at the positions where bup's checksum ends in 16 ones. The test computes the checksum
// from its definition: sums over the last 64 bytes.
func TestCuts(t *testing.T) {
	data := noise(6, 2<<20)
	at := func(i int) uint32 {
		if i < 0 {
			return charOffset
		}
		return uint32(data[i]) + charOffset
	}
	var want []int
	last := 0
	for i := range data {
		var b uint32
		for k := range windowSize {
			b += uint32(k+1) * at(i-k)
		}
		// The first 64 bytes replace zeros, whose sum is the initial value.
		b += windowSize*(windowSize-1)*charOffset - windowSize*(windowSize+1)/2*charOffset
		if b&0xffff == 0xffff && i+1-last >= leastChunk {
			want, last = append(want, i+1), i+1
		}
	}
	want = append(want, len(data))
	got := cutAll(t, data, 1<<20, false)
	if !slices.Equal(got.ends, want) {
		t.Errorf("cuts at %v, want %v", got.ends, want)
	}
	if n := len(want); n < 16 || n > 64 {
		t.Errorf("%d chunks of 2 MiB, far from 32", n)
	}
}

// Cuts depend only on the data, and a change in the data moves only nearby cuts.
func TestCutsAreLocal(t *testing.T) {
	data := bytes.Join([][]byte{noise(7, 1<<20), make([]byte, 200_000), noise(8, 1<<20)}, nil)
	before := cutAll(t, data, 1<<20, false)
	for _, step := range []int{1, 4095, holeBlock, 100_000} {
		if other := cutAll(t, data, step, false); !slices.Equal(other.ends, before.ends) {
			t.Errorf("writes of %d bytes give other cuts", step)
		}
	}
	if len(before.holes) != 1 {
		t.Errorf("%d holes, want 1", len(before.holes))
	}
	changed := slices.Clone(data)
	changed[300_000]++
	after := cutAll(t, changed, 1<<20, false)
	same := 0
	for _, end := range after.ends {
		if slices.Contains(before.ends, end) {
			same++
		}
	}
	if same < len(before.ends)-2 {
		t.Errorf("one byte moves %d of %d cuts", len(before.ends)-same, len(before.ends))
	}
	if full := cutAll(t, data, 1<<20, true); len(full.ends) != 1 {
		t.Errorf("%d chunks although the table is full", len(full.ends))
	}
}
