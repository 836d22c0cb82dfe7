package format

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// everything is a stream with every kind of record and every field.
func everything() []Record {
	return []Record{
		&Header{
			Version: 1, Stage: StagePack, Root: "/srv/r\xffoot", SourceDate: -5, HasSourceDate: true,
			NewestMtime: 1700000000, HasNewestMtime: true, Previous: "docker://x@y",
		},
		&Component{
			Name: "rpm/glibc", Updates: []int64{-1, 1500000000}, IntervalDays: 7,
			MtimeClamp: 1600000000, HasMtimeClamp: true, Fingerprint: "f1",
		},
		&Layer{Index: 0, Components: []string{"rpm/glibc", "x"}, Fingerprints: []string{"f1", ""}, Times: []int64{-5, 1700000000}, Contents: []string{"", "c2"}, Updated: []int64{20000, 0}, Surprises: []int64{0, 1<<32 - 1}, StabilityPPM: 999000},
		&File{Path: "/", Type: TypeDir, Mode: 0o755, Implied: true, MTime: 12},
		&File{Path: "/a", Type: TypeFile, Mode: 0, UID: 5, GID: 1 << 31, Size: MaxInt, MTime: -3, MTimeNsec: 999999999, Stamp: "1.2é", Digest: NewDigest([32]byte{10, 11, 12})},
		&File{Path: "/a\xfe\"\\\n\x01é", Type: TypeSymlink, Mode: 0o777, Target: "\xffx"},
		&Layer{Index: 1, Components: []string{"y"}, DiffID: "sha256:" + strings.Repeat("1b", 32), Entries: "sha256:" + strings.Repeat("2c", 32),
			Rewritten: []string{"sha256:" + strings.Repeat("3d", 32)}, Reasons: []string{"stale"}},
		&File{
			Path: "/b", Type: TypeFile, Mode: 0o4755, Size: SizeUnknown, Hardlink: 3, Components: []string{"y"},
			Xattrs: []Xattr{{"security.capability", []byte{0, 1, 255}}, {"user.empty", []byte{}}},
		},
		&File{Path: "/c", Type: TypeChar, Mode: 0o600, DevMajor: 5, DevMinor: 1},
		&File{Path: "/d", Type: TypeBlock, Mode: 0o600},
		&File{Path: "/e", Type: TypeFifo, Mode: 0o600},
	}
}

