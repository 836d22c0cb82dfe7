package pack

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
)

func TestClamps(t *testing.T) {
	at := func(f *format.File, mtime int64) *format.File {
		return with(f, func(f *format.File) { f.MTime, f.MTimeNsec = mtime, 999_999_999 })
	}
	link := func(path string, components ...string) *format.File {
		return &format.File{Path: path, Type: format.TypeSymlink, Target: "x", Components: components}
	}
	tests := []struct {
		name    string
		header  format.Header
		records []format.Record
		want    map[string]int64 // mtimes by path, in the layer of component a
		clamp   int64
	}{
		{
			name: "build time",
			records: []format.Record{
				&format.Component{Name: "a", MtimeClamp: 500, HasMtimeClamp: true},
				at(dir("/", "a"), 9000), at(file("/new", "a"), 501), at(file("/old", "a"), 499), at(file("/same", "a"), 500),
			},
			want: map[string]int64{"/": 500, "/new": 500, "/old": 499, "/same": 500}, clamp: 500,
		},
		{
			name: "newest regular file",
			records: []format.Record{
				at(dir("/"), 9000), at(dir("/d", "a"), 8000), at(file("/d/1", "a"), 100), at(file("/d/2", "a"), 300),
				at(link("/d/3", "a"), 400), at(file("/e", "b"), 7000),
			},
			want: map[string]int64{"/": 300, "/d": 300, "/d/1": 100, "/d/2": 300, "/d/3": 300}, clamp: 300,
		},
		{
			name:    "newest of what there is",
			records: []format.Record{at(link("/1", "a"), 400), at(link("/2", "a"), 300)},
			want:    map[string]int64{"/": 400, "/1": 400, "/2": 300}, clamp: 400,
		},
		{
			name:    "directories alone",
			records: []format.Record{at(dir("/"), 9000), at(dir("/d", "a"), 8000)},
			want:    map[string]int64{"/": 0, "/d": 0}, clamp: 0,
		},
		{
			name:   "source date before a package",
			header: format.Header{SourceDate: 200, HasSourceDate: true},
			records: []format.Record{
				&format.Component{Name: "a", MtimeClamp: 500, HasMtimeClamp: true},
				at(dir("/"), 9000), at(file("/new", "a"), 400), at(file("/old", "a"), 100),
			},
			want: map[string]int64{"/": 500, "/new": 400, "/old": 100}, clamp: 500,
		},
		{
			name:   "source date without a package",
			header: format.Header{SourceDate: 200, HasSourceDate: true},
			records: []format.Record{
				at(dir("/"), 9000), at(file("/new", "a"), 400), at(file("/old", "a"), 100),
			},
			want: map[string]int64{"/": 200, "/new": 200, "/old": 100}, clamp: 200,
		},
		{
			name:    "before 1970",
			records: []format.Record{at(dir("/"), 5), at(file("/1", "a"), -100)},
			want:    map[string]int64{"/": -100, "/1": -100}, clamp: -100,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			header := tt.header
			header.Version = 1
			p, _ := run(t, Options{}, append([]format.Record{&header}, tt.records...)...)
			l := p.of(t, "a")
			got := map[string]int64{}
			for _, f := range l.files {
				if got[f.Path] = f.MTime; f.MTimeNsec != 0 {
					t.Errorf("%q has nanoseconds", f.Path)
				}
			}
			if !maps.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if c := p.components[0]; c.Name != "a" || !c.HasMtimeClamp || c.MtimeClamp != tt.clamp {
				t.Errorf("got %+v, want clamp %d", *c, tt.clamp)
			}
		})
	}
}

// The directories in a layer get the time of the newest clamp in the layer.
func TestLayerClamp(t *testing.T) {
	older := with(file("/usr/a", "a"), func(f *format.File) { f.MTime = 100 })
	newer := with(file("/usr/b", "b"), func(f *format.File) { f.MTime = 200 })
	p, _ := run(t, Options{Max: 1}, dir("/"), dir("/usr"), older, newer)
	l := p.layers[0]
	if d := l.file(t, "/usr"); d.MTime != 200 || !d.Implied || l.file(t, "/usr/a").MTime != 100 {
		t.Errorf("got\n%s", l.listing())
	}
}

