package pack

import (
	"context"
	"fmt"
	"testing"

	"chunkah/format"
)

// many returns the records of a tree with n files in n/100 components.
func many(n int) []format.Record {
	records := []format.Record{&format.Header{Version: 1, Stage: format.StageAssign}, dir("/"), dir("/usr"), dir("/usr/lib")}
	for i := 0; i < n; i += 100 {
		name := fmt.Sprintf("rpm/package%06d", i/100)
		records = append(records, &format.Component{Name: name, IntervalDays: int64(i%1000 + 1)})
		parent := fmt.Sprintf("/usr/lib/package%06d", i/100)
		records = append(records, dir(parent, name))
		for j := range min(99, n-i) {
			records = append(records, file(fmt.Sprintf("%s/file%02d", parent, j), name))
		}
	}
	return records
}

type discard struct{ n int }

func (d *discard) Write(format.Record) error { d.n++; return nil }
func (d *discard) Finish() error             { return nil }

func BenchmarkRun(b *testing.B) {
	for _, n := range []int{45_000, 500_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			records := many(n)
			b.ReportAllocs()
			for b.Loop() {
				in, out := source(records), &discard{}
				if _, err := Run(context.Background(), &in, out, Options{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
		})
	}
}
