package scan

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

func TestPrune(t *testing.T) {
	dir := makeTree(t, "a/b/c = x", "a/b-c = x", "a/d = x", "ab = x", "file = x", "link -> a", "odd\n/\xff/x = x")
	all := []string{"/", "/a", "/a/b", "/a/b/c", "/a/b-c", "/a/d", "/ab", "/file", "/link", "/odd\n", "/odd\n/\xff", "/odd\n/\xff/x"}
	for _, test := range []struct {
		prune, gone, unmatched []string
	}{
		{[]string{"/a"}, []string{"/a", "/a/b", "/a/b/c", "/a/b-c", "/a/d"}, nil},
		{[]string{"/a/"}, []string{"/a/b", "/a/b/c", "/a/b-c", "/a/d"}, nil},
		{[]string{"a/b"}, []string{"/a/b", "/a/b/c"}, nil},
		{[]string{"a/b//"}, []string{"/a/b/c"}, nil},
		{[]string{"//a/./b"}, []string{"/a/b", "/a/b/c"}, nil},
		{[]string{"/a/../a/x/../b"}, []string{"/a/b", "/a/b/c"}, nil},
		{[]string{"../../ab"}, []string{"/ab"}, nil},
		{[]string{"/file", "/link"}, []string{"/file", "/link"}, nil},
		{[]string{"/odd\n/\xff"}, []string{"/odd\n/\xff", "/odd\n/\xff/x"}, nil},
		{[]string{"/file/"}, nil, []string{"/file/"}},   // a file has no contents to prune
		{[]string{"/link/"}, nil, []string{"/link/"}},   // the same applies to a link
		{[]string{"/link/b"}, nil, []string{"/link/b"}}, // paths are physical
		{[]string{"/none", "none/"}, nil, []string{"/none", "none/"}},
		{[]string{"/A"}, nil, []string{"/A"}},
		{[]string{"/a/*"}, nil, []string{"/a/*"}},
		{[]string{""}, nil, []string{""}},
		{[]string{"/"}, all[1:], nil},
		// Repeated paths, and paths hidden by another path, are not mistakes.
		{[]string{"/ab", "ab", "//ab"}, []string{"/ab"}, nil},
		{[]string{"/a/b/", "a/b/"}, []string{"/a/b/c"}, nil},
		{[]string{"/a/b", "/a/b/"}, []string{"/a/b", "/a/b/c"}, nil},
		{[]string{"/a/b", "/a/b/c", "/a/b/none"}, []string{"/a/b", "/a/b/c"}, nil},
		{[]string{"/a/", "/a/d"}, []string{"/a/b", "/a/b/c", "/a/b-c", "/a/d"}, nil},
		{[]string{"/none", "/none/x"}, nil, []string{"/none", "/none/x"}},
	} {
		files, report := mustWalk(t, dir, Options{Prune: test.prune})
		want := slices.DeleteFunc(slices.Clone(all), func(p string) bool { return slices.Contains(test.gone, p) })
		if got := paths(files); !slices.Equal(got, want) {
			t.Errorf("--prune %q: got %q, want %q", test.prune, got, want)
		}
		if !slices.Equal(report.Unmatched, test.unmatched) {
			t.Errorf("--prune %q: unmatched are %q, want %q", test.prune, report.Unmatched, test.unmatched)
		}
	}
}

// A pruned directory is not read, and a pruned name is not even examined.
func TestPrunedIsNotRead(t *testing.T) {
	needRoot(t)
	dir := makeTree(t, "dark/pipe |", "f = x")
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir+"/dark", 0); err != nil {
		t.Fatal(err)
	}
	asNobody(t, func() error {
		root, err := rootfs.Open(dir)
		if err != nil {
			return err
		}
		defer root.Close()
		_, err = gather(t.Context(), root, Options{Prune: []string{"/dark/"}, Readers: 1}, &Report{})
		return err
	})
}

