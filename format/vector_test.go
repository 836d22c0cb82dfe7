package format

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

const vectorDir = "testdata/v1"

// vector is a test vector (see "Test vectors" in SPEC.md).
type vector struct {
	name      string
	expect    Class // "ok" if there is no fault
	record    int64 // number of the faulty record
	same      string
	canonical bool
	encoding  Encoding
	body      []byte
}

const expectOK = "ok"

func loadVector(path string) (*vector, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	v := &vector{name: strings.TrimSuffix(filepath.Base(path), ".vec"), encoding: JSON}
	head, body, found := bytes.Cut(data, []byte("\n\n"))
	if !found {
		return nil, errors.New("no blank line after the header")
	}
	v.body = body
	commented := false
	for line := range strings.SplitSeq(string(head), "\n") {
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "expect":
			v.expect = Class(value)
		case "record":
			if v.record, err = strconv.ParseInt(value, 10, 64); err != nil {
				return nil, err
			}
		case "same":
			v.same = value
		case "canonical":
			v.canonical = value == "yes"
		case "encoding":
			v.encoding = Encoding(value)
		case "comment":
			commented = value != ""
		default:
			return nil, fmt.Errorf("header line %q is unknown", line)
		}
	}
	switch v.expect {
	case expectOK, ClassTruncated, ClassSyntax, ClassValue, ClassOrder, ClassLimit, ClassVersion:
	default:
		return nil, fmt.Errorf("expects %q", v.expect)
	}
	if !commented || (v.expect == expectOK) != (v.record == 0) {
		return nil, errors.New("needs a comment, and the record's number where it is faulty")
	}
	if v.encoding == Msgpack {
		v.body, err = hex.DecodeString(strings.Join(strings.Fields(string(body)), ""))
	}
	return v, err
}

func loadVectors(t testing.TB) map[string]*vector {
	t.Helper()
	paths, err := filepath.Glob(vectorDir + "/*.vec")
	if err != nil {
		t.Fatal(err)
	}
	vectors := make(map[string]*vector)
	for _, path := range paths {
		v, err := loadVector(path)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		vectors[v.name] = v
	}
	if len(vectors) < 200 {
		t.Fatalf("found %d vectors in %s", len(vectors), vectorDir)
	}
	return vectors
}

func TestVectors(t *testing.T) {
	vectors := loadVectors(t)
	for name, v := range vectors {
		t.Run(name, func(t *testing.T) {
			recs, err := readAll(bytes.NewReader(v.body))
			// The same bytes, read one at a time, produce the same stream.
			slowRecs, slowErr := readAll(iotest.OneByteReader(bytes.NewReader(v.body)))
			if !reflect.DeepEqual(slowRecs, recs) || fmt.Sprint(slowErr) != fmt.Sprint(err) {
				t.Errorf("byte by byte: got %d records and %v, want %d and %v", len(slowRecs), slowErr, len(recs), err)
			}
			if v.expect != expectOK {
				checkFault(t, v, err)
				return
			}
			if err != nil {
				t.Fatalf("got %v, want no error", err)
			}
			checkSpelling(t, v, recs)
			if v.same == "" {
				return
			}
			other := vectors[v.same]
			if other == nil {
				t.Fatalf("no vector %q", v.same)
			}
			if want, err := readAll(bytes.NewReader(other.body)); err != nil || !reflect.DeepEqual(recs, want) {
				t.Errorf("got %s\nwant that of %s: %s (%v)", write(t, JSON, recs), v.same, write(t, JSON, want), err)
			}
		})
	}
}

func checkFault(t *testing.T, v *vector, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an error of class %s", err, v.expect)
	}
	if e.Class != v.expect || e.Record != v.record {
		t.Errorf("got class %s, record %d (%v), want %s, record %d", e.Class, e.Record, err, v.expect, v.record)
	}
	want := fmt.Sprintf("test: record %d: ", v.record)
	if v.expect == ClassTruncated {
		want = fmt.Sprintf("test: after record %d: ", v.record-1)
	}
	if !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %q, want it to start with %q", err, want)
	}
}

// checkSpelling checks that the writer produces only one form in each encoding.
func checkSpelling(t *testing.T, v *vector, recs []Record) {
	t.Helper()
	for _, enc := range []Encoding{JSON, Msgpack} {
		once := write(t, enc, recs)
		if v.canonical && enc == v.encoding && !bytes.Equal(once, v.body) {
			t.Errorf("got %q\nwant %q", once, v.body)
		}
		again, err := readAll(bytes.NewReader(once))
		if err != nil {
			t.Fatalf("reading the output in %s: %v", enc, err)
		}
		if !reflect.DeepEqual(again, recs) {
			t.Errorf("%s: got %+v, want %+v", enc, again, recs)
		}
		if twice := write(t, enc, again); !bytes.Equal(twice, once) {
			t.Errorf("%s: got %q, want %q", enc, twice, once)
		}
	}
}