func write(t testing.TB, enc Encoding, recs []Record) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := NewWriter(&buf, enc)
	for _, rec := range recs {
		if err := w.Write(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func readAll(r io.Reader) (recs []Record, err error) {
	for rec, err := range All(NewReader(r, "test")) {
		if err != nil {
			return recs, err
		}
		recs = append(recs, rec)
	}
	return recs, nil
}

func TestRecordsSurviveBothEncodings(t *testing.T) {
	want := everything()
	for _, enc := range []Encoding{JSON, Msgpack} {
		got, err := readAll(bytes.NewReader(write(t, enc, want)))
		if err != nil {
			t.Fatalf("%s: %v", enc, err)
		}
		if len(got) != len(want) {
			t.Fatalf("%s: got %d records, want %d", enc, len(got), len(want))
		}
		for i := range want {
			if !reflect.DeepEqual(got[i], want[i]) {
				t.Errorf("%s: record %d: got %+v, want %+v", enc, i, got[i], want[i])
			}
		}
	}
}

func TestJSONToMsgpackAndBackIsIdentity(t *testing.T) {
	text := write(t, JSON, everything())
	recs, err := readAll(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	recs, err = readAll(bytes.NewReader(write(t, Msgpack, recs)))
	if err != nil {
		t.Fatal(err)
	}
	if back := write(t, JSON, recs); !bytes.Equal(back, text) {
		t.Errorf("got\n%s\nwant\n%s", back, text)
	}
}

func TestEveryCutIsTruncated(t *testing.T) {
	for _, enc := range []Encoding{JSON, Msgpack} {
		whole := write(t, enc, everything())
		last := len(whole)
		if enc == JSON {
			last-- // the newline after the end record is optional
		}
		for n := range last {
			if _, err := readAll(bytes.NewReader(whole[:n])); !errors.Is(err, ErrTruncated) {
				t.Fatalf("%s cut at %d of %d: got %v, want %v", enc, n, len(whole), err, ErrTruncated)
			}
		}
	}
}

func TestReaderTakesAnySpelling(t *testing.T) {
	const text = "\n { \"header\" : { } }\n{\"file\":{\"mtime\":1.5e1,\r\n\"type\":\"\\u0066ile\",\n\n" +
		"\"path\":\"/\\ud83d\\ude00\", \"components\":null,\"uid\":-0, \"size\":12.0}} {\"end\":{}}\n \n"
	recs, err := readAll(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []Record{
		&Header{Version: 1},
		&File{Path: "/😀", Type: TypeFile, Mode: 0o644, MTime: 15, Size: 12},
	}
	if !reflect.DeepEqual(recs, want) {
		t.Errorf("got %+v, want %+v", recs[1], want[1])
	}
}

// randomText returns a short string with many bytes that encodings treat specially.
func randomText(r *rand.Rand, most int) string {
	const odd = "\"\\/\x00\x01\x1f\x7f\n\r\t é日😀\ufffd\u2028\xff\xc0\xed\xa0\x80ab"
	var b strings.Builder
	for range 1 + r.IntN(most) {
		at := r.IntN(len(odd))
		b.WriteString(odd[at : at+1+r.IntN(min(4, len(odd)-at))])
	}
	return b.String()
}

// randomInt returns an integer with any number of bits.
func randomInt(r *rand.Rand) int64 { return (r.Int64N(2*MaxInt+1) - MaxInt) >> r.IntN(54) }

func randomFile(r *rand.Rand, path string) *File {
	f := &File{
		Path: path, Type: Type(r.IntN(int(TypeEnd-1)) + 1), Mode: uint16(r.Uint32N(0o10000)), UID: r.Uint32N(maxID + 1), GID: r.Uint32N(maxID + 1),
		MTime: randomInt(r), MTimeNsec: r.Int32N(1_000_000_000),
	}
	switch f.Type {
	case TypeFile:
		f.Size = max(SizeUnknown, randomInt(r))
		f.Hardlink = max(0, randomInt(r))
	case TypeSymlink:
		f.Target = strings.ReplaceAll(randomText(r, 20), "\x00", "?")
	case TypeChar, TypeBlock:
		f.DevMajor, f.DevMinor = 1+r.Uint32N(maxDevice), r.Uint32N(maxDevice+1)
	}
	for range r.IntN(3) {
		name := Text(strings.NewReplacer("\x00", "", "=", "").Replace("user." + randomText(r, 5)))
		if len(f.Xattrs) == 0 || f.Xattrs[len(f.Xattrs)-1].Name < name {
			f.Xattrs = append(f.Xattrs, Xattr{name, []byte(randomText(r, 300))})
		}
	}
	if f.Type == TypeWhiteout {
		f.Xattrs = nil
	}
	for range r.IntN(20) {
		f.Components = append(f.Components, Text(randomText(r, 40)))
	}
	return f
}

func TestRandomRecordsSurviveBothEncodings(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	want := []Record{&Header{Version: 1, Sources: []string{Text(randomText(r, 20)), "oci:/x"}, KeepLayers: r.Int64N(MaxList)}}
	paths := make(map[string]bool)
	for range 2000 {
		paths["/"+strings.NewReplacer("\x00", "", "/", "").Replace("x"+randomText(r, 30))] = true
	}
	for _, path := range slices.SortedFunc(maps.Keys(paths), ComparePaths) {
		want = append(want, randomFile(r, path))
	}
	for _, enc := range []Encoding{JSON, Msgpack} {
		got, err := readAll(bytes.NewReader(write(t, enc, want)))
		if err != nil {
			t.Fatalf("%s: %v", enc, err)
		}
		if len(got) != len(want) {
			t.Fatalf("%s: got %d records, want %d", enc, len(got), len(want))
		}
		for i := range want {
			if !reflect.DeepEqual(got[i], want[i]) {
				t.Fatalf("%s: record %d: got %+v, want %+v", enc, i, got[i], want[i])
			}
		}
	}
}

// TestFileSize checks that the records of a large tree use little memory.
func TestFileSize(t *testing.T) {
	if got := unsafe.Sizeof(File{}); got > 160 {
		t.Errorf("a File takes %d bytes, want at most 160", got)
	}
}
