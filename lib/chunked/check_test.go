package chunked

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
)

// packed compresses a table.
func packed(t testing.TB, data []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	return z.EncodeAll(data, nil)
}

// unpacked decompresses data.
func unpacked(t testing.TB, data []byte) []byte {
	t.Helper()
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	plain, err := z.DecodeAll(data, nil)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// rebuilt returns a blob with other tables whose positions and digests are all correct.
func rebuilt(t testing.TB, blob []byte, toc []byte, split []byte) []byte {
	t.Helper()
	p, err := parseFooter(blob[len(blob)-footerSize-skippableSize:], int64(len(blob)))
	if err != nil {
		t.Fatal(err)
	}
	packedTOC, packedSplit := packed(t, toc), packed(t, split)
	out := bytes.NewBuffer(slices.Clone(blob[:p.Start()]))
	add := func(b []byte) region {
		out.WriteString(skippableHeader(int64(len(b))))
		at := region{offset: int64(out.Len()), size: int64(len(b))}
		out.Write(b)
		return at
	}
	own := Positions{toc: add(packedTOC), split: add(packedSplit)}
	own.toc.unpacked, own.split.unpacked = int64(len(toc)), int64(len(split))
	add(own.footer())
	return out.Bytes()
}

// tablesOf returns the table of contents and the tar-split of a blob.
func tablesOf(t testing.TB, blob []byte) (toc, split []byte) {
	t.Helper()
	p, err := parseFooter(blob[len(blob)-footerSize-skippableSize:], int64(len(blob)))
	if err != nil {
		t.Fatal(err)
	}
	return unpacked(t, blob[p.toc.offset:p.toc.offset+p.toc.size]), unpacked(t, blob[p.split.offset:p.split.offset+p.split.size])
}

// check reads and checks the tables of a blob.
func check(blob []byte, w io.Writer) error {
	tables, err := Read(bytes.NewReader(blob), int64(len(blob)))
	if err != nil {
		return err
	}
	return tables.Check(bytes.NewReader(blob), w)
}

// Every wrong value in a table of contents is found, even if all its digests and positions are
// correct.
func TestLiesInTable(t *testing.T) {
	files, contents := sample()
	_, blob, _ := build(t, files, contents, 2)
	toc, split := tablesOf(t, blob)
	toc = bytes.Replace(toc, []byte(tarSplitDigest(toc)), []byte(digest.FromBytes(packed(t, split))), 1)
	if err := check(rebuilt(t, blob, toc, split), io.Discard); err != nil {
		t.Fatalf("without a lie: %v", err)
	}
	other := digest.FromString("other")
	now := time.Unix(5, 0)
	for name, lie := range map[string]func(first, chunk *Entry){
		"name":        func(e, _ *Entry) { e.Name += "x" },
		"type":        func(e, _ *Entry) { e.Type = typeDir },
		"mode":        func(e, _ *Entry) { e.Mode = 0o4755 },
		"size":        func(e, _ *Entry) { e.Size-- },
		"owner":       func(e, _ *Entry) { e.UID = 9 },
		"group":       func(e, _ *Entry) { e.GID = 9 },
		"time":        func(e, _ *Entry) { e.ModTime = &now },
		"no time":     func(e, _ *Entry) { e.ModTime = nil },
		"xattr":       func(e, _ *Entry) { e.Xattrs = map[string]string{"user.a": "YQ=="} },
		"link":        func(e, _ *Entry) { e.Linkname = "a" },
		"device":      func(e, _ *Entry) { e.Devmajor = 1 },
		"digest":      func(e, _ *Entry) { e.Digest = other },
		"no digest":   func(e, _ *Entry) { e.Digest = "" },
		"offset":      func(e, _ *Entry) { e.Offset++ },
		"chunk":       func(_, c *Entry) { c.ChunkDigest = other },
		"chunk start": func(_, c *Entry) { c.Offset-- },
		"chunk size":  func(_, c *Entry) { c.ChunkSize++ },
		"chunk place": func(_, c *Entry) { c.ChunkOffset++ },
		"chunk type":  func(_, c *Entry) { c.ChunkType = zeros },
		"chunk name":  func(_, c *Entry) { c.Name = "etc/other" },
		"end":         func(_, c *Entry) { c.EndOffset = 1 },
	} {
		var table struct {
			Version        int           `json:"version"`
			Entries        []Entry       `json:"entries"`
			TarSplitDigest digest.Digest `json:"tarSplitDigest"`
		}
		if err := json.Unmarshal(toc, &table); err != nil {
			t.Fatal(err)
		}
		table.TarSplitDigest = digest.FromBytes(packed(t, split))
		i := slices.IndexFunc(table.Entries, func(e Entry) bool { return e.Name == "etc/large" })
		last := i + 1
		for table.Entries[last+1].Type == typeChunk {
			last++
		}
		lie(&table.Entries[i], &table.Entries[last])
		lied, err := json.Marshal(table)
		if err != nil {
			t.Fatal(err)
		}
		err = check(rebuilt(t, blob, lied, split), io.Discard)
		if err == nil {
			t.Errorf("%s: not found", name)
		} else if !strings.Contains(err.Error(), "etc/") {
			t.Errorf("%s: %v does not name the entry", name, err)
		}
	}
}

// The same applies to tar-split, from which clients rebuild the tar.
func TestLiesInTarSplit(t *testing.T) {
	files, contents := sample()
	_, blob, _ := build(t, files, contents, 2)
	toc, split := tablesOf(t, blob)
	lines := bytes.SplitAfter(split, []byte("\n"))
	digestBefore := digest.FromBytes(packed(t, split))
	toc = bytes.Replace(toc, []byte(tarSplitDigest(toc)), []byte(digestBefore), 1)
	if err := check(rebuilt(t, blob, toc, split), io.Discard); err != nil {
		t.Fatalf("without a lie: %v", err)
	}
	for name, lie := range map[string]func() []byte{
		"no end":       func() []byte { return bytes.Join(lines[:len(lines)-2], nil) },
		"no beginning": func() []byte { return bytes.Join(lines[1:], nil) },
		"twice":        func() []byte { return bytes.Join([][]byte{split, split}, nil) },
		"crc": func() []byte {
			return bytes.Replace(split, []byte(`"size":1,"payload":"`), []byte(`"size":1,"payload":"AAAA`), 1)
		},
		"size":     func() []byte { return bytes.Replace(split, []byte(`"size":1,`), []byte(`"size":2,`), 1) },
		"negative": func() []byte { return bytes.Replace(split, []byte(`"size":1,`), []byte(`"size":-1,`), 1) },
		"type":     func() []byte { return bytes.Replace(split, []byte(`{"type":1`), []byte(`{"type":3`), 1) },
		"no JSON":  func() []byte { return split[:len(split)-3] },
	} {
		lied := lie()
		if bytes.Equal(lied, split) {
			t.Fatalf("%s: no lie", name)
		}
		own := bytes.Replace(toc, []byte(digestBefore), []byte(digest.FromBytes(packed(t, lied))), 1)
		if err := check(rebuilt(t, blob, own, lied), io.Discard); err == nil {
			t.Errorf("%s: not found", name)
		}
	}
}

func tarSplitDigest(toc []byte) string {
	_, after, _ := bytes.Cut(toc, []byte(`"tarSplitDigest":"`))
	before, _, _ := bytes.Cut(after, []byte(`"`))
	return string(before)
}

// A damaged blob is never mistaken for a valid blob with another tar.
func TestDamagedBlob(t *testing.T) {
	files, contents := sample()
	tar, blob, _ := build(t, files, contents, 2)
	r := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		damaged := slices.Clone(blob)
		damaged[r.IntN(len(blob))] ^= byte(1 + r.IntN(255))
		var got bytes.Buffer
		if err := check(damaged, &got); err == nil && !bytes.Equal(got.Bytes(), tar) {
			t.Fatal("a damaged blob is another tar, and its tables agree")
		}
	}
	for n := 0; n < len(blob); n += len(blob) / 50 {
		if check(blob[:n], io.Discard) == nil {
			t.Fatalf("%d of %d bytes are taken for the blob", n, len(blob))
		}
	}
}

