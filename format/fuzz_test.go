package format

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"testing"
	"testing/iotest"

	"chunkah/tests/bound"
)

// addVectors seeds a fuzz target with the test vectors.
func addVectors(f *testing.F) {
	for _, v := range loadVectors(f) {
		f.Add(v.body)
	}
	for _, enc := range []Encoding{JSON, Msgpack} {
		f.Add(write(f, enc, everything()))
	}
}

// FuzzReader checks that the reader terminates for any input, and returns valid records and at most
// one error, which has a class. Memory must stay proportional to the input, and the sizes of reads
// must make no difference.
func FuzzReader(f *testing.F) {
	addVectors(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		// A record can need more memory than its encoded size. All reads together need at most a
		// constant amount, plus an amount that is proportional to the input.
		bound.Memory(t, 4*mib+600*len(data))
		recs, err := readAll(bytes.NewReader(data))
		for i, rec := range recs {
			if err := rec.Validate(); err != nil {
				t.Errorf("record %d: %v", i+1, err)
			}
		}
		if err != nil {
			checkError(t, err, len(recs))
		}
		slowRecs, slowErr := readAll(iotest.OneByteReader(bytes.NewReader(data)))
		if fmt.Sprint(slowErr) != fmt.Sprint(err) || !reflect.DeepEqual(slowRecs, recs) {
			t.Errorf("byte by byte: got %d records and %v, want %d and %v", len(slowRecs), slowErr, len(recs), err)
		}
	})
}

func checkError(t *testing.T, err error, records int) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an *Error", err)
	}
	switch e.Class {
	case ClassTruncated, ClassSyntax, ClassValue, ClassOrder, ClassLimit, ClassVersion:
	default:
		t.Errorf("got class %q (%v)", e.Class, err)
	}
	// The end record is not returned, so if an error follows it, the number is one higher.
	if n := e.Record - int64(records); n != 1 && n != 2 {
		t.Errorf("got an error at record %d after %d records", e.Record, records)
	}
	if len(err.Error()) > 4000 {
		t.Errorf("got an error of %d bytes", len(err.Error()))
	}
}

// FuzzTranscode checks that a valid stream has only one form in each encoding, and that converting
// JSON to msgpack and back produces the same bytes.
func FuzzTranscode(f *testing.F) {
	addVectors(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		bound.Input(t, len(data))
		recs, err := readAll(bytes.NewReader(data))
		if err != nil {
			t.Skip("refused: see FuzzReader")
		}
		text := write(t, JSON, recs)
		fromText := reread(t, text)
		packed := write(t, Msgpack, fromText)
		fromPacked := reread(t, packed)
		if !reflect.DeepEqual(fromText, recs) || !reflect.DeepEqual(fromPacked, recs) {
			t.Errorf("got %+v and %+v, want %+v", fromText, fromPacked, recs)
		}
		if back := write(t, JSON, fromPacked); !bytes.Equal(back, text) {
			t.Errorf("got %q, want %q", back, text)
		}
		if again := write(t, Msgpack, fromPacked); !bytes.Equal(again, packed) {
			t.Errorf("got %x, want %x", again, packed)
		}
	})
}

func reread(t *testing.T, data []byte) []Record {
	t.Helper()
	r := NewReader(bytes.NewReader(data), "written")
	var recs []Record
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return recs
		}
		if err != nil {
			t.Fatalf("reading the output: %v in %q", err, data)
		}
		recs = append(recs, rec)
	}
}