func TestMountPoints(t *testing.T) {
	other := makeTree(t, "d/f = mounted", "d/sub/f = mounted", "file = mounted", "pipe |")
	if err := unix.Chmod(other+"/file", 0o4600); err != nil {
		t.Fatal(err)
	}
	dir := makeTree(t, "on/below = x", "proc/", "etc/resolv.conf = below", "etc/pipe = below", "plain/f = x")
	if err := os.Chmod(other+"/d", 0o710); err != nil {
		t.Fatal(err)
	}
	bind(t, dir, dir) // the root may be a mount point itself
	bind(t, other+"/d", dir+"/on")
	bind(t, other+"/d", dir+"/proc")
	bind(t, other+"/file", dir+"/etc/resolv.conf")
	bind(t, other+"/pipe", dir+"/etc/pipe")

	files, report := mustWalk(t, dir, Options{})
	wantPaths(t, files, "/", "/etc", "/etc/pipe", "/etc/resolv.conf", "/on", "/plain", "/plain/f", "/proc")
	for _, path := range []string{"/etc/resolv.conf", "/etc/pipe"} {
		f := find(t, files, path)
		if f.Type != format.TypeFile || f.Mode != 0o644 || f.Size != 0 || f.UID != 0 || f.GID != 0 || f.MTime != 0 || f.Hardlink != 0 {
			t.Errorf("%+v", f)
		}
	}
	if f := find(t, files, "/on"); f.Type != format.TypeDir || f.Mode != 0o710 {
		t.Errorf("%+v", f)
	}
	wantNotes(t, report, Note{"/etc/pipe", "the file mounted on"}, Note{"/etc/resolv.conf", "the file mounted on"},
		Note{"/on", "the contents of the mount point"}, Note{"/proc", "the contents of the mount point"})

	// A path in Prune is not reported, but a mounted file is.
	files, report = mustWalk(t, dir, Options{Prune: []string{"/proc/", "/on", "/etc/resolv.conf/", "/etc/pipe"}})
	wantPaths(t, files, "/", "/etc", "/etc/resolv.conf", "/plain", "/plain/f", "/proc")
	wantNotes(t, report, Note{"/etc/resolv.conf", "the file mounted on"})
	if f := find(t, files, "/etc/resolv.conf"); f.Size != 0 {
		t.Errorf("%+v", f)
	}

	files, report = mustWalk(t, dir, Options{CrossMounts: true, Special: SpecialKeep})
	wantPaths(t, files, "/", "/etc", "/etc/pipe", "/etc/resolv.conf", "/on", "/on/f", "/on/sub", "/on/sub/f",
		"/plain", "/plain/f", "/proc", "/proc/f", "/proc/sub", "/proc/sub/f")
	wantNotes(t, report)
	if f := find(t, files, "/etc/resolv.conf"); f.Size != int64(len("mounted")) || f.Mode != 0o4600 {
		t.Errorf("%+v", f)
	}
}

func wantNotes(t *testing.T, report *Report, want ...Note) {
	t.Helper()
	if !slices.Equal(report.Notes, want) {
		t.Errorf("notes are %v, want %v", report.Notes, want)
	}
}

func TestSkipXattrs(t *testing.T) {
	dir := makeTree(t, "a = x", "b = x", "d/f = x", "d/pipe |", "e/f = x", "kept = x")
	setXattr(t, dir+"/a", "user.chunkah.skip", "")
	setXattr(t, dir+"/b", "user.rpmostree.skip", "true")
	setXattr(t, dir+"/d", "user.chunkah.skip", "1")
	setXattr(t, dir+"/e", "user.rpmostree.skip", "0") // the value does not matter
	setXattr(t, dir+"/kept", "user.chunkah.skipped", "1")
	setXattr(t, dir+"/kept", "user.chunkah", "skip")
	files, report := mustWalk(t, dir, Options{})
	wantPaths(t, files, "/", "/kept")
	wantCounts(t, report.Skipped, Count{"marked by the xattr user.chunkah.skip", 2}, Count{"marked by the xattr user.rpmostree.skip", 2})

	setXattr(t, dir, "user.chunkah.skip", "")
	files, _, err := walk(t, dir, Options{})
	want := "scanning \"" + dir + "\": the root directory is marked to be skipped by an xattr (user.chunkah.skip or user.rpmostree.skip): nothing would be left"
	if files != nil || err == nil || err.Error() != want {
		t.Errorf("%q, %v", paths(files), err)
	}
}

