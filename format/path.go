package format

import (
	"errors"
	"strings"
)

// ComparePaths orders paths component by component, as fs.WalkDir visits them:
// a directory comes before what is in it, and "/a/b" before "/a-b" although '-'
// sorts below '/'. It returns -1, 0 or +1.
func ComparePaths(a, b string) int {
	n := min(len(a), len(b))
	i := 0
	for i < n && a[i] == b[i] {
		i++
	}
	switch {
	case i == len(a) && i == len(b):
		return 0
	case i == len(a):
		return -1
	case i == len(b):
		return 1
	}
	// A separator ends a component, so it sorts below every other byte.
	switch {
	case a[i] == '/':
		return -1
	case b[i] == '/':
		return 1
	case a[i] < b[i]:
		return -1
	}
	return 1
}

// Parent returns the directory that holds path; the root's parent is the root.
func Parent(path string) string {
	i := strings.LastIndexByte(path, '/')
	if i <= 0 {
		return "/"
	}
	return path[:i]
}

// checkPath says what is wrong with an absolute path, nil for nothing.
func checkPath(path string) error {
	switch {
	case path == "":
		return errors.New("is empty")
	case path[0] != '/':
		return errors.New("is not absolute")
	case len(path) > MaxPath:
		return errors.New("is too long")
	case strings.IndexByte(path, 0) >= 0:
		return errors.New("has a NUL byte")
	case path == "/":
		return nil
	}
	for start := 1; start <= len(path); {
		end := strings.IndexByte(path[start:], '/')
		if end < 0 {
			end = len(path)
		} else {
			end += start
		}
		switch path[start:end] {
		case "", ".", "..":
			return errors.New("is not clean")
		}
		if end-start > MaxName {
			return errors.New("has a name that is too long")
		}
		start = end + 1
	}
	return nil
}
