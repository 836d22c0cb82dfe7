package pack

import (
	"math"
	"slices"
	"testing"

	"chunkah/format"
)

// sized is a component with one file of a size and an interval between updates.
func sized(name string, size, days int64) []format.Record {
	return []format.Record{
		with(file("/"+name, name), func(f *format.File) { f.Size = size }),
		&format.Component{Name: name, IntervalDays: days},
	}
}

func TestExplain(t *testing.T) {
	records := slices.Concat(sized("busy", 10_000_000, 1), sized("calm", 40_000_000, 1000), sized("small", 5000, 1000),
		sized("tiny", 500, 1000))
	p, report := run(t, Options{Max: 3, Explain: true}, clone(records)...)
	x := report.Explanation
	if len(x.Layers) != len(p.layers) || x.Max != 3 {
		t.Fatalf("got %+v", x)
	}
	var bytes, expected, byChain int64
	stay := 1.0 // of the chain
	for i, l := range x.Layers {
		if want := layerBytes(p.layers[i]); l.Bytes != want || !slices.Equal(l.Components, p.layers[i].Components) {
			t.Errorf("layer %d: got %+v, want %d bytes of %q", i, l, want, p.layers[i].Components)
		}
		if l.ChangePPM != 1_000_000-p.layers[i].StabilityPPM || l.Was != "" {
			t.Errorf("layer %d: got %+v", i, l)
		}
		if want := float64(l.Bytes) * float64(l.ChangePPM) / 1e6; float64(l.Expected) > want || float64(l.Expected) < want-1 {
			t.Errorf("layer %d: %d bytes expected, want %f", i, l.Expected, want)
		}
		if together := len(l.Components) > 1; together != (l.Apart < l.Expected-l.Expected/10) && together {
			t.Errorf("layer %d: %d expected together, %d apart", i, l.Expected, l.Apart)
		}
		if l.Neighbour == i || l.Neighbour < 0 || l.Joined <= 0 {
			t.Errorf("layer %d: joined with %d for %d", i, l.Neighbour, l.Joined)
		}
		stay *= float64(p.layers[i].StabilityPPM) / 1e6
		if math.Abs(float64(l.ChainPPM)-1e6*stay) > 0.6 {
			t.Errorf("layer %d: its chain stays with %d, want %f", i, l.ChainPPM, 1e6*stay)
		}
		if want := float64(l.Bytes) * (1e6 - float64(l.ChainPPM)) / 1e6; math.Abs(float64(l.ChainExpected)-want) > 1 {
			t.Errorf("layer %d: %d bytes expected by chain, want %f", i, l.ChainExpected, want)
		}
		bytes, expected, byChain = bytes+l.Bytes, expected+l.Expected, byChain+l.ChainExpected
	}
	if x.Bytes != bytes || x.Expected != expected || x.ChainExpected != byChain {
		t.Errorf("got %d, %d and %d in total, want %d, %d and %d", x.Bytes, x.Expected, x.ChainExpected, bytes, expected, byChain)
	}
	if x.ChainExpected <= x.Expected {
		t.Errorf("%d bytes are expected by chain, and %d by blob", x.ChainExpected, x.Expected)
	}
	if x.Fewer == nil || x.Fewer.Max != 2 || x.Fewer.Layers != 2 || x.Fewer.Expected <= x.Expected || x.Fewer.Differ == 0 {
		t.Errorf("one fewer: %+v", x.Fewer)
	}
	_, two := run(t, Options{Max: 2, Explain: true}, clone(records)...)
	if f := two.Explanation; x.Fewer.Expected != f.Expected || x.Fewer.ChainExpected != f.ChainExpected {
		t.Errorf("one fewer: %+v, and asked for it is %+v", x.Fewer, f)
	}
	if x.More == nil || x.More.Layers != 4 || x.More.Differ != 2 {
		t.Errorf("one more: %+v", x.More)
	}
	if _, alone := run(t, Options{Max: 4, Explain: true}, clone(records)...); alone.Explanation.More != nil {
		t.Errorf("each has its own layer, and one more makes %+v", alone.Explanation.More)
	}
	if _, one := run(t, Options{Max: 1, Explain: true}, clone(records)...); one.Explanation.Fewer != nil || one.Explanation.Layers[0].Neighbour != -1 {
		t.Errorf("got %+v", one.Explanation)
	}
}

func layerBytes(l *packedLayer) int64 {
	n := int64(1024) // the end of the tar
	for _, f := range l.files {
		n += 512 + (f.Size+511)/512*512
	}
	return n
}

func TestExplainPast(t *testing.T) {
	records := slices.Concat(sized("a", 1000, 7), sized("b", 2000, 7))
	_, report := run(t, Options{Explain: true}, clone(records)...)
	grow(records, "/b")
	records = append(records, sized("c", 3000, 7)...)
	_, report = run(t, Options{Explain: true, PreviousLayout: layoutOf(report)}, clone(records)...)
	want := map[string]Past{"a": PastKept, "b": PastChanged, "c": PastNew}
	for _, got := range report.Explanation.Layers {
		if name := got.Components[0]; got.Was != want[name] {
			t.Errorf("got %+v, want %s", got, want[name])
		}
	}
}