func TestCaches(t *testing.T) {
	dir := makeTree(t, "cache/CACHEDIR.TAG = "+cacheTag+"\n# more", "cache/data/f = x", "cache/pipe |",
		"exact/CACHEDIR.TAG = "+cacheTag, "short/CACHEDIR.TAG = Signature: 8a47", "short/f = x",
		"other/CACHEDIR.TAG = "+strings.ToUpper(cacheTag), "other/f = x",
		"linked/CACHEDIR.TAG -> ../cache/CACHEDIR.TAG", "linked/f = x", "dir/CACHEDIR.TAG/f = x")
	files, _ := mustWalk(t, dir, Options{Special: SpecialSkip})
	if len(files) != 19 {
		t.Errorf("without the option: %q", paths(files))
	}
	files, report := mustWalk(t, dir, Options{SkipCaches: true})
	wantPaths(t, files, "/", "/cache", "/dir", "/dir/CACHEDIR.TAG", "/dir/CACHEDIR.TAG/f", "/exact",
		"/linked", "/linked/CACHEDIR.TAG", "/linked/f", "/other", "/other/CACHEDIR.TAG", "/other/f", "/short", "/short/CACHEDIR.TAG", "/short/f")
	wantNotes(t, report, Note{"/cache", "the contents of the cache directory"}, Note{"/exact", "the contents of the cache directory"})
}

// A FIFO called CACHEDIR.TAG is not opened.
func TestCacheTagFIFO(t *testing.T) {
	dir := makeTree(t, "d/CACHEDIR.TAG |", "d/f = x")
	files, _ := mustWalk(t, dir, Options{SkipCaches: true, Special: SpecialKeep})
	wantPaths(t, files, "/", "/d", "/d/CACHEDIR.TAG", "/d/f")
}

