package pyc

import (
	"slices"
	"testing"
)

func TestTime(t *testing.T) {
	for _, test := range []struct {
		name, data string
		time       uint32
		timed      bool
	}{
		{"3.13, time", "\xf3\x0d\r\n\x00\x00\x00\x00\x01\x00\x00\x80", 0x80000001, true},
		{"3.13, checked hash", "\xf3\x0d\r\n\x03\x00\x00\x00\x01\x00\x00\x00", 1, false},
		{"3.13, unchecked hash", "\xf3\x0d\r\n\x01\x00\x00\x00\x01\x00\x00\x00", 1, false},
		{"3.6", "\x33\x0d\r\n\x05\x00\x00\x00\x01\x00\x00\x00", 5, true},
		{"2.7", "\x03\xf3\r\n\x05\x00\x00\x00code", 5, true},
		{"PyPy 3.9", "\x50\x01\r\n\x00\x00\x00\x00\x05\x00\x00\x00", 5, true},
		{"no magic", "abcdefghijkl", 0, false},
		{"short", "\xf3\x0d\r\n\x00\x00\x00\x00\x05", 0, false},
	} {
		time, timed := Time([]byte(test.data))
		if timed != test.timed || timed && time != test.time {
			t.Errorf("%s: got %d, %v", test.name, time, timed)
		}
	}
}

func TestSources(t *testing.T) {
	for path, want := range map[string][]string{
		"/a/x.pyc":                               {"/a/x.py"},
		"/a/x.pyo":                               {"/a/x.py"},
		"/a/__pycache__/x.cpython-313.pyc":       {"/a/x.py"},
		"/a/__pycache__/x.cpython-313.opt-1.pyc": {"/a/x.cpython-313.py", "/a/x.py"},
		"/a/__pycache__/.pyc":                    nil,
		"/a/__pycache__/x.pyc":                   nil,
		"/__pycache__/x.y.pyc":                   {"/x.py"},
	} {
		if got := Sources(path); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}
