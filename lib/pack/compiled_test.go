package pack

import (
	"slices"
	"testing"

	"chunkah/format"
)

// The source of a compiled Python file keeps the time that the compiled file contains. Otherwise,
// Python would compile the source again.
func TestCompiledPythonStaysValid(t *testing.T) {
	root := func(py int64) []format.Record {
		at := func(path string, mtime int64) *format.File {
			return with(file(path, "app"), func(f *format.File) { f.Size, f.MTime = 16, mtime })
		}
		return []format.Record{&format.Header{Version: 1}, dir("/"), dir("/__pycache__"),
			at("/__pycache__/x.cpython-313.pyc", 5000), at("/x.py", py), at("/y.py", 3000)}
	}
	timed := "\xf3\x0d\r\n\x00\x00\x00\x00\xd0\x07\x00\x00" // 2000
	hashed := "\xf3\x0d\r\n\x01\x00\x00\x00\xd0\x07\x00\x00"
	for _, test := range []struct {
		name, pyc string
		py, want  int64
	}{
		{"valid", timed, 2000, 2000},
		{"stale", timed, 2001, 5000},
		{"by hash", hashed, 2000, 5000},
		{"not compiled", "text", 2000, 5000},
	} {
		src := &texts{of: map[string]string{"/__pycache__/x.cpython-313.pyc": test.pyc}}
		p, first := run(t, Options{Open: src.open}, root(test.py)...)
		if got := timesOf(p); got["/x.py"] != test.want || got["/y.py"] != 5000 {
			t.Errorf("%s: got %v, want %d", test.name, got, test.want)
		}
		again, report := next(t, Options{Open: src.open}, first, epoch(root(test.py), 9000))
		if report.KeptTimes != 1 || !slices.Equal(bodies(again), bodies(p)) {
			t.Errorf("%s: built again: %v", test.name, timesOf(again))
		}
		// If the source has another time, the compiled file is stale, which is a change.
		if _, report := next(t, Options{Open: src.open}, first, root(1999)); report.KeptTimes == 1 != (test.want == 5000) {
			t.Errorf("%s: touched: %d kept", test.name, report.KeptTimes)
		}
	}
}

// All hard links to an inode have the same time, even if only one of them is the source of compiled
// Python.
func TestCompiledPythonWithLinks(t *testing.T) {
	at := func(path string, mtime, link int64) *format.File {
		return with(file(path, "app"), func(f *format.File) { f.Size, f.MTime, f.Hardlink = 16, mtime, link })
	}
	root := []format.Record{&format.Header{Version: 1}, dir("/"), dir("/__pycache__"),
		at("/__pycache__/x.cpython-313.pyc", 5000, 0), at("/cache", 2000, 7), at("/x.py", 2000, 7), at("/z", 2000, 7)}
	src := &texts{of: map[string]string{"/__pycache__/x.cpython-313.pyc": "\xf3\x0d\r\n\x00\x00\x00\x00\xd0\x07\x00\x00"}}
	p, first := run(t, Options{Open: src.open}, root...)
	if got := timesOf(p); got["/cache"] != 2000 || got["/x.py"] != 2000 || got["/z"] != 2000 {
		t.Errorf("got %v", got)
	}
	if _, report := next(t, Options{Open: src.open}, first, root); report.KeptTimes != 1 {
		t.Errorf("%d kept", report.KeptTimes)
	}
}

// If the previous image was built with a source date that is earlier than the sources of compiled
// Python, an image without a source date does not keep that time.
func TestCompiledPythonAfterAnEarlySourceDate(t *testing.T) {
	at := func(path string, mtime int64) *format.File {
		return with(file(path, "app"), func(f *format.File) { f.Size, f.MTime = 16, mtime })
	}
	root := func(h format.Header) []format.Record {
		h.Version = 1
		return []format.Record{&h, dir("/"), dir("/__pycache__"), at("/__pycache__/x.cpython-313.pyc", 5000), at("/x.py", 2000)}
	}
	src := &texts{of: map[string]string{"/__pycache__/x.cpython-313.pyc": "\xf3\x0d\r\n\x00\x00\x00\x00\xd0\x07\x00\x00"}}
	_, first := run(t, Options{Open: src.open}, root(format.Header{SourceDate: 5, HasSourceDate: true})...)
	p, report := next(t, Options{Open: src.open}, first, root(format.Header{}))
	if got := timesOf(p); got["/x.py"] != 2000 || report.KeptTimes != 0 {
		t.Errorf("got %v, %d kept", got, report.KeptTimes)
	}
}
