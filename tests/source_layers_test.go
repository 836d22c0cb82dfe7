package tests

import (
	"archive/tar"
	"strings"
	"time"

	mk "chunkah/tests/mkimage"
)

// tenLayers returns the layers of an image in which files are deleted, replaced and linked in every
// way. Every directory has an entry, because runtimes treat directories without an entry
// differently.
func tenLayers() [][]mk.Entry {
	meta := func(mode int64, uid, gid int) func(*tar.Header) {
		return func(h *tar.Header) { h.Mode, h.Uid, h.Gid = mode, uid, gid }
	}
	at := func(sec, nsec int64) func(*tar.Header) {
		return func(h *tar.Header) { h.ModTime = time.Unix(sec, nsec) }
	}
	return [][]mk.Entry{
		{ // 0: a base
			mk.Dir("./"), mk.Dir("./bin/"), mk.File("./bin/sh", "shell").But(meta(0o755, 0, 0)), mk.Dir("etc"), mk.File("etc/passwd", "root"),
			mk.File("etc/shadow", "secret").But(meta(0o600, 0, 42)), mk.Dir("/var"), mk.Dir("/var/log/"), mk.File("/var/log/a", "a"),
			mk.File("/var/log/b", "b"), mk.Dir("opaque"), mk.Dir("opaque/sub"), mk.File("opaque/sub/deep", "deep"), mk.File("opaque/one", "1"),
			mk.File("opaque/two", "2"), mk.Dir("turns"), mk.File("turns/below", "x"), mk.Dir("keeps"), mk.File("keeps/below", "x"),
			mk.Symlink("link", "etc/passwd"), mk.Symlink("dirlink", "etc"), mk.Dir("tmp").But(meta(0o1777, 0, 0)),
			mk.Dir("late"), mk.File("late/old", "old"), mk.Dir("late/olddir"), mk.File("late/olddir/x", "x"),
		},
		{ // 1: whiteouts of files and of a directory
			mk.Dir("etc"), mk.File("etc/.wh.shadow", ""), mk.Dir("var"), mk.File("var/.wh.log", ""), mk.File(".wh.link", ""),
		},
		{ // 2: opaque directories, the second one after its siblings
			mk.Dir("opaque"), mk.File("opaque/.wh..wh..opq", ""), mk.Dir("opaque/sub"), mk.File("opaque/three", "3"),
			mk.Dir("late"), mk.File("late/new", "new"), mk.Dir("late/olddir"), mk.File("late/.wh..wh..opq", ""),
		},
		{ // 3: directory to file, file to directory, symlink to directory
			mk.File("turns", "a file now"), mk.File(".wh.dirlink", ""), mk.Dir("etc"), mk.File("etc/hosts", "hosts"),
			mk.File("swap", "file"), mk.Dir("gone"), mk.Dir("gone/deeper"), mk.File("gone/deeper/x", "x"),
		},
		{ // 4: and back
			mk.Dir("turns"), mk.File("turns/new", "new"), mk.Dir("dirlink"), mk.File("dirlink/x", "x"),
			mk.Dir("swap"), mk.File("swap/in", "in"), mk.File(".wh.gone", ""),
		},
		{ // 5: metadata of directories and files
			mk.Dir("keeps").But(meta(0o2750, 11, 12)).But(at(1_500_000_000, 123_456_789)).Xattr("user.note", "a\x00b"),
			mk.File("bin/sh", "shell").But(meta(0o4755, 1, 2)).Xattr("user.a", "1").Xattr("user.b", "two\n="),
			mk.Dir("bin").But(at(1_400_000_000, 0)),
		},
		{ // 6: hard links, chains of hard links, and a hard link to a symlink
			mk.Dir("hard"), mk.File("hard/a", "hard").But(meta(0o640, 3, 4)), mk.Link("hard/b", "hard/a").But(meta(0o640, 3, 4)),
			mk.Link("hard/c", "./hard/b").But(meta(0o640, 3, 4)), mk.Link("hard/d", "/hard/c").But(meta(0o640, 3, 4)),
			mk.Symlink("hard/s", "a"), mk.Link("hard/t", "hard/s"), mk.Dir("was"), mk.File("was/1", "1"), mk.Link("was/2", "was/1"), mk.Link("was/3", "was/2"),
		},
		{ // 7: some names of an inode are deleted or replaced
			mk.Dir("was"), mk.File("was/.wh.1", ""), mk.File("was/2", "another"),
			mk.Dir("again"), mk.File("again/.wh.x", ""), mk.File("again/x", "x"),
		},
		{ // 8: unusual names, special files, a name twice
			mk.Dir("names"), mk.File("names/"+strings.Repeat("n", 255), "long"), mk.File(`names/back\slash`, "b"), mk.File("names/new\nline", "n"),
			mk.File("names/ütf", "u"), mk.File("names/-dash", "d"),
			mk.Dir("names/" + strings.Repeat("d", 120)), mk.File("names/"+strings.Repeat("d", 120)+"/"+strings.Repeat("e", 200), "deep"),
			mk.Symlink("names/l", strings.Repeat("t", 300)), mk.Dir("dev"), mk.Device(tar.TypeChar, "dev/null", 1, 3),
			mk.Device(tar.TypeBlock, "dev/sda", 8, 0), mk.Device(tar.TypeFifo, "dev/pipe", 0, 0),
		},
		{ // 9: the same names again, and some are deleted
			mk.Dir("names"), mk.File("names/.wh.-dash", ""), mk.Dir("opaque"), mk.File("opaque/.wh.sub", ""), mk.Dir("opaque/sub2"),
			mk.Dir("tmp").But(meta(0o1777, 0, 0)), mk.File("tmp/.wh..wh..opq", ""), mk.Dir("hard"), mk.File("hard/.wh.a", ""),
		},
	}
}
