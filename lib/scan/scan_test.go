package scan

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

// stream runs a scan into a buffer.
func stream(t *testing.T, dir string, header format.Header, opt Options) (string, *Report, error) {
	t.Helper()
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var out bytes.Buffer
	report, err := Run(t.Context(), root, header, opt, format.NewWriter(&out, format.JSON))
	return out.String(), report, err
}

func TestRun(t *testing.T) {
	dir := makeTree(t, "a/f = 12345", "link -> x")
	for _, name := range []string{"/a/g", "/h"} {
		if err := os.Link(dir+"/a/f", dir+name); err != nil {
			t.Fatal(err)
		}
	}
	out, report, err := stream(t, dir, format.Header{SourceDate: 17, HasSourceDate: true, Stage: "wrong", Root: "/wrong"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if want := `{"header":{"version":1,"stage":"scan","root":"` + dir + `","source_date":17}}`; lines[0] != want {
		t.Errorf("the header is %s, want %s", lines[0], want)
	}
	if len(lines) != 8 || lines[7] != `{"end":{}}` {
		t.Errorf("got %q", lines)
	}
	if report.Files != 6 || report.Bytes != 5 {
		t.Errorf("%d records, %d bytes", report.Files, report.Bytes)
	}
}

// After a fault, the stream is not finished, but the report is complete.
func TestRunFault(t *testing.T) {
	out, report, err := stream(t, makeTree(t, "f = x", "pipe |"), format.Header{}, Options{})
	var faults *FaultsError
	if report == nil || report.Files != 2 || !errors.As(err, &faults) || strings.Contains(out, `{"end":`) {
		t.Errorf("%v, %v, %s", report, err, out)
	}
}

// fullSink fails after some records.
type fullSink struct {
	left     int
	finished bool
}

var errFull = errors.New("no space left")

func (s *fullSink) Write(format.Record) error {
	if s.left--; s.left < 0 {
		return errFull
	}
	return nil
}

func (s *fullSink) Finish() error {
	s.finished = true
	return nil
}

func TestRunSinkFails(t *testing.T) {
	root, err := rootfs.Open(makeTree(t, "a/b = x", "c = x"))
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for left := range 5 {
		sink := &fullSink{left: left}
		if _, err := Run(t.Context(), root, format.Header{}, Options{}, sink); !errors.Is(err, errFull) || sink.finished {
			t.Errorf("after %d records: %v, %v", left, err, sink.finished)
		}
	}
}

func TestCounts(t *testing.T) {
	got := Counts(map[string]int64{"b": 2, "a": 1, "c": 3})
	if want := []Count{{"a", 1}, {"b", 2}, {"c", 3}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := Counts(nil); len(got) != 0 {
		t.Errorf("got %v for an empty map", got)
	}
}

// A stream with sources names no root, and its records contain the given components.
func TestRunSources(t *testing.T) {
	dir := makeTree(t, "a = x", "d/f = x")
	out, _, err := stream(t, dir, format.Header{Sources: []string{"oci:/x"}}, Options{
		Components: func(f *format.File) ([]string, error) { return []string{"of" + f.Path}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out, `{"header":{"version":1,"stage":"scan","sources":["oci:/x"]}}`) {
		t.Errorf("the header is %s", out)
	}
	for _, path := range []string{"/", "/a", "/d", "/d/f"} {
		if !strings.Contains(out, `"components":["of`+path+`"]`) {
			t.Errorf("%s is not tagged in %s", path, out)
		}
	}
	if _, _, err := stream(t, dir, format.Header{}, Options{
		Components: func(*format.File) ([]string, error) { return nil, os.ErrInvalid },
	}); !errors.Is(err, os.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}
