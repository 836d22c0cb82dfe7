package image

import (
	"archive/tar"
	"fmt"
	"strings"
	"testing"

	"chunkah/format"
	mk "chunkah/tests/mkimage"
)

// Entries whose symlinks lead through many other symlinks are refused before they take much time.
func TestDetours(t *testing.T) {
	entries := func(target, path string, n int) []mk.Entry {
		list := []mk.Entry{mk.Dir("d"), mk.File("d/f", "x"), mk.Symlink("s0", target), mk.Symlink("d/up", "../"+target)}
		for i := range 39 {
			list = append(list, mk.Symlink(fmt.Sprintf("s%d", i+1), fmt.Sprintf("s%d", i)))
		}
		for i := range n {
			list = append(list, mk.Link(fmt.Sprintf("l%d", i), path))
		}
		return list
	}
	long := strings.Repeat("d/../", format.MaxTarget/5-1) + "d"
	for _, test := range []struct {
		name    string
		entries []mk.Entry
		refused bool
	}{
		{"far", entries(long, "d/"+strings.Repeat("up/", 30)+"f", 3000), true},
		{"as far, a few times", entries(long, "d/"+strings.Repeat("up/", 30)+"f", 5), false},
		{"as in any image", entries("d", "s20/f", 3000), false},
	} {
		_, err := flattened(t, test.entries)
		if test.refused != (err != nil) || err != nil && !strings.Contains(err.Error(), "follow symlinks") {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// The memory for names is limited in proportion to the size of the image, even if an entry repeats
// the xattrs of its inode or leads through a symlink to deep directories.
func TestNames(t *testing.T) {
	many := mk.File("f", "x")
	for i := range format.MaxXattrs {
		many = many.Xattr(fmt.Sprintf("user.%d", i), strings.Repeat("v", 50))
	}
	links := []mk.Entry{many}
	for i := range 2000 {
		links = append(links, mk.Link(fmt.Sprintf("l%d", i), "f"))
	}
	down := strings.Repeat(strings.Repeat("d", 250)+"/", 16)
	deep := []mk.Entry{mk.Dir(strings.Repeat(down, 15)), mk.Symlink("s", down)}
	for i := range 14 {
		deep = append(deep, mk.Symlink(strings.Repeat(down, i+1)+"s", down))
	}
	for i := range 10_000 {
		deep = append(deep, mk.File(fmt.Sprintf("%s%d", strings.Repeat("s/", 15), i), ""))
	}
	for name, entries := range map[string][]mk.Entry{"xattrs of links": links, "behind a symlink": deep} {
		if _, err := flattened(t, entries); err == nil || !strings.Contains(err.Error(), "names and xattrs are larger than") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := flattened(t, links[:100]); err != nil {
		t.Error(err)
	}
	var plain []mk.Entry
	for i := range 30_000 {
		plain = append(plain, mk.File(fmt.Sprintf("some/directory/of/an/image/file%d", i), "").But(func(h *tar.Header) { h.Uid = i }))
	}
	if _, err := flattened(t, plain); err != nil {
		t.Error(err)
	}
}
