package group

import (
	"reflect"
	"testing"
)

func TestFamilies(t *testing.T) {
	released := func(slots ...int) (r releases) {
		for _, s := range slots {
			r.set(s)
		}
		return r
	}
	suite := []int{3, 17, 40, 66}
	// others are components with separate releases, so that the suite is only a part of the image.
	others := func(rs ...releases) []releases {
		for i := range 3 * len(rs) {
			rs = append(rs, released(100+7*i, 101+7*i, 102+7*i))
		}
		return rs
	}
	for _, tc := range []struct {
		name  string
		apart int
		rs    []releases
		want  [][]int // without the others
	}{
		{"none", 0, nil, nil},
		{"released together", 0, []releases{released(suite...), released(1, 2, 5), released(suite...), released(3, 17, 40, 66, 80)}, [][]int{{0, 2, 3}, {1}}},
		{"through a third", 0, []releases{released(1, 2, 3, 4, 5, 6, 7), released(4, 5, 6, 7, 8, 9, 10), released(2, 3, 4, 5, 6, 7, 8, 9)}, [][]int{{0, 1, 2}}},
		{"the largest apart", 1, []releases{released(suite...), released(suite...), released(suite...)}, [][]int{{0}, {1, 2}}},
		{"too few releases", 0, []releases{released(3, 17), released(3, 17)}, [][]int{{0}, {1}}},
		{"a third of the releases", 0, []releases{released(1, 2, 3, 4, 5, 6), released(4, 5, 6, 7, 8, 9)}, [][]int{{0}, {1}}},
		{"much more often", 0, []releases{released(suite...), released(3, 17, 40, 66, 70, 71, 72, 73, 74, 75, 76)}, [][]int{{0}, {1}}},
		{"a release a day apart", 0, []releases{released(3, 17, 40, 67), released(suite...)}, [][]int{{0}, {1}}},
	} {
		rs := others(tc.rs...)
		var list []int
		for i := range rs {
			list = append(list, i)
		}
		got := families(list, tc.apart, rs)
		for i := len(tc.rs); i < len(rs); i++ {
			tc.want = append(tc.want, []int{i})
		}
		if !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
}

// TestRebuildsMakeNoFamilies rebuilds everything four times. Only components that are also released
// together otherwise form a family.
func TestRebuildsMakeNoFamilies(t *testing.T) {
	rs := make([]releases, 20)
	list := make([]int, len(rs))
	for i := range rs {
		list[i] = i
		for _, s := range []int{10, 100, 200, 300} {
			rs[i].set(s)
		}
	}
	for _, s := range []int{30, 50, 70, 90} {
		rs[4].set(s)
		rs[9].set(s)
	}
	for _, f := range families(list, 0, rs) {
		want := []int{f[0]}
		if f[0] == 4 {
			want = []int{4, 9}
		}
		if !reflect.DeepEqual(f, want) {
			t.Errorf("family %v, want %v", f, want)
		}
	}
}

func TestApart(t *testing.T) {
	for _, tc := range []struct{ limit, components, want int }{
		{64, 1000, 32},
		{128, 1000, 64},
		{16, 1000, fewestApart},
		{100, 150, 50},
		{100, 120, 80}, // of the 40 smallest, 20 have to share
		{100, 101, 99},
	} {
		in := &input{limit: tc.limit, cs: make([]Component, tc.components)}
		if got := in.apart(); got != tc.want {
			t.Errorf("%d layers, %d components: %d apart, want %d", tc.limit, tc.components, got, tc.want)
		}
	}
}
