package image

import (
	"errors"
	"fmt"
	"strings"

	"chunkah/format"
)

// aufsPrefix is the prefix of AUFS metadata. Docker wrote such entries to layers for years, and
// clients do not extract them.
const aufsPrefix = format.WhiteoutPrefix + format.WhiteoutPrefix

var errLeadsOut = errors.New(`leads out of the root with ".."`)

// cleanName returns the path of an entry without outer slashes, empty elements and ".". The path of
// the root is "". Layers contain both "./usr/" and "/usr". Backslashes are ordinary bytes. A ".."
// removes the element before it, even if that element is a symlink in the tree, as in clients.
func cleanName(name string) (string, error) {
	if strings.IndexByte(name, 0) >= 0 {
		return "", errors.New("contains a NUL")
	}
	clean := name
	if !isClean(name) {
		var parts []string
		for part := range strings.SplitSeq(name, "/") {
			switch {
			case part == "", part == ".":
			case part != "..":
				parts = append(parts, part)
			case len(parts) == 0:
				return "", errLeadsOut
			default:
				parts = parts[:len(parts)-1]
			}
		}
		clean = strings.Join(parts, "/")
	}
	if len(clean) >= format.MaxPath {
		return "", fmt.Errorf("is %d bytes, above the limit of %d", len(clean), format.MaxPath-1)
	}
	return clean, checkParts(clean)
}

// isClean reports whether a name is already clean.
func isClean(name string) bool {
	return name == "" || name[0] != '/' && name[len(name)-1] != '/' && name[0] != '.' &&
		!strings.Contains(name, "//") && !strings.Contains(name, "/./") && !strings.HasSuffix(name, "/.") &&
		!strings.Contains(name, "/../") && !strings.HasSuffix(name, "/..")
}

func checkParts(clean string) error {
	depth := 0
	for part := range strings.SplitSeq(clean, "/") {
		if len(part) > format.MaxName {
			return fmt.Errorf("has a name of %d bytes, above the limit of %d", len(part), format.MaxName)
		}
		if depth++; depth > format.MaxDepth {
			return fmt.Errorf("has more than %d names", format.MaxDepth)
		}
	}
	return nil
}

// splitName splits a clean name into its directory and its last element.
func splitName(name string) (dir, base string) {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return "", name
	}
	return name[:i], name[i+1:]
}

// readWhiteout determines from an entry's name whether the entry hides one path or everything in a
// directory. It refuses other names with the prefix of a whiteout, except AUFS metadata, which is
// left out of the tree.
func readWhiteout(clean string) (kind entryKind, path string, err error) {
	if !strings.Contains(clean, format.WhiteoutPrefix) {
		return kindNode, clean, nil
	}
	dir, base := splitName(clean)
	if base != format.OpaqueWhiteout && strings.HasPrefix(base, aufsPrefix) || strings.HasPrefix(dir, aufsPrefix) || strings.Contains(dir, "/"+aufsPrefix) {
		return kindAUFS, clean, nil
	}
	if strings.HasPrefix(dir, format.WhiteoutPrefix) || strings.Contains(dir, "/"+format.WhiteoutPrefix) {
		return 0, "", errors.New("is below a whiteout, which is not a directory")
	}
	hidden, ok := strings.CutPrefix(base, format.WhiteoutPrefix)
	switch {
	case !ok:
		return kindNode, clean, nil
	case base == format.OpaqueWhiteout:
		return kindOpaque, dir, nil
	case hidden == "", hidden == ".", hidden == "..":
		return 0, "", errors.New("is a whiteout without a valid name")
	case dir == "":
		return kindWhiteout, hidden, nil
	}
	return kindWhiteout, dir + "/" + hidden, nil
}