func TestHeader(t *testing.T) {
	h := format.Header{Version: 1, Root: "/r", NewestMtime: 99999, HasNewestMtime: true}
	p, _ := run(t, Options{}, &h, dir("/"), with(file("/1", "a"), func(f *format.File) { f.MTime = 70 }),
		with(file("/2", "b"), func(f *format.File) { f.MTime = 80 }),
		&format.Component{Name: "b", MtimeClamp: 5, HasMtimeClamp: true})
	want := format.Header{Version: 1, Stage: format.StagePack, Root: "/r", NewestMtime: 80, HasNewestMtime: true}
	if !reflect.DeepEqual(*p.header, want) {
		t.Errorf("got %+v, want %+v", *p.header, want)
	}
	h.SourceDate, h.HasSourceDate = 60, true
	p, _ = run(t, Options{}, &h, file("/1", "a"))
	want = format.Header{Version: 1, Stage: format.StagePack, Root: "/r", NewestMtime: 1000, HasNewestMtime: true, SourceDate: 60, HasSourceDate: true}
	if !reflect.DeepEqual(*p.header, want) {
		t.Errorf("got %+v, want %+v", *p.header, want)
	}
	if p, _ = run(t, Options{}, &format.Header{Version: 1}, dir("/d", "a")); p.header.HasNewestMtime {
		t.Errorf("without a regular file: %+v", *p.header)
	}
}

func TestControlXattrs(t *testing.T) {
	marked := func(f *format.File, names ...string) *format.File {
		return with(f, func(f *format.File) {
			for _, name := range names {
				f.Xattrs = append(f.Xattrs, format.Xattr{Name: name, Value: []byte("x")})
			}
		})
	}
	records := []format.Record{
		marked(dir("/"), "user.component"),
		marked(file("/a", "a"), "security.capability", "user.component", "user.update-interval", "user.z"),
		marked(file("/b", "b"), "user.chunkah.mark", "user.component.not", "user.componentx"),
	}
	p, report := run(t, Options{}, clone(records)...)
	if got := p.of(t, "a").file(t, "/a").Xattrs; len(got) != 2 || got[0].Name != "security.capability" || got[1].Name != "user.z" {
		t.Errorf("/a has %v", got)
	}
	if got := p.of(t, "b").file(t, "/b").Xattrs; len(got) != 2 || got[0].Name != "user.component.not" {
		t.Errorf("/b has %v", got)
	}
	if got := p.of(t, "b").file(t, "/").Xattrs; len(got) != 0 {
		t.Errorf("/ has %v", got)
	}
	want := map[string]int64{"user.component": 2, "user.update-interval": 1, "user.chunkah.mark": 1}
	if !maps.Equal(report.Stripped, want) {
		t.Errorf("got %v, want %v", report.Stripped, want)
	}

	p, report = run(t, Options{KeepXattrs: []string{"user.component", "user.absent"}}, clone(records)...)
	if got := p.of(t, "a").file(t, "/a").Xattrs; len(got) != 3 || got[1].Name != "user.component" {
		t.Errorf("keeping it, /a has %v", got)
	}
	if got := p.of(t, "b").file(t, "/").Xattrs; len(got) != 1 {
		t.Errorf("keeping it, / has %v", got)
	}
	if delete(want, "user.component"); !maps.Equal(report.Stripped, want) {
		t.Errorf("keeping one: got %v, want %v", report.Stripped, want)
	}
}

