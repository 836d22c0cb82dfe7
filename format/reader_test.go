package format

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

const whole = `{"header":{"stage":"scan"}}
{"file":{"path":"/a","type":"file"}}
{"end":{}}
`

func TestReaderEndsOnlyAfterTheEndRecord(t *testing.T) {
	r := NewReader(strings.NewReader(whole), "test")
	for range 2 {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if rec, err := r.Next(); rec != nil || err != io.EOF {
			t.Fatalf("got %v, %v, want io.EOF for ever", rec, err)
		}
	}
}

func TestReaderKeepsItsFirstError(t *testing.T) {
	for _, text := range []string{
		"", "x", `{"header":{}}`, `{"header":{}}{"file":{}}{"end":{}}`, `{"header":{}}{"end":{}}{"end":{}}`,
	} {
		r := NewReader(strings.NewReader(text), "test")
		var first error
		for first == nil {
			_, first = r.Next()
		}
		for range 3 {
			if rec, err := r.Next(); rec != nil || !errors.Is(err, first) {
				t.Errorf("%q: got %v, %v, want the first error %v", text, rec, err, first)
			}
		}
		if classOf(first) == "none" {
			t.Errorf("%q: got %v, want an *Error", text, first)
		}
	}
}

func TestReaderPassesAnErrorOfItsInputThrough(t *testing.T) {
	broken := errors.New("input/output error")
	for _, enc := range []Encoding{JSON, Msgpack} {
		data := write(t, enc, everything())
		for n := range data {
			r := io.MultiReader(bytes.NewReader(data[:n]), iotest.ErrReader(broken))
			_, err := readAll(r)
			if !errors.Is(err, broken) || errors.Is(err, ErrTruncated) || classOf(err) != "none" {
				t.Fatalf("%s, after %d bytes: got %v, want %v", enc, n, err, broken)
			}
			if !strings.HasPrefix(err.Error(), "reading test: ") {
				t.Fatalf("got %q, want it to name the input", err)
			}
		}
		// The error is the same after the end record or together with the last bytes.
		for _, r := range []io.Reader{
			io.MultiReader(bytes.NewReader(data), iotest.ErrReader(broken)),
			iotest.DataErrReader(io.MultiReader(bytes.NewReader(data), iotest.ErrReader(broken))),
		} {
			if _, err := readAll(r); !errors.Is(err, broken) {
				t.Errorf("%s, behind the end: got %v, want %v", enc, err, broken)
			}
		}
	}
	_, err := readAll(iotest.ErrReader(os.ErrDeadlineExceeded))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want %v", err, os.ErrDeadlineExceeded)
	}
	// Truncated input is different from a truncated stream.
	if _, err := readAll(iotest.ErrReader(io.ErrUnexpectedEOF)); errors.Is(err, ErrTruncated) {
		t.Errorf("got %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

// idle returns neither bytes nor an error, which the io.Reader documentation discourages.
type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

func TestReaderDoesNotWaitForAnIdleInput(t *testing.T) {
	if _, err := readAll(idle{}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v, want %v", err, io.ErrNoProgress)
	}
}

func TestReaderTakesAnyPieces(t *testing.T) {
	for _, enc := range []Encoding{JSON, Msgpack} {
		data := write(t, enc, everything())
		for name, r := range map[string]io.Reader{
			"one byte":  iotest.OneByteReader(bytes.NewReader(data)),
			"half":      iotest.HalfReader(bytes.NewReader(data)),
			"with EOF":  iotest.DataErrReader(bytes.NewReader(data)),
			"all at it": bytes.NewReader(data),
		} {
			recs, err := readAll(r)
			if err != nil {
				t.Fatalf("%s, %s: %v", enc, name, err)
			}
			if got := write(t, enc, recs); !bytes.Equal(got, data) {
				t.Errorf("%s, %s: got %q, want %q", enc, name, got, data)
			}
		}
	}
}

// A record is returned before the next bytes are read.
func TestReaderDoesNotReadAhead(t *testing.T) {
	for _, first := range []string{`{"header":{}}`, "\x81\xa6header\x80"} {
		pr, pw := io.Pipe()
		go func() { _, _ = io.WriteString(pw, first) }()
		if rec, err := NewReader(pr, "test").Next(); err != nil || rec.kind() != kindHeader {
			t.Errorf("%q: got %v, %v, want the header", first, rec, err)
		}
		pr.Close()
	}
}

func TestEncoding(t *testing.T) {
	for text, want := range map[string]Encoding{
		"": JSON, "{": JSON, " \n{": JSON, "x": JSON, "\x81\xa3": Msgpack, "\xde\x00\x01": Msgpack, "\xdf": Msgpack,
	} {
		r := NewReader(strings.NewReader(text), "test")
		if got := r.Encoding(); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
		if _, err := r.Next(); err == nil || r.Encoding() != want {
			t.Errorf("%q: got %s and %v after the first record, want %s and an error", text, r.Encoding(), err, want)
		}
	}
	for _, enc := range []Encoding{JSON, Msgpack} {
		r := NewReader(bytes.NewReader(write(t, enc, everything())), "test")
		if r.Encoding() != enc {
			t.Errorf("got %s, want %s", r.Encoding(), enc)
		}
		n := 0
		for _, err := range All(r) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != len(everything()) {
			t.Errorf("got %d records after asking for the encoding, want %d", n, len(everything()))
		}
	}
}

func TestAllStopsWhenAsked(t *testing.T) {
	r := NewReader(strings.NewReader(whole), "test")
	for rec, err := range All(r) {
		if err != nil || rec.kind() != kindHeader {
			t.Fatalf("got %v, %v", rec, err)
		}
		break
	}
	if rec, err := r.Next(); err != nil || rec.(*File).Path != "/a" {
		t.Errorf("got %v, %v, want the record after the one the loop stopped at", rec, err)
	}
}

func TestRecordsMayLieAnyhowOnLines(t *testing.T) {
	want, err := readAll(strings.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	pretty := strings.NewReplacer("{", "{\n\t", "}", "\n}", ",", ",\r\n  ", ":", " : ").Replace(whole)
	for name, text := range map[string]string{
		"one line":    strings.ReplaceAll(whole, "\n", ""),
		"spaces":      strings.ReplaceAll(whole, "\n", "  \t "),
		"empty lines": "\n\r\n" + strings.ReplaceAll(whole, "\n", "\n\n\r\n"),
		"pretty":      pretty,
		"quotes":      strings.ReplaceAll(whole, "/a", `/\"\\`),
		"brackets":    strings.ReplaceAll(whole, "/a", `/}]{[`),
	} {
		got, err := readAll(strings.NewReader(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if f := got[1].(*File); name == "quotes" && f.Path == `/"\` || name == "brackets" && f.Path == "/}]{[" {
			f.Path = "/a"
		}
		if a, b := fmt.Sprintf("%+v", got[1]), fmt.Sprintf("%+v", want[1]); a != b {
			t.Errorf("%s: got %s, want %s", name, a, b)
		}
	}
}

// Errors name the field and its value.
func TestErrorsNameTheField(t *testing.T) {
	for text, want := range map[string]string{
		`{"file":{"path":"/a","type":"file","size":1.5}}`:                `test: record 2: size: 1.5 is not an integer`,
		`{"file":{"path":"/a","type":"file","mode":"0644"}}`:             `test: record 2: mode: expected a number, found a value that starts with '"'`,
		`{"file":{"path":"/a","type":"file","xattrs":{"a":"x"}}}`:        `test: record 2: xattrs: "x" is not base64`,
		`{"file":{"path":"/a/../b","type":"file"}}`:                      `test: record 2: path "/a/../b" is not clean`,
		`{"file":{"path":"/a","type":"file"}}{"file":{"path":"/a","typ`:  `test: after record 2: stream ended without its end record`,
		`{"file":{"path":"/a","type":"file","size":1,"size":2}}`:         `test: record 2: file has "size" twice`,
		`{"component":{"name":"x","updates":[1,true]}}`:                  `test: record 2: updates: expected a number, found a value that starts with 't'`,
		`{"file":{"path":"/a","type":"file","uid":0 "gid":0}}{"end":{}}`: `test: record 2: expected ',' or '}', found '"'`,
	} {
		_, err := readAll(strings.NewReader(`{"header":{}}` + text))
		if err == nil || err.Error() != want {
			t.Errorf("%s\ngot  %v\nwant %s", text, err, want)
		}
	}
}
