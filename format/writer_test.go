package format

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

func TestWriterWantsItsHeaderOnceAndFirst(t *testing.T) {
	file := &File{Path: "/a", Type: TypeFile}
	for _, test := range []struct {
		name  string
		write func(w *Writer) error
		want  error
	}{
		{"file first", func(w *Writer) error { return w.Write(file) }, errHeader},
		{"no record", func(w *Writer) error { return w.Finish() }, errHeader},
		{"two headers", func(w *Writer) error {
			return errors.Join(w.Write(&Header{Version: 1}), w.Write(&Header{Version: 1}))
		}, errHeader},
		{"own end", func(w *Writer) error { return errors.Join(w.Write(&Header{Version: 1}), w.Write(End{})) }, errEnd},
		{"finished twice", func(w *Writer) error {
			return errors.Join(w.Write(&Header{Version: 1}), w.Finish(), w.Finish())
		}, errFinished},
		{"written after the end", func(w *Writer) error {
			return errors.Join(w.Write(&Header{Version: 1}), w.Finish(), w.Write(file))
		}, errFinished},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := test.write(NewWriter(io.Discard, JSON)); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// faulty contains invalid records with one defect each.
var faulty = map[string]Record{
	"version":               &Header{},
	"stage":                 &Header{Version: 1, Stage: "merge"},
	"root":                  &Header{Version: 1, Root: "a"},
	"root too long":         &Header{Version: 1, Root: "/" + strings.Repeat("a", MaxPath)},
	"source date":           &Header{Version: 1, SourceDate: MaxInt + 1},
	"path":                  &File{Path: "/..", Type: TypeFile},
	"type":                  &File{Path: "/a"},
	"type too large":        &File{Path: "/a", Type: TypeEnd},
	"mode":                  &File{Path: "/a", Type: TypeFile, Mode: 0o100644},
	"owner":                 &File{Path: "/a", Type: TypeFile, UID: 1<<32 - 1},
	"size":                  &File{Path: "/a", Type: TypeFile, Size: -2},
	"size too large":        &File{Path: "/a", Type: TypeFile, Size: MaxInt + 1},
	"size of a dir":         &File{Path: "/a", Type: TypeDir, Size: 1},
	"unknown size of a dir": &File{Path: "/a", Type: TypeDir, Size: SizeUnknown},
	"mtime":                 &File{Path: "/a", Type: TypeFile, MTime: -MaxInt - 1},
	"nanoseconds":           &File{Path: "/a", Type: TypeFile, MTimeNsec: -1},
	"target of a file":      &File{Path: "/a", Type: TypeFile, Target: "b"},
	"no target":             &File{Path: "/a", Type: TypeSymlink},
	"target too long":       &File{Path: "/a", Type: TypeSymlink, Target: strings.Repeat("a", MaxTarget+1)},
	"hard link":             &File{Path: "/a", Type: TypeFile, Hardlink: -1},
	"hard-linked dir":       &File{Path: "/a", Type: TypeDir, Hardlink: 1},
	"device numbers":        &File{Path: "/a", Type: TypeFile, DevMajor: 1},
	"device too large":      &File{Path: "/a", Type: TypeBlock, DevMinor: 1 << 21},
	"whiteout":              &File{Path: "/a/.wh.b", Type: TypeFile},
	"whiteout device":       &File{Path: "/a", Type: TypeChar},
	"xattr name with =":     &File{Path: "/a", Type: TypeFile, Xattrs: []Xattr{{"user.a=b", nil}}},
	"implied file":          &File{Path: "/a", Type: TypeFile, Implied: true},
	"xattr name":            &File{Path: "/a", Type: TypeFile, Xattrs: []Xattr{{"user.\xff", nil}}},
	"xattr value":           &File{Path: "/a", Type: TypeFile, Xattrs: []Xattr{{"user.a", make([]byte, MaxXattrValue+1)}}},
	"xattr twice":           &File{Path: "/a", Type: TypeFile, Xattrs: []Xattr{{"user.a", nil}, {"user.a", nil}}},
	"xattr order":           &File{Path: "/a", Type: TypeFile, Xattrs: []Xattr{{"user.b", nil}, {"user.a", nil}}},
	"xattrs":                &File{Path: "/a", Type: TypeFile, Xattrs: make([]Xattr, MaxXattrs+1)},
	"component":             &File{Path: "/a", Type: TypeFile, Components: []string{""}},
	"component not UTF-8":   &File{Path: "/a", Type: TypeFile, Components: []string{"\xff"}},
	"components":            &File{Path: "/a", Type: TypeFile, Components: make([]string, MaxList+1)},
	"component name":        &Component{},
	"long component name":   &Component{Name: strings.Repeat("x", MaxText+1)},
	"updates":               &Component{Name: "x", Updates: make([]int64, MaxList+1)},
	"update":                &Component{Name: "x", Updates: []int64{MaxInt + 1}},
	"interval":              &Component{Name: "x", IntervalDays: -1},
	"clamp":                 &Component{Name: "x", MtimeClamp: MaxInt + 1},
	"fingerprint":           &Component{Name: "x", Fingerprint: "\xff"},
	"index":                 &Layer{Index: -1},
	"layer components":      &Layer{Components: []string{""}},
	"fingerprints":          &Layer{Components: []string{"a", "b"}, Fingerprints: []string{"a"}},
	"layer fingerprint":     &Layer{Components: []string{"a"}, Fingerprints: []string{"\xff"}},
	"times":                 &Layer{Components: []string{"a", "b"}, Times: []int64{1}},
	"a layer's time":        &Layer{Components: []string{"a"}, Times: []int64{MaxInt + 1}},
	"contents":              &Layer{Components: []string{"a", "b"}, Contents: []string{"a"}},
	"updated":               &Layer{Components: []string{"a", "b"}, Updated: []int64{1}},
	"a day before 1970":     &Layer{Components: []string{"a"}, Updated: []int64{-1}},
	"surprises":             &Layer{Components: []string{"a", "b"}, Surprises: []int64{1, 2, 3}},
	"33 surprises":          &Layer{Components: []string{"a"}, Surprises: []int64{1 << 32}},
	"a layer's contents":    &Layer{Components: []string{"a"}, Contents: []string{"\xff"}},
	"rewritten":             &Layer{Rewritten: []string{"x"}, Reasons: []string{"stale"}},
	"reasons":               &Layer{Rewritten: []string{"sha256:" + strings.Repeat("0", 64)}},
	"a reason":              &Layer{Rewritten: []string{"sha256:" + strings.Repeat("0", 64)}, Reasons: []string{""}},
	"stability":             &Layer{StabilityPPM: 1_000_001},
}

func TestWriterRefusesInvalidRecords(t *testing.T) {
	for name, rec := range faulty {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			w := NewWriter(&out, JSON)
			if _, isHeader := rec.(*Header); !isHeader {
				if err := w.Write(&Header{Version: 1}); err != nil {
					t.Fatal(err)
				}
			}
			first := w.Write(rec)
			if first == nil {
				t.Fatal("got no error")
			}
			if len(first.Error()) > 1000 {
				t.Errorf("got an error of %d bytes", len(first.Error()))
			}
			if err := w.Write(&File{Path: "/a", Type: TypeFile}); !errors.Is(err, first) {
				t.Errorf("writing on: got %v, want the first error", err)
			}
			if err := w.Finish(); !errors.Is(err, first) {
				t.Errorf("finishing: got %v, want the first error", err)
			}
			if strings.Contains(out.String(), "end") {
				t.Errorf("got %q, want no end record", out.String())
			}
		})
	}
}