func TestUnclaimed(t *testing.T) {
	p, _ := run(t, Options{}, dir("/"), dir("/empty"), dir("/full"), file("/full/a", "a"), file("/lost"))
	l := p.of(t, "chunkah/unclaimed")
	if got := l.paths(); !slices.Equal(got, []string{"/", "/lost"}) {
		t.Errorf("got %q", got)
	}
	// The component loses the directory as soon as the directory contains a file, so the component
	// must be in a small layer.
	if d := p.of(t, "chunkah/empty-directories").file(t, "/empty"); d.Implied || !slices.Equal(d.Components, emptyDirs) {
		t.Errorf("got %+v", *d)
	}
	if got := p.of(t, "a").paths(); !slices.Equal(got, []string{"/", "/full", "/full/a"}) {
		t.Errorf("got %q", got)
	}
}

// A directory belongs to all of its components, but any other file belongs only to its first
// component.
func TestSeveralComponents(t *testing.T) {
	p, _ := run(t, Options{}, dir("/"), dir("/shared", "b", "a", "b"), file("/shared/x", "c", "a"))
	for _, name := range []string{"a", "b"} {
		if d := p.of(t, name).file(t, "/shared"); d.Implied || !slices.Equal(d.Components, []string{name}) {
			t.Errorf("%s: %+v", name, *d)
		}
	}
	l := p.of(t, "c")
	if d := l.file(t, "/shared"); !d.Implied || d.Components != nil {
		t.Errorf("c: %+v", *d)
	}
	if x := l.file(t, "/shared/x"); !slices.Equal(x.Components, []string{"c"}) {
		t.Errorf("c: %+v", *x)
	}
	p, _ = run(t, Options{Max: 1}, dir("/"), dir("/shared", "b", "a", "b"), file("/shared/x", "c", "a"))
	if d := p.layers[0].file(t, "/shared"); d.Implied || !slices.Equal(d.Components, []string{"a", "b"}) {
		t.Errorf("together: %+v", *d)
	}
}

// All hard links to an inode belong to the component of the first link that has a component.
func TestHardlinks(t *testing.T) {
	link := func(path string, components ...string) *format.File {
		return with(file(path, components...), func(f *format.File) { f.Hardlink = 4 })
	}
	p, _ := run(t, Options{}, dir("/"), link("/1"), link("/2", "b", "c"), link("/3", "a"), file("/4", "a"))
	if got := p.of(t, "b").paths(); !slices.Equal(got, []string{"/", "/1", "/2", "/3"}) {
		t.Errorf("b has %q", got)
	}
	p, _ = run(t, Options{}, link("/1"), link("/2"), file("/4", "a"))
	if got := p.of(t, "chunkah/unclaimed").paths(); !slices.Equal(got, []string{"/", "/1", "/2"}) {
		t.Errorf("unclaimed has %q", got)
	}
}

func TestEmptyComponentsAreLeftOut(t *testing.T) {
	p, report := run(t, Options{}, &format.Component{Name: "gone", IntervalDays: 3}, file("/a", "a"),
		&format.Component{Name: "a", IntervalDays: 9, Updates: []int64{4, 5}})
	if len(p.components) != 1 || p.components[0].IntervalDays != 9 || len(p.components[0].Updates) != 2 || report.Components != 1 {
		t.Errorf("got\n%s", p.listing())
	}
}

