package format

import "strings"

// ComparePaths orders paths element by element, in the order in which fs.WalkDir visits them. A
// directory comes before its contents, and "/a/b" before "/a-b" although '-' sorts before '/'. It
// returns -1, 0 or +1.
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
	// A separator ends an element, so it sorts before every other byte.
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

// Parent returns the parent directory of path. The parent of / is /.
func Parent(path string) string {
	i := strings.LastIndexByte(path, '/')
	if i <= 0 {
		return "/"
	}
	return path[:i]
}

// Base returns the last name of path. The base of / is empty.
func Base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// Join appends a name to the path of a directory.
func Join(dir, name string) string { return strings.TrimSuffix(dir, "/") + "/" + name }

// IsBelow reports whether a path is below a directory.
func IsBelow(dir, path string) bool {
	if dir == "/" {
		return len(path) > 1
	}
	return len(path) > len(dir) && path[len(dir)] == '/' && path[:len(dir)] == dir
}

// TooLong reports whether a path has too many bytes or elements for a stream.
func TooLong(path string) bool { return len(path) > MaxPath || tooDeep(path) }

// tooDeep reports whether a path has too many elements. It counts them only if the path is long
// enough.
func tooDeep(path string) bool {
	return len(path) > 2*MaxDepth && strings.Count(path, "/") > MaxDepth
}

// checkPath returns the fault of an absolute path, or nil if the path is valid.
func checkPath(path string) error {
	switch {
	case path == "":
		return valuef("path is empty")
	case path[0] != '/':
		return valuef("path %q is not absolute", clip(path))
	case len(path) > MaxPath:
		return limitf("path %q is longer than %d bytes", clip(path), MaxPath)
	case strings.IndexByte(path, 0) >= 0:
		return valuef("path %q has a NUL byte", clip(path))
	case path == "/":
		return nil
	case tooDeep(path):
		return limitf("path %q has more than %d names", clip(path), MaxDepth)
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
			return valuef("path %q is not clean", clip(path))
		}
		if end-start > MaxName {
			return limitf("a name in path %q is longer than %d bytes", clip(path), MaxName)
		}
		if strings.HasPrefix(path[start:], WhiteoutPrefix) {
			return valuef("path %q has a name that starts with %s, which deletes files in an image", clip(path), WhiteoutPrefix)
		}
		start = end + 1
	}
	return nil
}
