package pack

import (
	"context"
	"fmt"
	"maps"
	"sync/atomic"
	"testing"

	"chunkah/format"
)

// If an ordinary tar header cannot express the time of a file, the files of the component keep
// their own times, and the report counts the component.
func TestOddTimes(t *testing.T) {
	for _, test := range []struct {
		name  string
		mtime int64
		want  int
	}{{"today", 1_700_000_000, 0}, {"after 2242", 1 << 33, 1}, {"before 1970", -1, 1}} {
		records := datedRoot()
		for _, rec := range records {
			if f, ok := rec.(*format.File); ok && f.Path == "/c" {
				f.MTime = test.mtime
			}
		}
		src := &texts{}
		if _, report := run(t, Options{Open: src.open}, records...); report.Odd != test.want {
			t.Errorf("%s: %d odd components, want %d", test.name, report.Odd, test.want)
		}
		if _, report := run(t, Options{}, records...); report.Odd != 0 {
			t.Errorf("%s: odd without a source", test.name)
		}
	}
}

// In a part whose newest time does not fit into an ordinary tar header, files keep their own times,
// even if files in the other parts of the component do not, and vice versa.
func TestPartsOfOddTimes(t *testing.T) {
	for _, newest := range []int64{100, 1 << 33} {
		records := []format.Record{&format.Header{Version: 1, Stage: format.StageAssign}, dir("/")}
		own := map[string]int64{}
		for i := range 40 {
			path := fmt.Sprintf("/f%02d", i)
			own[path] = int64(-5 - i)
			if i == 0 {
				own[path] = newest
			}
			records = append(records, with(file(path, "app"), func(f *format.File) { f.Size, f.MTime = 5000, own[path] }))
		}
		src := &texts{}
		p, report := run(t, Options{Open: src.open, MaxLayerSize: 60_000}, records...)
		if len(p.layers) < 3 {
			t.Fatalf("%d layers", len(p.layers))
		}
		if report.Odd < len(p.layers)-1 {
			t.Errorf("%d odd components in %d layers", report.Odd, len(p.layers))
		}
		for _, l := range p.layers {
			got, want := map[string]int64{}, map[string]int64{}
			plain := false
			for _, f := range l.files {
				if f.Type != format.TypeDir {
					got[f.Path], want[f.Path] = f.MTime, own[f.Path]
					plain = plain || f.Path == "/f00" && newest == 100
				}
			}
			if plain { // all files have the time of the newest file
				for path := range want {
					want[path] = newest
				}
			}
			if !maps.Equal(got, want) {
				t.Errorf("newest %d: got %v, want %v", newest, got, want)
			}
		}
	}
}

// counting counts its readers.
type counting struct {
	texts
	readers atomic.Int64
}

func (s *counting) NewReader() Reader {
	s.readers.Add(1)
	return s.texts.NewReader()
}

func (s *counting) open(context.Context, *format.Header) (Contents, error) { return s, nil }

// The number of readers equals the number of threads.
func TestReadersAreBounded(t *testing.T) {
	records := []format.Record{&format.Header{Version: 1, Stage: format.StageAssign}, dir("/")}
	for i := range 20 * readRun {
		records = append(records, with(file(fmt.Sprintf("/f%04d", i), "app"), func(f *format.File) { f.Size = 10 }))
	}
	for _, threads := range []int{1, 3} {
		src := &counting{}
		run(t, Options{Open: src.open, Threads: threads}, records...)
		if n := src.readers.Load(); n != int64(threads) {
			t.Errorf("%d readers with %d threads", n, threads)
		}
	}
}
