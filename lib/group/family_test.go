package group

import (
	"reflect"
	"testing"
)

func TestFamilies(t *testing.T) {
	changed := func(weeks ...int) (h history) {
		h.weeks = lookBack
		for _, w := range weeks {
			h.hits.set(w)
		}
		return h
	}
	suite := []int{3, 17, 40, 66}
	for _, tc := range []struct {
		name  string
		apart int
		hs    []history
		want  [][]int
	}{
		{"none", 0, nil, nil},
		{"released together", 0, []history{changed(suite...), changed(1, 2, 5), changed(suite...), changed(3, 17, 40)}, [][]int{{0, 2, 3}, {1}}},
		{"through a third", 0, []history{changed(1, 2, 3, 4, 5, 6, 7), changed(3, 4, 5, 6, 7, 8, 9), changed(2, 3, 4, 5, 6, 7, 8)}, [][]int{{0, 1, 2}}},
		{"the largest apart", 1, []history{changed(suite...), changed(suite...), changed(suite...)}, [][]int{{0}, {1, 2}}},
		{"too few weeks", 0, []history{changed(3, 17), changed(3, 17)}, [][]int{{0}, {1}}},
		{"half of the weeks", 0, []history{changed(1, 2, 3, 4, 5, 6), changed(4, 5, 6, 7, 8, 9)}, [][]int{{0}, {1}}},
		{"three of four", 0, []history{changed(1, 2, 3), changed(1, 2, 3, 4)}, [][]int{{0, 1}}},
		{"too long ago", 0, []history{changed(familyWeeks, familyWeeks+1, familyWeeks+2), changed(familyWeeks, familyWeeks+1, familyWeeks+2)}, [][]int{{0}, {1}}},
	} {
		var list []int
		for i := range tc.hs {
			list = append(list, i)
		}
		if got := families(list, tc.apart, tc.hs); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
}
