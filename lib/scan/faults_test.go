package scan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

func TestSpecialFiles(t *testing.T) {
	dir := makeTree(t, "a |", "b/c/d |", "b/new\nline |", "run/sock #", "f = x")

	files, _, err := walk(t, dir, Options{})
	wantFault(t, err, "found 4 special files: use --prune, --skip-special-files or --keep-special-files",
		"  /a (FIFO)", "  /b/c/d (FIFO)", `  "/b/new\nline" (FIFO)`, "  /run/sock (socket)")
	wantPaths(t, files, "/", "/b", "/b/c", "/f", "/run")

	files, report := mustWalk(t, dir, Options{Special: SpecialSkip})
	wantPaths(t, files, "/", "/b", "/b/c", "/f", "/run")
	wantCounts(t, report.Skipped, Count{"FIFO", 3}, Count{"socket", 1})

	files, report = mustWalk(t, dir, Options{Special: SpecialKeep})
	wantPaths(t, files, "/", "/a", "/b", "/b/c", "/b/c/d", "/b/new\nline", "/f", "/run")
	wantCounts(t, report.Skipped, Count{"socket: cannot be stored in a tar", 1})
	if f := find(t, files, "/a"); f.Type != format.TypeFifo || f.Mode != 0o644 {
		t.Errorf("%+v", f)
	}

	_, _, err = walk(t, dir, Options{Prune: []string{"/a", "/b/", "run"}})
	if err != nil {
		t.Error(err)
	}
}

func TestDevices(t *testing.T) {
	dir := makeTree(t, "dev/")
	for name, dev := range map[string][3]uint32{
		"char": {unix.S_IFCHR, 4095, 1048575}, "block": {unix.S_IFBLK, 8, 1}, "whiteout": {unix.S_IFCHR, 0, 0}, "zero": {unix.S_IFBLK, 0, 0},
	} {
		if err := unix.Mknod(dir+"/dev/"+name, dev[0]|0o640, int(unix.Mkdev(dev[1], dev[2]))); err != nil {
			t.Skipf("needs root to make devices: %v", err)
		}
	}
	whiteout := []string{"found 1 overlayfs whiteout: an image cannot contain a character device 0/0: " +
		"use --prune or --skip-special-files, or scan the mounted file system", "  /dev/whiteout"}

	_, _, err := walk(t, dir, Options{})
	wantFault(t, err, append([]string{"found 3 special files: use --prune, --skip-special-files or --keep-special-files",
		"  /dev/block (block device)", "  /dev/char (character device)", "  /dev/zero (block device)"}, whiteout...)...)

	files, _, err := walk(t, dir, Options{Special: SpecialKeep})
	wantFault(t, err, whiteout...)
	if f := find(t, files, "/dev/char"); f.Type != format.TypeChar || f.DevMajor != 4095 || f.DevMinor != 1048575 {
		t.Errorf("%+v", f)
	}
	if f := find(t, files, "/dev/block"); f.Type != format.TypeBlock || f.DevMajor != 8 || f.DevMinor != 1 {
		t.Errorf("%+v", f)
	}

	files, report := mustWalk(t, dir, Options{Special: SpecialSkip})
	wantPaths(t, files, "/", "/dev")
	wantCounts(t, report.Skipped, Count{"block device", 2}, Count{"character device", 1}, Count{"overlayfs whiteout", 1})
}

func wantCounts(t *testing.T, got map[string]int64, want ...Count) {
	t.Helper()
	list := Counts(got)
	if len(list) != len(want) {
		t.Errorf("got %v, want %v", list, want)
		return
	}
	for i := range want {
		if list[i] != want[i] {
			t.Errorf("got %v, want %v", list, want)
		}
	}
}

// All names that would delete files in the image are listed.
func TestWhiteoutNames(t *testing.T) {
	dir := makeTree(t, "a/.wh.one = x", "a/.wh..wh..opq = x", ".wh.dir/f = x", "a/x.wh.y = x", "a/.wh = x", ".wh.link -> x", "gone/.wh.x = x", ".wh.sock #")
	_, _, err := walk(t, dir, Options{Prune: []string{"/gone/"}, Special: SpecialSkip})
	wantFault(t, err, "found 4 whiteout names: in an image, names that begin with .wh. delete files: rename the file, or use --prune",
		"  /.wh.dir", "  /.wh.link", "  /a/.wh..wh..opq", "  /a/.wh.one")
	files, _ := mustWalk(t, dir, Options{Prune: []string{"/.wh.dir", "/.wh.link", "/a/.wh.one", "/a/.wh..wh..opq", "/gone", "/.wh.sock"}})
	wantPaths(t, files, "/", "/a", "/a/.wh", "/a/x.wh.y")
}

// All problems of all kinds are reported together.
func TestAllFaults(t *testing.T) {
	dir := makeTree(t, "pipe |", ".wh.x = x", "f = x")
	setXattr(t, dir+"/f", "user.a=b", "x")
	_, _, err := walk(t, dir, Options{})
	wantFault(t, err, "found 1 special file: use --prune, --skip-special-files or --keep-special-files", "  /pipe (FIFO)",
		"found 1 whiteout name: in an image, names that begin with .wh. delete files: rename the file, or use --prune", "  /.wh.x",
		"found 1 unusable xattr name: a tar cannot store names with = in them or not in UTF-8: remove the xattr", `  /f ("user.a=b")`)
}

// All unreadable paths are found during the scan, including files.
func TestUnreadable(t *testing.T) {
	needRoot(t)
	dir := makeTree(t, "closed = x", "d/closed = x", "d/open = x", "dark/f = x", "blind/f = x", "list/a = x", "list/b = x",
		"pruned/f = x", "tagged = x", "skipped = x", "link -> closed")
	modes := map[string]uint32{"/closed": 0o600, "/d/closed": 0, "/dark": 0o700, "/blind": 0o711, "/list": 0o744, "/pruned": 0,
		"/tagged": 0o600, "/skipped": 0o600, "": 0o755}
	setXattr(t, dir+"/tagged", "user.x", "y")
	setXattr(t, dir+"/skipped", "user.chunkah.skip", "")
	for path, mode := range modes {
		if err := os.Chmod(dir+path, os.FileMode(mode)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if files, _ := mustWalk(t, dir, Options{}); len(files) != 16 {
		t.Errorf("root sees %q", paths(files))
	}
	asNobody(t, func() error {
		root, err := rootfs.Open(dir)
		if err != nil {
			return err
		}
		defer root.Close()
		_, err = gather(t.Context(), root, Options{Prune: []string{"/pruned/"}, Readers: 1}, &Report{})
		wantFault(t, err, "found 7 unreadable paths: run as root or as the owner, or use --prune",
			"  /blind", "  /closed", "  /d/closed", "  /dark", "  /list/a", "  /list/b", "  /tagged")
		return nil
	})
}

// A root that cannot be listed is not treated as empty.
func TestUnreadableRoot(t *testing.T) {
	dir := makeTree(t, "f = x")
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	asNobody(t, func() error {
		_, err := rootfs.Open(dir)
		if err == nil || !strings.HasSuffix(err.Error(), ": permission denied") {
			t.Errorf("%v", err)
		}
		return nil
	})
}
