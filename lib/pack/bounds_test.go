package pack

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"chunkah/format"
)

// numbered is a source that returns a header and then any number of records, without keeping them
// in memory.
type numbered struct {
	n, at  int
	record func(i int) format.Record
}

func (s *numbered) Next() (format.Record, error) {
	s.at++
	switch {
	case s.at == 1:
		return &format.Header{Version: 1}, nil
	case s.at > s.n+1:
		return nil, io.EOF
	}
	return s.record(s.at - 2), nil
}

// The data that pack adds to a stream are limited, and so is the size of the plan.
func TestBounds(t *testing.T) {
	deep := strings.Repeat("/d", format.MaxDepth-1)
	for _, tt := range []struct {
		name   string
		n      int
		record func(i int) format.Record
		want   string
		large  bool
	}{
		{"deep paths without their directories", 1000, func(i int) format.Record {
			return file(fmt.Sprintf("/%04d%s", i, deep), "a")
		}, `the records of missing parent directories are larger than 536870912 bytes`, false},
		{"components", 2, func(i int) format.Record {
			if i == 1 {
				return file("/f", "one more")
			}
			names := make([]string, format.MaxComponents)
			for n := range names {
				names[n] = fmt.Sprintf("c%07d", n)
			}
			return dir("/d", names...)
		}, "the files have 1048577 components, above the limit of 1048576", true},
		{"bytes", 5, func(i int) format.Record {
			return with(file(fmt.Sprint("/", i), "a"), func(f *format.File) { f.Size = format.MaxInt })
		}, `the files up to "/4" have more than 36028797018963968 bytes in total`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.large && testing.Short() {
				t.Skip("a million components")
			}
			p := &packed{}
			_, err := Run(context.Background(), &numbered{n: tt.n, record: tt.record}, p, Options{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if p.header != nil {
				t.Error("something was written")
			}
		})
	}
}
