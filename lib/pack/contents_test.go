package pack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"chunkah/format"
	"chunkah/lib/group"
)

// texts is a source that maps paths to contents. A file that is not listed contains its own path.
type texts struct {
	of     map[string]string
	opened atomic.Int64
	read   atomic.Int64
	closed atomic.Bool
}

func (s *texts) NewReader() Reader { return s }

func (s *texts) Close() error {
	s.closed.Store(true)
	return nil
}

func (s *texts) WriteFile(_ context.Context, w io.Writer, f *format.File) (int64, error) {
	s.read.Add(1)
	text, known := s.of[f.Path]
	switch {
	case text == "denied":
		return 0, fs.ErrPermission
	case text == "broken":
		return 0, errors.New("reading " + f.Path + ": broken")
	case !known:
		text = f.Path
	}
	text += strings.Repeat(" ", max(int(f.Size)-len(text), 0))
	n, err := io.WriteString(w, text[:f.Size])
	return int64(n), err
}

func (s *texts) ReadStart(f *format.File, p []byte) (int, error) {
	var data bytes.Buffer
	_, err := s.WriteFile(context.Background(), &data, f)
	return copy(p, data.Bytes()), err
}

func (s *texts) open(context.Context, *format.Header) (Contents, error) {
	s.opened.Add(1)
	return s, nil
}

// datedRoot returns a root with two components without an mtime clamp, and one component of a
// package.
func datedRoot() []format.Record {
	at := func(path, component string, mtime int64) *format.File {
		return with(file(path, component), func(f *format.File) { f.Size, f.MTime = 40, mtime })
	}
	return []format.Record{
		&format.Header{Version: 1, Stage: format.StageAssign},
		&format.Component{Name: "pkg", MtimeClamp: 150, HasMtimeClamp: true},
		dir("/"), at("/a", "app", 100), at("/b", "app", 300), at("/c", "db", 200), at("/p", "pkg", 400),
		&format.File{Path: "/s", Type: format.TypeSymlink, Target: "a", MTime: 900, Components: []string{"app"}},
	}
}

func change(list []format.Record, path string, change func(*format.File)) []format.Record {
	list = clone(list)
	for _, rec := range list {
		if f, ok := rec.(*format.File); ok && f.Path == path {
			change(f)
		}
	}
	return list
}

func touchAll(list []format.Record, by int64) []format.Record {
	list = clone(list)
	for _, rec := range list {
		if f, ok := rec.(*format.File); ok {
			f.MTime += by
		}
	}
	return list
}

func epoch(list []format.Record, date int64) []format.Record {
	list = clone(list)
	h := list[0].(*format.Header)
	h.SourceDate, h.HasSourceDate = date, true
	return list
}

// timesOf returns the times in a packed stream by path, except those of directories.
func timesOf(p *packed) map[string]int64 {
	times := make(map[string]int64)
	for _, l := range p.layers {
		for _, f := range l.files {
			if f.Type != format.TypeDir {
				times[f.Path] = f.MTime
			}
		}
	}
	return times
}

// bodies returns the files of each layer, without contents.
func bodies(p *packed) (list []string) {
	for _, l := range p.layers {
		list = append(list, l.records())
	}
	return list
}

