package pack

import (
	"context"
	"io"
	"reflect"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/contentid"
	"chunkah/lib/layer"
)

// completed writes the layers of a packed stream, which completes their records.
func completed(t *testing.T, p *packed, src *texts) *packed {
	t.Helper()
	for _, l := range p.layers {
		c := contentid.Complete(l.Layer)
		if err := layer.Write(t.Context(), io.Discard, l.files, c.Content(src)); err != nil {
			t.Fatal(err)
		}
		c.Done()
	}
	return p
}

// counted is a source that counts the files that are read to their end, and the files of which only
// the start is read.
type counted struct {
	*texts
	read, started map[string]int
}

func (s *counted) NewReader() Reader { return s }

func (s *counted) WriteFile(ctx context.Context, w io.Writer, f *format.File) (int64, error) {
	s.read[f.Path]++
	return s.texts.WriteFile(ctx, w, f)
}

func (s *counted) ReadStart(f *format.File, p []byte) (int, error) {
	s.started[f.Path]++
	return s.texts.ReadStart(f, p)
}

func newCounted(of map[string]string) *counted {
	return &counted{&texts{of: of}, map[string]int{}, map[string]int{}}
}

func (s *counted) open(context.Context, *format.Header) (Contents, error) { return s, nil }

// mixedRoot contains everything that affects contents: links, compiled Python, empty files, several
// components in a directory, and files of a package.
func mixedRoot() ([]format.Record, map[string]string) {
	at := func(path, component string, size int64, change ...func(*format.File)) *format.File {
		return with(file(path, component), func(f *format.File) {
			f.Size, f.MTime = size, 2000
			for _, c := range change {
				c(f)
			}
		})
	}
	linked := func(f *format.File) { f.Hardlink = 3 }
	return []format.Record{
		&format.Header{Version: 1, Stage: format.StageAssign},
		&format.Component{Name: "pkg", MtimeClamp: 150, HasMtimeClamp: true},
		dir("/"), dir("/__pycache__"), at("/__pycache__/x.cpython-313.pyc", "py", 16), at("/__pycache__/y.cpython-313.pyc", "py", 16),
		at("/a", "app", 40), at("/b", "app", 70_000), at("/c", "db", 40), at("/d", "app", 0), at("/l1", "db", 9, linked), at("/l2", "db", 9, linked),
		at("/p", "pkg", 40), at("/x.py", "py", 30),
		&format.File{Path: "/z", Type: format.TypeSymlink, Target: "a", MTime: 900, Components: []string{"app"}},
	}, map[string]string{"/__pycache__/x.cpython-313.pyc": "\xf3\x0d\r\n\x00\x00\x00\x00\xd0\x07\x00\x00"}
}

// Layers that package write completes have the same records as layers that pack completes itself.
func TestIncompleteGivesTheSameRecords(t *testing.T) {
	records, of := mixedRoot()
	for name, opt := range map[string]Options{"": {}, "in two layers": {Max: 2}, "in parts": {MaxLayerSize: 30_000}, "one layer": {Max: 1}} {
		src := &texts{of: of}
		opt.Open = src.open
		want, first := run(t, opt, records...)
		opt.Incomplete = true
		src.read.Store(0)
		got, report := run(t, opt, records...)
		if n := src.read.Load(); n != 1 { // the start of compiled Python that has a source
			t.Errorf("%s: %d files were read", name, n)
		}
		if slicesEqual(want, got) {
			t.Errorf("%s: the records are complete", name)
		}
		if !slicesEqual(want, completed(t, got, src)) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got.listing(), want.listing())
		}
		if report.Unbounded != first.Unbounded {
			t.Errorf("%s: %d components without a bound", name, report.Unbounded)
		}
		// The next build keeps all times, and has the same records again.
		opt.PreviousLayout = layoutOf(first)
		for _, opt.Incomplete = range []bool{true, false} {
			again, report := run(t, opt, touchAll(records, 0)...)
			if report.KeptTimes != report.Unbounded || !slicesEqual(want, completed(t, again, src)) {
				t.Errorf("%s: %d of %d components kept their times; got\n%s\nwant\n%s", name, report.KeptTimes, report.Unbounded, again.listing(), want.listing())
			}
		}
	}
}

// slicesEqual compares the layers of two streams.
func slicesEqual(a, b *packed) bool {
	if len(a.layers) != len(b.layers) {
		return false
	}
	for i := range a.layers {
		if !reflect.DeepEqual(a.layers[i].Layer, b.layers[i].Layer) || a.layers[i].records() != b.layers[i].records() {
			return false
		}
	}
	return true
}

// With a previous image, only files of components with the same attributes are read.
func TestReadsWhereItMatters(t *testing.T) {
	records, of := mixedRoot()
	src := newCounted(of)
	_, first := run(t, Options{Open: src.open}, records...)
	longer := change(records, "/c", func(f *format.File) { f.Size++ })
	for _, test := range []struct {
		name    string
		records []format.Record
		opt     Options
		read    string // in order
		kept    int
	}{
		{"nothing changed", records, Options{Incomplete: true, PreviousLayout: layoutOf(first)}, "/__pycache__/x.cpython-313.pyc /__pycache__/y.cpython-313.pyc /a /b /c /l1 /x.py", 3},
		{"one component changed", longer, Options{Incomplete: true, PreviousLayout: layoutOf(first)}, "/__pycache__/x.cpython-313.pyc /__pycache__/y.cpython-313.pyc /a /b /x.py", 2},
		{"with a plan", longer, Options{Incomplete: true, PreviousLayout: layoutOf(first), Planned: func([]Planned) error { return nil }}, "/__pycache__/x.cpython-313.pyc /__pycache__/y.cpython-313.pyc /a /b /c /l1 /x.py", 2},
		{"in a pipe", longer, Options{PreviousLayout: layoutOf(first)}, "/__pycache__/x.cpython-313.pyc /__pycache__/y.cpython-313.pyc /a /b /c /l1 /x.py", 2},
		{"no last image", records, Options{Incomplete: true}, "", 0},
		{"for patch layers", records, Options{Incomplete: true, MaxStale: 1}, "/__pycache__/x.cpython-313.pyc /__pycache__/y.cpython-313.pyc /a /b /c /l1 /p /x.py", 0},
	} {
		src := newCounted(of)
		test.opt.Open, test.opt.Threads = src.open, 1
		_, report := run(t, test.opt, test.records...)
		if got := strings.Join(sortedNames(src.read), " "); got != test.read || report.KeptTimes != test.kept {
			t.Errorf("%s: read %s, want %s; %d components kept their times", test.name, got, test.read, report.KeptTimes)
		}
		for path, n := range src.read {
			if n != 1 {
				t.Errorf("%s: %s was read %d times", test.name, path, n)
			}
		}
	}
}