func TestXattrs(t *testing.T) {
	dir := makeTree(t, "f = x", "d/", "g = x", "link -> f")
	acl := "\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x04\x00\x07\x00\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff\x10\x00\x04\x00\xff\xff\xff\xff\x20\x00\x04\x00\xff\xff\xff\xff"
	caps := "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	for _, x := range [][3]string{
		{"/f", "user.b", "2\x00\n="}, {"/f", "user.a", "1"}, {"/f", "user.empty", ""},
		{"/f", "security.capability", caps}, {"/f", "system.posix_acl_access", acl},
		{"/f", "user.overlay.opaque", "y"}, {"/f", "trusted.overlay.redirect", "/x"}, {"/f", "trusted.md5", "x"},
		{"/f", "user.component", "web"}, {"/f", "user.overlays", "kept"},
		{"/g", "trusted.md5", "x"}, {"/d", "system.posix_acl_default", acl}, {"/link", "trusted.link", "x"}, {"", "user.root", "x"},
	} {
		setXattr(t, dir+x[0], x[1], x[2])
	}
	files, report := mustWalk(t, dir, Options{})
	wantXattrs := func(path string, want ...format.Xattr) {
		t.Helper()
		got := slices.DeleteFunc(find(t, files, path).Xattrs, func(x format.Xattr) bool { return x.Name == "security.selinux" })
		if !slices.EqualFunc(got, want, func(a, b format.Xattr) bool { return a.Name == b.Name && string(a.Value) == string(b.Value) }) {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	wantXattrs("/f", format.Xattr{Name: "security.capability", Value: []byte(caps)}, format.Xattr{Name: "system.posix_acl_access", Value: []byte(acl)},
		format.Xattr{Name: "user.a", Value: []byte("1")}, format.Xattr{Name: "user.b", Value: []byte("2\x00\n=")},
		format.Xattr{Name: "user.component", Value: []byte("web")}, format.Xattr{Name: "user.empty"}, format.Xattr{Name: "user.overlays", Value: []byte("kept")})
	wantXattrs("/d", format.Xattr{Name: "system.posix_acl_default", Value: []byte(acl)})
	wantXattrs("/", format.Xattr{Name: "user.root", Value: []byte("x")})
	wantXattrs("/g")
	delete(report.Dropped, "security.selinux")
	wantCounts(t, report.Dropped, Count{"trusted.link", 1}, Count{"trusted.md5", 2}, Count{"trusted.overlay.redirect", 1}, Count{"user.overlay.opaque", 1})

	files, report = mustWalk(t, dir, Options{KeepXattrs: []string{"trusted.md5", "security.selinux", "user.none"}})
	wantXattrs("/g", format.Xattr{Name: "trusted.md5", Value: []byte("x")})
	if report.Dropped["trusted.md5"] != 0 || report.Dropped["trusted.link"] != 1 {
		t.Errorf("dropped %v", report.Dropped)
	}
}

// SELinux labels are dropped by default, since the system that unpacks the image sets its own
// labels.
func TestSELinuxLabels(t *testing.T) {
	dir := makeTree(t, "f = x")
	setXattr(t, dir+"/f", "security.selinux", "system_u:object_r:usr_t:s0\x00")
	files, report := mustWalk(t, dir, Options{})
	if len(files[1].Xattrs) != 0 || report.Dropped["security.selinux"] == 0 {
		t.Errorf("%q, %v", files[1].Xattrs, report.Dropped)
	}
	files, report = mustWalk(t, dir, Options{KeepXattrs: []string{"security.selinux"}})
	if len(files[1].Xattrs) != 1 || report.Dropped != nil {
		t.Errorf("%q, %v", files[1].Xattrs, report.Dropped)
	}
}

// A renamed xattr replaces an xattr that already has the new name. The machine's own labels are not
// included.
func TestMapXattrs(t *testing.T) {
	dir := makeTree(t, "both = x", "host = x", "mapped = x")
	for path, list := range map[string][][2]string{
		"/both": {{"security.selinux", "host"}, {"user.selinux", "image"}, {"user.a", "a"}}, "/host": {{"security.selinux", "host"}},
		"/mapped": {{"user.selinux", "image"}, {"user.z", "z"}},
	} {
		for _, x := range list {
			setXattr(t, dir+path, x[0], x[1])
		}
	}
	files, _ := mustWalk(t, dir, Options{MapXattrs: map[string]string{"user.selinux": "security.selinux"}})
	for path, want := range map[string]string{
		"/both": `[{"security.selinux" "image"} {"user.a" "a"}]`, "/host": "[]", "/mapped": `[{"security.selinux" "image"} {"user.z" "z"}]`,
	} {
		if got := fmt.Sprintf("%q", find(t, files, path).Xattrs); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

func TestUnusableXattrNames(t *testing.T) {
	dir := makeTree(t, "a = x", "b/", "c = x", "skipped = x")
	setXattr(t, dir+"/a", "user.k=v", "x")
	setXattr(t, dir+"/b", "user.\xff", "x")
	setXattr(t, dir+"/c", "trusted.k=v", "dropped anyway")
	setXattr(t, dir+"/skipped", "user.k=v", "x")
	setXattr(t, dir+"/skipped", "user.chunkah.skip", "")
	_, _, err := walk(t, dir, Options{})
	wantFault(t, err, "found 2 unusable xattr names: a tar cannot store names with = in them or not in UTF-8: remove the xattr",
		`  /a ("user.k=v")`, `  /b ("user.\xff")`)
}

func TestOutput(t *testing.T) {
	dir := makeTree(t, "d/f = x", "d/out = x", "other = x")
	if err := os.Link(dir+"/d/out", dir+"/same"); err != nil {
		t.Fatal(err)
	}
	var out unix.Stat_t
	if err := unix.Stat(dir+"/d/out", &out); err != nil {
		t.Fatal(err)
	}
	files, report := mustWalk(t, dir, Options{Output: func(st rootfs.Stat) bool { return st.Dev == uint64(out.Dev) && st.Ino == out.Ino }})
	wantPaths(t, files, "/", "/d", "/d/f", "/other")
	wantNotes(t, report, Note{"/d/out", "the output"}, Note{"/same", "the output"})
}

// In the tree of a layer, a character device 0/0 represents a deleted file.
func TestWhiteouts(t *testing.T) {
	needRoot(t)
	dir := makeTree(t, "d/f = x")
	if err := unix.Mknod(dir+"/d/gone", unix.S_IFCHR, 0); err != nil {
		t.Fatal(err)
	}
	files, report := mustWalk(t, dir, Options{Whiteouts: true})
	want := &format.File{Path: "/d/gone", Type: format.TypeWhiteout, Components: []string{format.Deletions}}
	if f := find(t, files, "/d/gone"); !reflect.DeepEqual(f, want) {
		t.Errorf("got %+v, want %+v", f, want)
	}
	wantCounts(t, report.Skipped)
}
