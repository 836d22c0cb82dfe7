package image

import (
	"archive/tar"
	"strings"
	"testing"
	"time"

	mk "chunkah/tests/mkimage"
)

type layers = [][]mk.Entry

func meta(mode int64, uid, gid int) func(*tar.Header) {
	return func(h *tar.Header) { h.Mode, h.Uid, h.Gid = mode, uid, gid }
}

// base is the bottom layer in many cases.
var base = []mk.Entry{
	mk.Dir("d/"), mk.Dir("d/e/"), mk.File("d/e/x", "x"), mk.File("d/f", "f"), mk.File("g", "g"),
}

func TestFlatten(t *testing.T) {
	for name, test := range map[string]struct {
		layers layers
		want   string // the listing without the root directory
	}{
		"one layer": {layers{base}, `
d /d
d /d/e
f /d/e/x "x"
f /d/f "f"
f /g "g"`},
		"whiteouts": {layers{base, {mk.File(".wh.g", ""), mk.Dir("d/"), mk.File("d/.wh.e", "")}}, `
d /d
f /d/f "f"`},
		"a whiteout of nothing, and below nothing": {layers{base, {mk.File(".wh.none", ""), mk.File("none/.wh.x", ""), mk.File("g/.wh.x", "")}}, `
d /d
d /d/e
f /d/e/x "x"
f /d/f "f"
f /g "g"`},
		"whiteout of a directory, and of what is in it": {layers{base, {mk.File(".wh.d", ""), mk.File("d/.wh.f", "")}}, `
f /g "g"`},
		"whiteout before what is added again": {layers{base, {mk.File(".wh.d", ""), mk.File("d/new", "n")}}, `
d /d @0.000000000
f /d/new "n"
f /g "g"`},
		"whiteout behind what is added again": {layers{base, {mk.Dir("d").But(meta(0o700, 1, 2)), mk.File("d/new", "n"), mk.File(".wh.d", "")}}, `
d /d 0700 1:2
f /d/new "n"
f /g "g"`},
		"opaque, first": {layers{base, {mk.Dir("d/"), mk.File("d/.wh..wh..opq", ""), mk.File("d/f", "F")}}, `
d /d
f /d/f "F"
f /g "g"`},
		"opaque, behind its siblings": {layers{base, {mk.Dir("d/"), mk.Dir("d/e/"), mk.File("d/f", "F"), mk.File("d/.wh..wh..opq", "")}}, `
d /d
d /d/e
f /d/f "F"
f /g "g"`},
		"opaque, without the directory": {layers{base, {mk.File("d/.wh..wh..opq", ""), mk.File("h/.wh..wh..opq", "")}}, `
d /d
f /g "g"
d /h @0.000000000`},
		"opaque root": {layers{base, {mk.File(".wh..wh..opq", ""), mk.File("n", "n")}}, `
f /n "n"`},
		"directory, file, directory in three layers": {layers{base, {mk.File("d", "file")}, {mk.Dir("d")}}, `
d /d
f /g "g"`},
		"directory, file, directory in one layer": {layers{base, {mk.Dir("d"), mk.File("d/n", ""), mk.File("d", "file"), mk.Dir("d")}}, `
d /d
f /g "g"`},
		"directory over directory": {layers{
			{mk.Dir("d").Xattr("user.a", "1").But(meta(0o755, 1, 1)), mk.File("d/f", "f")},
			{mk.Dir("d").Xattr("user.b", "2").But(meta(0o1777, 2, 3))},
		}, `
d /d 1777 2:3 user.b="2"
f /d/f "f"`},
		"symlink over directory, directory over symlink": {layers{
			base, {mk.Symlink("d", "g")}, {mk.Dir("d"), mk.File("d/n", "n")},
		}, `
d /d
f /d/n "n"
f /g "g"`},
		"missing parents": {layers{{mk.File("a/b/c", "c")}, {mk.File("a/b/d", "d")}, {mk.Dir("a").But(meta(0o700, 0, 0))}}, `
d /a 0700
d /a/b @0.000000000
f /a/b/c "c"
f /a/b/d "d"`},
		"a parent that was a file below": {layers{base, {mk.File("g/x", "x")}}, `
d /d
d /d/e
f /d/e/x "x"
f /d/f "f"
d /g @0.000000000
f /g/x "x"`},
		"duplicate names": {layers{{mk.File("a", "1"), mk.File("./a", "2"), mk.Symlink("b", "x"), mk.File("/b", "3"), mk.File("a", "4")}}, `
f /a "4"
f /b "3"`},
		"spellings": {layers{{mk.Dir("./"), mk.Dir("./a//b/."), mk.File("/a/./b/c", "c"), mk.File(`a\..\b`, "back"), mk.File("...", "3"), mk.File("..x", "x")}}, `
f /... "3"
f /..x "x"
d /a @0.000000000
d /a/b
f /a/b/c "c"
f /a\..\b "back"`},
		"names that go up and stay inside": {layers{{
			mk.Dir("usr/lib/../bin2"), mk.File("usr/lib/../bin2/./tool", "t"), mk.Link("a/../l", "x/../usr/bin2/tool"), mk.File("a/b/c/../../../..x", "x"), mk.File("usr/..", "").But(func(h *tar.Header) { h.Typeflag = tar.TypeDir }),
		}}, `
f /..x "x"
f /l "t" =1/2
d /usr @0.000000000
d /usr/bin2
f /usr/bin2/tool "t" =1/2`},
		"a whiteout by a name that goes up": {layers{base, {mk.File("d/e/../.wh.f", "")}}, `
d /d
d /d/e
f /d/e/x "x"
f /g "g"`},
		"aufs metadata": {layers{base, {
			mk.File(".wh..wh.aufs", ""), mk.Dir(".wh..wh.orph/"), mk.Dir("./.wh..wh.plnk/"), mk.File("./.wh..wh.plnk/1.2", "p"), mk.Link(".wh..wh.plnk/3.4", "d/f"),
			mk.Link("l", "/.wh..wh.plnk/1.2"), mk.Link("m", ".wh..wh.plnk/1.2"), mk.File("d/.wh..wh.x", ""), mk.File("d/.wh.f", ""),
		}, {mk.Dir(".wh..wh.plnk"), mk.File(".wh..wh.plnk/1.2", "q"), mk.Link("n", ".wh..wh.plnk/1.2")}}, `
d /d
d /d/e
f /d/e/x "x"
f /g "g"
f /l "p" =1/2
f /m "p" =1/2
f /n "q"`},
		"root": {layers{{mk.Dir("./").But(meta(0o700, 5, 6)).Xattr("user.r", "r")}}, `
`},
		"hard links": {layers{{mk.File("a", "a"), mk.Link("b", "a"), mk.Link("c", "./b"), mk.Link("d", "/c")}}, `
f /a "a" =1/4
f /b "a" =1/4
f /c "a" =1/4
f /d "a" =1/4`},
		"hard link into a lower layer": {layers{base, {mk.Link("h", "d/f")}}, `
d /d
d /d/e
f /d/e/x "x"
f /d/f "f" =1/2
f /g "g"
f /h "f" =1/2`},
		"hard link to a name that the layer deletes": {layers{base, {mk.File("d/.wh.f", ""), mk.Link("h", "d/f"), mk.File(".wh.d", ""), mk.Link("i", "d/e/x")}}, `
f /g "g"
f /h "f"
f /i "x"`},
		"hard link to a name that an opaque directory hides": {layers{base, {mk.Dir("d"), mk.File("d/.wh..wh..opq", ""), mk.Link("h", "d/f"), mk.Link("i", "d/e/x")}}, `
d /d
f /g "g"
f /h "f"
f /i "x"`},
		"hard link to a name that a later layer deletes": {layers{base, {mk.Link("h", "g")}, {mk.File(".wh.g", "")}, {mk.File("g", "new")}}, `
d /d
d /d/e
f /d/e/x "x"
f /d/f "f"
f /g "new"
f /h "g"`},
		"hard link to what is then replaced": {layers{base, {mk.Link("h", "g"), mk.File("g", "new")}}, `
d /d
d /d/e
f /d/e/x "x"
f /d/f "f"
f /g "new"
f /h "g"`},
		"metadata of a hard link": {layers{{
			mk.File("a", "a").Xattr("user.a", "1"),
			mk.Link("b", "a").Xattr("user.b", "2").But(meta(0o4755, 7, 8)),
			mk.Symlink("s", "x"), mk.Link("t", "s").But(meta(0o600, 9, 9)),
		}}, `
f /a 4755 7:8 "a" =1/2 user.a="1" user.b="2"
f /b 4755 7:8 "a" =1/2 user.a="1" user.b="2"
l /s 9:9 -> x =2/2
l /t 9:9 -> x =2/2`},
		"a directory in the place of the symlink that leads to it": {layers{{mk.Symlink("s", "."), mk.Dir("s/s"), mk.File("s/x", "x")}}, `
d /s
f /s/x "x"`},
		"a symlink of the same layer": {layers{{mk.Dir("usr/lib"), mk.Symlink("lib", "usr/lib"), mk.File("lib/x", "x"), mk.Symlink("up", "../../lib"), mk.File("up/y", "y"), mk.Link("z", "up/y")}}, `
l /lib -> usr/lib
l /up -> ../../lib
d /usr @0.000000000
d /usr/lib
f /usr/lib/x "x"
f /usr/lib/y "y" =1/2
f /z "y" =1/2`},
		"a symlink of a layer below": {layers{{mk.Dir("usr"), mk.Dir("usr/lib"), mk.Symlink("lib", "usr/lib")}, {mk.File("lib/x", "x")}}, `
d /lib @0.000000000
f /lib/x "x"
d /usr
d /usr/lib`},
		"special files": {layers{{
			mk.Device(tar.TypeChar, "null", 1, 3), mk.Device(tar.TypeBlock, "sda", 8, 1), mk.Device(tar.TypeFifo, "pipe", 0, 0),
			mk.Link("zero", "null"),
		}}, `
c /null 0644 1,3 =1/2
p /pipe 0600
b /sda 0600 8,1
c /zero 0644 1,3 =1/2`},
		"xattrs, times, owners": {layers{{
			mk.File("x", "").Xattr("user.z", "a\x00b\n=").Xattr("security.capability", "\x01").But(func(h *tar.Header) {
				h.ModTime, h.Uid, h.Gid = time.Unix(-5, 250), 3_000_000_000, 4_000_000_000
			}),
		}}, `
f /x 3000000000:4000000000 @-5.000000250 "" security.capability="\x01" user.z="a\x00b\n="`},
		"long names": {layers{{mk.File(strings.Repeat("n", 255), ""), mk.Symlink("s", strings.Repeat("t/", 200)+"é")}}, `
f /` + strings.Repeat("n", 255) + ` ""
l /s -> ` + strings.Repeat("t/", 200) + "é"},
		"other whiteouts than files": {layers{base, {mk.Link(".wh.g", "x"), mk.Dir(".wh.d")}}, ""},
		"whiteouts behind a symlink": {layers{{mk.Dir("usr"), mk.File("usr/x", "x"), mk.Symlink("lib", "usr")}, {mk.File("lib/.wh.x", ""), mk.File("lib/.wh..wh..opq", "")}}, `
d /lib @0.000000000
d /usr
f /usr/x "x"`},
	} {
		t.Run(name, func(t *testing.T) {
			tree, err := flattened(t, test.layers...)
			if err != nil {
				t.Fatal(err)
			}
			_, got, _ := strings.Cut(listing(t, tree), "\n")
			if want := strings.TrimLeft(test.want, "\n"); strings.TrimRight(got, "\n") != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if odd := strings.Contains(test.want, "d /lib"); odd != (len(tree.Notes) > 0) {
				t.Errorf("notes are %q", tree.Notes)
			}
		})
	}
}
