package assign

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"chunkah/format"
)

// UnclaimedTree is a tree of unclaimed files with a description of its likely kind. No repo
// recognised the tree, for example because a build removed the ecosystem's own records.
type UnclaimedTree struct {
	Dir   string
	Kind  string // for example "a conda environment without conda-meta"
	Bytes int64
}

// maxTrees is the maximum number of trees to report, largest first. maxCandidates is the maximum
// number of trees to examine.
const maxTrees, maxCandidates = 5, 256

// kind is a kind of tree that can be recognised by a single path.
type kind struct {
	// pattern uses the syntax of path.Match. With a leading slash it is an absolute path. Otherwise
	// it is relative to the tree and can begin with the tree's own name.
	pattern string
	named   bool // the first element of pattern is the name of the tree
	text    string
}

// kinds is indexed by the last element of the path.
var kinds = map[string][]kind{
	"conda":          {{"condabin/conda", false, "a conda environment without conda-meta"}},
	"conda.sh":       {{"etc/profile.d/conda.sh", false, "a conda environment without conda-meta"}},
	"__init__.py":    {{"site-packages/*/__init__.py", true, "Python packages without their dist-info"}},
	"index.js":       {{"node_modules/*/index.js", true, "Node.js packages without package.json"}},
	"autoload.php":   {{"vendor/autoload.php", true, "PHP packages without composer/installed.json"}},
	"modules.dep":    {{"modules.dep", false, "kernel modules without a kernel package"}},
	"HEAD":           {{".git/HEAD", true, "a git repository"}},
	"copyright":      {{"/usr/share/doc/*/copyright", false, "a Debian or Ubuntu system without var/lib/dpkg"}},
	"alpine-release": {{"/etc/alpine-release", false, "an Alpine system without lib/apk/db"}},
	"redhat-release": {{"/etc/redhat-release", false, "an rpm-based system without its rpm database"}},
	"fedora-release": {{"/etc/fedora-release", false, "an rpm-based system without its rpm database"}},
}

// looksLike returns the directory of the tree that a file indicates, and a description of the tree.
// It returns empty strings if the file indicates no tree.
func looksLike(file string) (dir, text string) {
	for _, k := range kinds[format.Base(file)] {
		names := strings.Split(strings.TrimPrefix(k.pattern, "/"), "/")
		above := strings.Split(file[1:], "/")
		cut := len(above) - len(names)
		if cut < 0 || strings.HasPrefix(k.pattern, "/") && cut > 0 {
			continue
		}
		if matched, _ := path.Match(path.Join(names...), path.Join(above[cut:]...)); !matched {
			continue
		}
		if k.named {
			cut++
		}
		return "/" + strings.Join(above[:cut], "/"), k.text
	}
	return "", ""
}

// unclaimedTrees returns the largest recognisable trees among the leftovers, by size.
func unclaimedTrees(t *Tree, left []int) []UnclaimedTree {
	var list []UnclaimedTree
	known := make(map[UnclaimedTree]bool)
	for _, i := range left {
		dir, text := looksLike(t.Files[i].Path)
		l := UnclaimedTree{Dir: dir, Kind: text}
		if text != "" && len(list) < maxCandidates && !known[l] {
			known[l] = true
			list = append(list, l)
		}
	}
	for at := range list {
		from, to := t.Below(list[at].Dir)
		first, _ := slices.BinarySearch(left, from)
		for _, i := range left[first:] {
			if i >= to {
				break
			}
			list[at].Bytes += max(t.Files[i].Size, 0)
		}
	}
	slices.SortStableFunc(list, func(a, b UnclaimedTree) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return list[:min(len(list), maxTrees)]
}
