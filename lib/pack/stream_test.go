package pack

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
)

// source returns records.
type source []format.Record

func (s *source) Next() (format.Record, error) {
	if len(*s) == 0 {
		return nil, io.EOF
	}
	rec := (*s)[0]
	*s = (*s)[1:]
	return rec, nil
}

// packed is a sink that keeps the output.
type packed struct {
	header     *format.Header
	components []*format.Component
	layers     []*packedLayer
	finished   bool
}

type packedLayer struct {
	*format.Layer
	files []*format.File
}

func (p *packed) Write(rec format.Record) error {
	switch rec := rec.(type) {
	case *format.Header:
		p.header = rec
	case *format.Component:
		p.components = append(p.components, rec)
	case *format.Layer:
		p.layers = append(p.layers, &packedLayer{Layer: rec})
	case *format.File:
		l := p.layers[len(p.layers)-1]
		l.files = append(l.files, rec)
	}
	return nil
}

func (p *packed) Finish() error {
	p.finished = true
	return nil
}

// of returns the layer that contains a component.
func (p *packed) of(t *testing.T, component string) *packedLayer {
	t.Helper()
	for _, l := range p.layers {
		if slices.Contains(l.Components, component) {
			return l
		}
	}
	t.Fatalf("no layer has the component %q", component)
	return nil
}

// file returns the layer's record for a path.
func (l *packedLayer) file(t *testing.T, path string) *format.File {
	t.Helper()
	for _, f := range l.files {
		if f.Path == path {
			return f
		}
	}
	t.Fatalf("layer %d does not have %q", l.Index, path)
	return nil
}

func (l *packedLayer) paths() (paths []string) {
	for _, f := range l.files {
		paths = append(paths, f.Path)
	}
	return paths
}

// run packs records, in the order of a stream, after an empty header.
func run(t testing.TB, opt Options, records ...format.Record) (*packed, *Report) {
	t.Helper()
	p, report, err := try(opt, records...)
	if err != nil {
		t.Fatal(err)
	}
	return p, report
}

func try(opt Options, records ...format.Record) (*packed, *Report, error) {
	if _, headed := records[0].(*format.Header); !headed {
		records = append([]format.Record{&format.Header{Version: 1, Stage: format.StageAssign}}, records...)
	}
	in, p := source(clone(records)), &packed{}
	report, err := Run(context.Background(), &in, p, opt)
	if err == nil && !p.finished {
		err = fmt.Errorf("the stream was not finished")
	}
	return p, report, err
}

// clone copies records, because a stage may modify its input.
func clone(records []format.Record) []format.Record {
	list := make([]format.Record, len(records))
	for i, rec := range records {
		switch rec := rec.(type) {
		case *format.Header:
			c := *rec
			list[i] = &c
		case *format.Component:
			c := *rec
			list[i] = &c
		case *format.File:
			c := *rec
			c.Xattrs, c.Components = slices.Clone(rec.Xattrs), slices.Clone(rec.Components)
			list[i] = &c
		default:
			list[i] = rec
		}
	}
	return list
}

func file(path string, components ...string) *format.File {
	return &format.File{Path: path, Type: format.TypeFile, Mode: 0o644, Size: 100, MTime: 1000, Components: components}
}

func dir(path string, components ...string) *format.File {
	return &format.File{Path: path, Type: format.TypeDir, Mode: 0o755, MTime: 1000, Components: components}
}

func with(f *format.File, change func(*format.File)) *format.File {
	change(f)
	return f
}

// listing returns a packed stream as text.
func (p *packed) listing() string {
	var b strings.Builder
	fmt.Fprintf(&b, "header %+v\n", *p.header)
	for _, c := range p.components {
		fmt.Fprintf(&b, "component %+v\n", *c)
	}
	for _, l := range p.layers {
		b.WriteString(l.listing())
	}
	return b.String()
}

// sets returns the contents of the layers in any order.
func (p *packed) sets() string {
	var sets []string
	for _, l := range p.layers {
		sets = append(sets, l.records())
	}
	slices.Sort(sets)
	return strings.Join(sets, "\n")
}

func (l *packedLayer) listing() string {
	var b strings.Builder
	fmt.Fprintf(&b, "layer %+v\n", *l.Layer)
	for _, f := range l.files {
		fmt.Fprintf(&b, "  %+v\n", *f)
	}
	return b.String()
}

// records returns a layer without its number and stability, which depend on the plan.
func (l *packedLayer) records() string {
	var b strings.Builder
	for _, f := range l.files {
		fmt.Fprintf(&b, "%+v\n", *f)
	}
	return b.String()
}

// randomTree returns records of a tree with every kind of file, tags and
// hard-link groups, parents included, and component records.
func randomTree(r *rand.Rand) []format.Record {
	t := &randomly{r: r}
	t.tag(t.add("/", format.TypeDir))
	t.fill("", 0)
	t.add("/zz", format.TypeFile).Components = []string{"c0"}
	slices.SortFunc(t.files, func(a, b *format.File) int { return format.ComparePaths(a.Path, b.Path) })
	t.link()
	var records []format.Record
	for i := range r.IntN(8) {
		c := &format.Component{Name: fmt.Sprintf("c%d", i), IntervalDays: r.Int64N(100)}
		if r.IntN(2) == 0 {
			c.MtimeClamp, c.HasMtimeClamp = r.Int64N(3000), true
		}
		records = append(records, c)
	}
	for _, f := range t.files {
		records = append(records, f)
	}
	return records
}

type randomly struct {
	r     *rand.Rand
	files []*format.File
}

func (t *randomly) add(path string, kind format.Type) *format.File {
	f := &format.File{
		Path: path, Type: kind, Mode: uint16(t.r.Uint32N(0o10000)), MTime: t.r.Int64N(3000) - 500, MTimeNsec: t.r.Int32N(2) * 5,
	}
	switch kind {
	case format.TypeFile:
		f.Size = t.r.Int64N(10_000_000)
	case format.TypeSymlink:
		f.Target = "target"
	}
	t.files = append(t.files, f)
	return f
}

func (t *randomly) tag(f *format.File) {
	for range t.r.IntN(4) * t.r.IntN(2) {
		f.Components = append(f.Components, fmt.Sprintf("c%d", t.r.IntN(12)))
	}
}

func (t *randomly) fill(path string, depth int) {
	kinds := []format.Type{format.TypeFile, format.TypeFile, format.TypeSymlink, format.TypeFifo}
	for i := range t.r.IntN(6) {
		name := fmt.Sprintf("%s/%c%d", path, "a-zA"[t.r.IntN(4)], i)
		if t.r.IntN(3) == 0 && depth < 4 {
			t.tag(t.add(name, format.TypeDir))
			t.fill(name, depth+1)
		} else {
			t.tag(t.add(name, kinds[t.r.IntN(len(kinds))]))
		}
	}
}

// link turns some files into hard links.
func (t *randomly) link() {
	first := map[int64]*format.File{}
	for i, f := range t.files {
		if f.Type == format.TypeDir || t.r.IntN(4) > 0 {
			continue
		}
		group := 1 + t.r.Int64N(3)
		if first[group] == nil {
			first[group] = f
			f.Hardlink = group
			continue
		}
		link := *first[group]
		link.Path, link.Components = f.Path, f.Components
		t.files[i] = &link
	}
}
