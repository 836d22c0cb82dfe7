package pack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"chunkah/format"
)

// records returns a header and records.
type records struct{ list []format.Record }

func (r *records) Next() (format.Record, error) {
	if len(r.list) == 0 {
		return nil, io.EOF
	}
	rec := r.list[0]
	r.list = r.list[1:]
	return rec, nil
}

// planOf plans a stream, and returns the amount of work.
func planOf(t *testing.T, opt Options, list []format.Record) (took int64, err error) {
	t.Helper()
	tree, err := readStream(t.Context(), &records{append([]format.Record{&format.Header{Version: 1}}, list...)})
	if err != nil {
		t.Fatal(err)
	}
	opt.Max = defaultMax
	report, err := tree.prepare(&opt)
	if err == nil {
		_, err = tree.plan(opt, report)
	}
	return newEffort(tree.files).left - tree.effort.left, err
}

// nested returns nested directories, each with a file in its own component.
func nested(n int) (list []format.Record) {
	list, path := []format.Record{dir("/")}, ""
	for i := range n {
		path += "/d"
		list = append(list, dir(path), file(path+"/f", fmt.Sprintf("c%04d", i)))
	}
	return list
}

// beside returns sibling directories, each with a file in its own component.
func beside(n int) (list []format.Record) {
	list = []format.Record{dir("/"), dir("/opt"), dir("/opt/apps")}
	for i := range n {
		path := fmt.Sprintf("/opt/apps/%06d", i)
		list = append(list, dir(path), file(path+"/f", fmt.Sprintf("c%06d", i)))
	}
	return list
}

// together returns files in one directory, and the directory lists the components of all files.
func together(n int) (list []format.Record) {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("c%06d", i))
	}
	list = []format.Record{dir("/"), dir("/d", names...)}
	for i, name := range names {
		list = append(list, file(fmt.Sprintf("/d/%06d", i), name))
	}
	return list
}

// The work of planning is proportional to the size of the stream, or planning is refused early.
// This applies to components in deeply nested directories, to split components, and to components
// that share a directory.
func TestEffort(t *testing.T) {
	for _, test := range []struct {
		name  string
		make  func(n int) []format.Record
		opt   Options
		small int
		large int // the refused size
	}{
		{"nested", nested, Options{}, 200, 4000},
		{"nested, cut", nested, Options{MaxLayerSize: 1}, 200, 4000},
		{"beside each other", beside, Options{}, 2000, 0},
		{"beside each other, in layers of a size", beside, Options{MaxLayerSize: 1 << 20}, 2000, 0},
		{"together, cut", together, Options{MaxLayerSize: 1}, 100, 20_000},
	} {
		t.Run(test.name, func(t *testing.T) {
			one, err := planOf(t, test.opt, test.make(test.small))
			if err != nil && !strings.Contains(err.Error(), "--max") {
				t.Fatal(err)
			}
			if test.large == 0 {
				two, err := planOf(t, test.opt, test.make(2*test.small))
				if err != nil || two > one*22/10 {
					t.Errorf("%d of %d, %d of twice as many: %v", one, test.small, two, err)
				}
				return
			}
			list := test.make(test.large)
			bound := int64(freeEffort)
			for _, r := range list {
				bound += effortTimes * int64(recordFixed+len(r.(*format.File).Path))
			}
			took, err := planOf(t, test.opt, list)
			if err == nil || !strings.Contains(err.Error(), "too many components contain deeply nested files") || took > bound+bound/8 {
				t.Errorf("took %d of %d: %v", took, bound, err)
			}
		})
	}
}

// A signal ends planning early.
func TestInterruptedPlan(t *testing.T) {
	why := errors.New("terminated")
	ctx, cancel := context.WithCancelCause(t.Context())
	list := append([]format.Record{&format.Header{Version: 1}}, beside(50_000)...)
	list = append(list, nil)
	n := 0
	report, err := Run(ctx, sourceFunc(func() (format.Record, error) {
		if n++; list[n-1] == nil {
			cancel(why) // when everything is read
			return nil, io.EOF
		}
		return list[n-1], nil
	}), nil, Options{Planned: func([]Planned) error {
		t.Error("planned")
		return nil
	}})
	if report != nil || !errors.Is(err, why) {
		t.Errorf("got %v, %v", report, err)
	}
}

type sourceFunc func() (format.Record, error)

func (s sourceFunc) Next() (format.Record, error) { return s() }