func TestAnnotationsAreChecked(t *testing.T) {
	files, contents := sample()
	_, blob, p := build(t, files, contents, 2)
	for name, change := range map[string]func(m map[string]string){
		"digest":   func(m map[string]string) { m[annotationChecksum] = "sha256:1" },
		"missing":  func(m map[string]string) { delete(m, annotationSplit) },
		"few":      func(m map[string]string) { m[annotationTOC] = "1:2:3" },
		"negative": func(m map[string]string) { m[annotationTOC] = "-1:2:3:1" },
		"type":     func(m map[string]string) { m[annotationTOC] = m[annotationTOC][:len(m[annotationTOC])-1] + "2" },
		"huge":     func(m map[string]string) { m[annotationTOC] = "9223372036854775807:9223372036854775807:3:1" },
		"place":    func(m map[string]string) { m[annotationSplit] = "8:10:10" },
	} {
		m := p.Annotations()
		change(m)
		if _, err := FromAnnotations(m, int64(len(blob))); err == nil || !strings.Contains(err.Error(), "annotation") && !strings.Contains(err.Error(), "table") {
			t.Errorf("%s: %v", name, err)
		}
	}
	m := p.Annotations()
	m[annotationChecksum] = digest.FromString("other").String()
	other, err := FromAnnotations(m, int64(len(blob)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadTables(other, bytes.NewReader(blob[p.Start():])); err == nil || !strings.Contains(err.Error(), "digest") {
		t.Errorf("another digest: %v", err)
	}
}