func TestRefused(t *testing.T) {
	tests := []struct {
		name    string
		records []format.Record
		want    string
	}{
		{"packed", []format.Record{&format.Header{Version: 1, Stage: format.StagePack}}, "packed already: pass it to chunkah-write"},
		{"layers", []format.Record{&format.Header{Version: 1}, &format.Layer{}}, "has layers already: pass it to chunkah-write"},
		{"empty", []format.Record{&format.Header{Version: 1}}, "no files"},
		{"untagged", []format.Record{dir("/"), file("/a")}, "no file has a component: run chunkah-assign"},
		{"two records", []format.Record{&format.Component{Name: "a"}, &format.Component{Name: "a"}}, `the stream contains two records of component "a"`},
		{"below a file", []format.Record{file("/a", "a"), file("/a/b", "a")}, `"/a" is a file, but has entries below it`},
		{"far below a file", []format.Record{file("/a", "a"), file("/a/b/c", "a")}, `"/a" is a file`},
		{"below a symlink", []format.Record{
			dir("/"), &format.File{Path: "/l", Type: format.TypeSymlink, Target: "/", Components: []string{"a"}}, file("/l/x"),
		}, `"/l" is a symlink`},
		{"hard links of two sizes", []format.Record{
			with(file("/a", "a"), func(f *format.File) { f.Hardlink = 1 }),
			with(file("/b", "a"), func(f *format.File) { f.Hardlink, f.Size = 1, 7 }),
		}, `"/a" and "/b" are hard links to one file`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, _, err := try(Options{}, tt.records...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if p.header != nil || p.finished {
				t.Error("something was written")
			}
		})
	}
	if _, _, err := try(Options{}, file("/a")); !errors.Is(err, errNoComponents) {
		t.Errorf("got %v", err)
	}
	for _, most := range []int{-1, 501} {
		if _, _, err := try(Options{Max: most}, file("/a", "a")); err == nil {
			t.Errorf("%d layers were taken", most)
		}
	}
}

// faulty fails after some records.
type faulty struct {
	in   source
	left int
	err  error
}

func (f *faulty) Next() (format.Record, error) {
	if f.left--; f.left < 0 {
		return nil, f.err
	}
	return f.in.Next()
}

// A broken stream or a cancelled context ends the run without output.
func TestBrokenInput(t *testing.T) {
	records := source{&format.Header{Version: 1}, file("/a", "a"), file("/b", "a")}
	for n := range len(records) + 1 {
		p := &packed{}
		_, err := Run(context.Background(), &faulty{slices.Clone(records), n, format.ErrTruncated}, p, Options{})
		if !errors.Is(err, format.ErrTruncated) || p.header != nil {
			t.Errorf("after %d records: %v, wrote %v", n, err, p.header)
		}
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("cause")
	cancel(cause)
	in := slices.Clone(records)
	if _, err := Run(ctx, &in, &packed{}, Options{}); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}

type full struct {
	packed
	left int
}

func (f *full) Write(rec format.Record) error {
	if f.left--; f.left < 0 {
		return errFull
	}
	return f.packed.Write(rec)
}

var errFull = errors.New("full")

// If the output fails at any point, Run returns its error, and there is no end record.
func TestBrokenOutput(t *testing.T) {
	records := source{&format.Header{Version: 1}, file("/a", "a"), file("/b", "b")}
	in := slices.Clone(records)
	whole := &full{left: 1000}
	if _, err := Run(context.Background(), &in, whole, Options{}); err != nil {
		t.Fatal(err)
	}
	for n := range 1000 - whole.left {
		in, out := slices.Clone(records), &full{left: n}
		if _, err := Run(context.Background(), &in, out, Options{}); !errors.Is(err, errFull) || out.finished {
			t.Errorf("after %d records: %v, finished %v", n, err, out.finished)
		}
	}
}

func TestRootsOwnRecord(t *testing.T) {
	root := with(dir("/"), func(f *format.File) { f.Mode, f.UID = 0o1700, 5 })
	p, _ := run(t, Options{}, root, file("/a", "a"), file("/b", "b"))
	for _, l := range p.layers {
		if f := l.files[0]; f.Path != "/" || f.Mode != 0o1700 || f.UID != 5 || !f.Implied {
			t.Errorf("got %+v", *f)
		}
	}
}

// The records of packed files contain only the data that a layer's tar contains.
func TestOutputIsAFixedPoint(t *testing.T) {
	f := with(file("/a", "a", "b"), func(f *format.File) { f.Xattrs = []format.Xattr{{Name: "user.x", Value: []byte("1")}} })
	p, _ := run(t, Options{}, f)
	got := *p.of(t, "a").file(t, "/a")
	want := *f
	want.Components = []string{"a"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