// All files of a component without an mtime clamp get the same time: the time of the component's
// newest regular file, or the source date. A package has its own time, regardless of the source
// date.
func TestOpenTimes(t *testing.T) {
	for name, test := range map[string]struct {
		records []format.Record
		want    map[string]int64
	}{
		"no clock":      {datedRoot(), map[string]int64{"/a": 300, "/b": 300, "/c": 200, "/p": 150, "/s": 300}},
		"source date":   {epoch(datedRoot(), 250), map[string]int64{"/a": 250, "/b": 250, "/c": 200, "/p": 150, "/s": 250}},
		"date before":   {epoch(datedRoot(), 1), map[string]int64{"/a": 1, "/b": 1, "/c": 1, "/p": 150, "/s": 1}},
		"before 1970":   {epoch(datedRoot(), -5), map[string]int64{"/a": -5, "/b": -5, "/c": -5, "/p": 150, "/s": -5}},
		"size unknown":  {change(datedRoot(), "/a", func(f *format.File) { f.Size = format.SizeUnknown }), map[string]int64{"/a": 100, "/b": 300, "/c": 200, "/p": 150, "/s": 300}},
		"no file there": {[]format.Record{dir("/"), &format.File{Path: "/s", Type: format.TypeSymlink, Target: "a", MTime: 9, Components: []string{"a"}}}, map[string]int64{"/s": 9}},
	} {
		src := &texts{}
		p, _ := run(t, Options{Open: src.open}, test.records...)
		if got := timesOf(p); !maps.Equal(got, test.want) {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
		if src.closed.Load() != (src.opened.Load() > 0) {
			t.Errorf("%s: the source stays open", name)
		}
	}
}

// next packs a root as the next build would.
func next(t *testing.T, opt Options, prev *Report, records []format.Record) (*packed, *Report) {
	t.Helper()
	opt.PreviousLayout = layoutOf(prev)
	return run(t, opt, records...)
}

// Unchanged components keep the previous image's times.
func TestTimesFollowContents(t *testing.T) {
	was := &texts{}
	all := []string{"app", "db"}
	for _, test := range []struct {
		name    string
		records []format.Record
		texts   map[string]string
		keep    []string // components
	}{
		{"nothing changed", datedRoot(), nil, all},
		{"touched", touchAll(datedRoot(), 77), nil, all},
		{"older", touchAll(datedRoot(), -77), nil, all},
		{"one older", change(datedRoot(), "/a", func(f *format.File) { f.MTime = 2 }), nil, all},
		{"with a later source date", epoch(datedRoot(), 1000), nil, all},
		{"a later source date, touched", epoch(touchAll(datedRoot(), 5000), 1000), nil, all},
		{"other bytes of equal size", touchAll(datedRoot(), 77), map[string]string{"/c": "other"}, []string{"app"}},
		{"a mode", change(touchAll(datedRoot(), 77), "/a", func(f *format.File) { f.Mode = 0o600 }), nil, []string{"db"}},
		{"a link", change(touchAll(datedRoot(), 77), "/s", func(f *format.File) { f.Target = "b" }), nil, []string{"db"}},
		{"a directory", change(touchAll(datedRoot(), 77), "/", func(f *format.File) { f.Mode = 0o700 }), nil, nil},
		{"a new path", change(touchAll(datedRoot(), 77), "/c", func(f *format.File) { f.Path = "/cc" }), map[string]string{"/cc": "/c"}, []string{"app"}},
		{"swapped", touchAll(datedRoot(), 77), map[string]string{"/b": "/c", "/c": "/b"}, nil},
		{"may not be read", touchAll(datedRoot(), 77), map[string]string{"/c": "denied"}, []string{"app"}},
		{"size not known", change(touchAll(datedRoot(), 77), "/c", func(f *format.File) { f.Size = format.SizeUnknown }), nil, []string{"app"}},
	} {
		before, first := run(t, Options{Open: was.open}, datedRoot()...)
		now := &texts{of: test.texts}
		p, report := next(t, Options{Open: now.open}, first, test.records)
		if report.KeptTimes != len(test.keep) || report.Unbounded != 2 {
			t.Errorf("%s: %d of %d components kept their times", test.name, report.KeptTimes, report.Unbounded)
		}
		for i, c := range p.components {
			same := c.MtimeClamp == before.components[i].MtimeClamp
			if kept := slices.Contains(test.keep, c.Name) || c.Name == "pkg"; same != kept && !strings.Contains(test.name, "size") && test.name != "a new path" {
				t.Errorf("%s: %s had the time %d, and has %d", test.name, c.Name, before.components[i].MtimeClamp, c.MtimeClamp)
			}
		}
		if len(test.keep) == 2 && !slices.Equal(bodies(p), bodies(before)) {
			t.Errorf("%s: got\n%s\nwant\n%s", test.name, p.listing(), before.listing())
		}
	}
}

// All builds in a chain keep the times of the first build, regardless of how components are grouped
// or split.
func TestTimesInChain(t *testing.T) {
	records := []format.Record{&format.Header{Version: 1}, dir("/")}
	for i := range 60 {
		records = append(records, with(file(fmt.Sprintf("/f%02d", i), fmt.Sprintf("c%d", i%3)), func(f *format.File) {
			f.Size, f.MTime = 2000, int64(1000+i)
		}))
	}
	for _, opt := range []Options{{Max: 2}, {}, {MaxLayerSize: 20_000}} {
		src := &texts{}
		opt.Open = src.open
		first, report := run(t, opt, records...)
		for round := range 10 {
			var p *packed
			p, report = next(t, opt, report, epoch(touchAll(records, int64(round)*1000), 1_000_000+int64(round)))
			if !slices.Equal(bodies(p), bodies(first)) {
				t.Fatalf("%+v, round %d: got\n%s\nwant\n%s", opt, round, p.listing(), first.listing())
			}
		}
		// After a change of one byte, layers that do not contain this component are the same.
		src.of = map[string]string{"/f07": "x"}
		p, _ := next(t, opt, report, touchAll(records, 99_000))
		changed := p.of(t, p.holder(t, "/f07"))
		for i, l := range p.layers {
			if same := l.records() == first.layers[i].records(); same == (l == changed) {
				t.Errorf("%+v: layer %d of %v is the same: %t", opt, i, l.Components, same)
			}
		}
	}
}

// holder returns the component of a path.
func (p *packed) holder(t *testing.T, path string) string {
	for _, l := range p.layers {
		for _, f := range l.files {
			if f.Path == path {
				return f.Components[0]
			}
		}
	}
	t.Fatalf("no layer has %q", path)
	return ""
}

// The source date takes precedence over the previous image. Without a source, files keep their own
// times.
func TestTimesThatAreNotKept(t *testing.T) {
	src := &texts{}
	_, first := run(t, Options{Open: src.open}, datedRoot()...)
	p, _ := next(t, Options{Open: src.open}, first, epoch(datedRoot(), 50))
	if got := timesOf(p); got["/a"] != 50 || got["/c"] != 50 || got["/p"] != 150 {
		t.Errorf("with an earlier source date: %v", got)
	}
	p, report := next(t, Options{}, first, touchAll(datedRoot(), 77))
	if got := timesOf(p); got["/a"] != 177 || got["/b"] != 377 || report.KeptTimes != 0 {
		t.Errorf("without a source: %v", got)
	}
	// A plan of an earlier version contains no times, and a damaged plan contains invalid times.
	for _, times := range []map[string]group.Dated{nil, {"app": {Contents: first.Plan[0].Record.Contents[0], Time: 1 << 40}}} {
		prev := layoutOf(first)
		prev.Times = times
		if p, report := run(t, Options{Open: src.open, PreviousLayout: prev}, touchAll(datedRoot(), 77)...); report.KeptTimes != 0 || timesOf(p)["/a"] != 377 {
			t.Errorf("with the times %v: %v", times, timesOf(p))
		}
	}
}

// Only files of components without an mtime clamp are read, and each inode is read only once.
func TestReadsOpenFilesOnce(t *testing.T) {
	src := &texts{}
	linked := func(f *format.File) { f.Hardlink, f.Size = 7, 5 }
	run(t, Options{Open: src.open}, &format.Component{Name: "pkg", MtimeClamp: 1, HasMtimeClamp: true}, dir("/"),
		with(file("/a", "app"), linked), with(file("/b", "pkg"), linked), with(file("/c", "pkg"), func(f *format.File) { f.Size = 3 }),
		with(file("/empty", "app"), func(f *format.File) { f.Size = 0 }))
	if src.read.Load() != 1 {
		t.Errorf("%d files were read", src.read.Load())
	}
	none := &texts{}
	run(t, Options{Open: none.open}, &format.Component{Name: "pkg", MtimeClamp: 1, HasMtimeClamp: true}, dir("/"), file("/c", "pkg"))
	if none.opened.Load() != 0 {
		t.Error("the source was opened for nothing")
	}
}

// A read error fails the run, unless the whole source is missing.
func TestReadFaults(t *testing.T) {
	src := &texts{of: map[string]string{"/b": "broken"}}
	if _, _, err := try(Options{Open: src.open}, datedRoot()...); err == nil || !strings.Contains(err.Error(), "/b: broken") || !src.closed.Load() {
		t.Errorf("got %v, closed: %t", err, src.closed.Load())
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("stopped"))
	in := source(datedRoot())
	if _, err := Run(ctx, &in, &packed{}, Options{Open: src.open}); err == nil || err.Error() != "stopped" {
		t.Errorf("got %v", err)
	}
	_, first := run(t, Options{Open: (&texts{}).open}, datedRoot()...)
	for err, gone := range map[error]bool{fs.ErrNotExist: true, fs.ErrPermission: true, errors.New("down"): false} {
		open := func(context.Context, *format.Header) (Contents, error) { return nil, err }
		_, report, got := try(Options{Open: open, PreviousLayout: layoutOf(first)}, datedRoot()...)
		if gone != (got == nil) || gone && !report.NoSource {
			t.Errorf("%v: got %+v, %v", err, report, got)
		}
	}
}

// The times and contents in a layer record are small, and empty if there are no times.
func TestRecordOfTimes(t *testing.T) {
	_, report := run(t, Options{Open: (&texts{}).open}, datedRoot()...)
	for _, l := range report.Plan {
		rec := *l.Record
		known := slices.ContainsFunc(rec.Contents, func(s string) bool { return s != "" })
		if open := rec.Components[0] != "pkg"; known != open || len(rec.Times) != len(rec.Contents) {
			t.Errorf("got %+v", rec)
		}
		with, err := format.Line(&rec)
		if err != nil {
			t.Fatal(err)
		}
		rec.Times, rec.Contents = nil, nil
		without, _ := format.Line(&rec)
		// In a config, quotes take two bytes.
		if more := len(with) - len(without) + strings.Count(with, `"`) - strings.Count(without, `"`) - len(`"times":[],"contents":[],`) - 4; more > 40 {
			t.Errorf("a component takes %d bytes: %s", more, with)
		}
	}
}

// Grouping uses the newest update as the current time, regardless of the source date.
func TestGroupingHasItsOwnClock(t *testing.T) {
	records, files := []format.Record{&format.Header{Version: 1}}, []format.Record{dir("/")}
	for i := range 40 {
		c := &format.Component{Name: fmt.Sprintf("c%02d", i), MtimeClamp: 1_700_000_000, HasMtimeClamp: true}
		for n := range i % 7 {
			c.Updates = append(c.Updates, 1_700_000_000-int64(n*i)*864_000)
		}
		records = append(records, c)
		files = append(files, with(file("/"+c.Name, c.Name), func(f *format.File) { f.Size = int64(1000 * (i + 1)) }))
	}
	records = append(records, files...)
	want, report := run(t, Options{Max: 8}, records...)
	if report.Now != 1_700_000_000 {
		t.Errorf("the clock is %d", report.Now)
	}
	for _, date := range []int64{-1, 0, 1, 1_577_836_800, 1_800_000_000} {
		p, _ := run(t, Options{Max: 8}, epoch(records, date)...)
		if !slices.Equal(bodies(p), bodies(want)) || p.layers[0].StabilityPPM != want.layers[0].StabilityPPM {
			t.Errorf("with the source date %d: got\n%s\nwant\n%s", date, p.listing(), want.listing())
		}
	}
}
