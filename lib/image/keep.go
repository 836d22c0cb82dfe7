package image

import (
	"slices"
	"strings"
)

// shape contains the names in the kept layers, by directory. It is nil for files.
type shape struct {
	names []string
	in    []*shape
}

// shape returns the names in a directory and everything below it.
func (n *node) shape() *shape {
	s := &shape{}
	for name, child := range n.more.dir.byName {
		var in *shape
		if child.isDir() {
			in = child.shape()
		}
		s.names = append(s.names, name)
		s.in = append(s.in, in)
	}
	return s
}

// missing appends the paths in the shape that do not exist in d, the sealed directory at path.
func (s *shape) missing(d *node, path string, list []string) []string {
	if s == nil {
		return list
	}
	order := make([]int, len(s.names))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(s.names[a], s.names[b]) })
	prefix := strings.TrimSuffix(path, "/") + "/"
	for _, i := range order {
		switch n := d.more.dir.find(s.names[i]); {
		case n == nil:
			list = append(list, prefix+s.names[i])
		case s.in[i] != nil && n.isDir():
			list = s.in[i].missing(n, prefix+s.names[i], list)
		}
	}
	return list
}