// stubborn accepts some bytes and then fails.
type stubborn struct{ room int }

var errStubborn = errors.New("no space left on device")

func (s *stubborn) Write(p []byte) (int, error) {
	if s.room -= len(p); s.room < 0 {
		return max(0, len(p)+s.room), errStubborn
	}
	return len(p), nil
}

func TestWriterKeepsAnErrorOfItsOutput(t *testing.T) {
	for _, enc := range []Encoding{JSON, Msgpack} {
		for _, room := range []int{0, 1, writeBuffer, 2*writeBuffer + 1} {
			w := NewWriter(&stubborn{room}, enc)
			err := w.Write(&Header{Version: 1})
			for i := 0; i < 10_000 && err == nil; i++ {
				err = w.Write(&File{Path: "/usr/lib/x86_64-linux-gnu/libexample.so.1", Type: TypeFile, MTime: 1700000000})
			}
			if finish := w.Finish(); !errors.Is(finish, errStubborn) || !errors.Is(w.Finish(), errStubborn) {
				t.Errorf("%s, room for %d: got %v, want %v", enc, room, finish, errStubborn)
			}
		}
	}
}

func TestParseEncoding(t *testing.T) {
	for _, enc := range []Encoding{JSON, Msgpack} {
		if got, err := ParseEncoding(string(enc)); got != enc || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, enc)
		}
	}
	for _, name := range []string{"", "JSON", "yaml"} {
		if _, err := ParseEncoding(name); err == nil {
			t.Errorf("%q: got no error", name)
		}
	}
}

// The library's decoder is an independent implementation. It checks the encoder and decoder in this
// package.
func TestLibraryReadsTheSameMsgpack(t *testing.T) {
	dec := msgpack.NewDecoder(bytes.NewReader(write(t, Msgpack, everything())))
	var again bytes.Buffer
	enc := msgpack.NewEncoder(&again)
	for {
		v, err := dec.DecodeInterfaceLoose()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := enc.Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readAll(&again)
	if err != nil {
		t.Fatal(err)
	}
	if want := everything(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
