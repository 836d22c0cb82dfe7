package assign

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

// TestFind looks up paths as packages list them, in roots whose directories are merged in either
// direction.
func TestFind(t *testing.T) {
	for _, test := range []struct {
		name  string
		files []*format.File
		found map[string]string // listed path -> record's path, "" for none
	}{
		{
			"merged into usr",
			records("/", "/lib -> usr/lib", "/bin -> /usr/bin", "/sbin -> usr/sbin", "/usr/", "/usr/lib/", "/usr/lib/x", "/usr/bin/",
				"/usr/bin/tool", "/usr/sbin -> bin", "/usr/lib/link -> x", "/loop -> loop", "/dangling -> none", "/file", "/tofile -> file"),
			map[string]string{
				"/lib/x": "/usr/lib/x", "/bin/tool": "/usr/bin/tool", "/sbin/tool": "/usr/bin/tool", "/usr/sbin/tool": "/usr/bin/tool",
				"/lib": "/lib", "/lib/": "/lib", // the last element is not followed
				"/usr/lib/x": "/usr/lib/x", "/usr/lib/link": "/usr/lib/link", "/lib/link": "/usr/lib/link",
				"/": "/", "": "/", "usr/bin/tool": "/usr/bin/tool", "bin/tool": "/usr/bin/tool", "usr": "/usr", "usr/": "/usr",
				"//usr//bin//tool": "/usr/bin/tool", "/usr/./bin/tool": "/usr/bin/tool", "/lib/../bin/tool": "/usr/bin/tool",
				"/../../lib/x": "/usr/lib/x", "/none/../lib/x": "", "/usr/lib/none": "", "/none/x": "", "/lib/none/x": "",
				"/loop/x": "", "/dangling/x": "", "/file/x": "", "/file/../usr": "", "/tofile/../usr": "", "/tofile/x": "", "/usr/lib/x/y": "", "/.": "", "/usr/..": "", ".": "", "..": "",
				"/LIB/x": "", "/usr/lib/\xff": "", "/lib/" + strings.Repeat("n", 256): "", "/lib/x\x00": "",
				strings.Repeat("/usr/..", 300) + "/lib/x": "/usr/lib/x",
				strings.Repeat("/.", 5000) + "/lib/x":     "", // longer than any package manager can make
				strings.Repeat("/n", 2<<20):               "",
			},
		},
		{
			"merged out of usr",
			records("/", "/usr/", "/usr/lib -> ../lib", "/lib/", "/lib/x", "/usr/bin -> /bin", "/bin/", "/bin/tool"),
			map[string]string{"/usr/lib/x": "/lib/x", "/lib/x": "/lib/x", "/usr/bin/tool": "/bin/tool", "/usr/lib": "/usr/lib"},
		},
		{
			"several levels of links",
			records("/", "/var/", "/var/run -> ../run", "/run/", "/run/lock/", "/var/lock -> run/lock", "/run/lock/f", "/up -> ../../../var/../lock2", "/lock2 -> run/lock"),
			map[string]string{"/var/lock/f": "/run/lock/f", "/var/run/lock/f": "/run/lock/f", "/up/f": "/run/lock/f"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			tree := NewTree(onDisk(t, test.files), test.files)
			for range 2 { // the second time from the cache
				for listed, want := range test.found {
					i, ok, err := tree.Find(listed)
					if err != nil || ok != (want != "") || ok && test.files[i].Path != want {
						t.Errorf("Find(%.80q) = %d, %v; want %q", listed, i, ok, want)
					}
				}
			}
		})
	}
}

// Links without records are followed too, because they are in the root.
func TestFindWithoutRecords(t *testing.T) {
	all := records("/", "/lib -> usr/lib", "/usr/", "/usr/lib/", "/usr/lib/x", "/out -> ..")
	root := onDisk(t, all)
	if err := os.WriteFile(root.Path()+"/../secret", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	files := records("/usr/lib/x")
	tree := NewTree(root, files)
	for listed, want := range map[string]bool{"/usr/lib/x": true, "/lib/x": true, "/usr/lib": false, "/": false, "/out/secret": false} {
		if i, ok, err := tree.Find(listed); err != nil || ok != want || i != 0 && ok {
			t.Errorf("Find(%q) = %d, %v", listed, i, ok)
		}
	}
}

// broken is a root that cannot be read.
type broken struct{ err error }

func (b broken) Stat(string) (rootfs.Stat, error)      { return rootfs.Stat{}, b.err }
func (b broken) Names(string) ([]string, error)        { return nil, b.err }
func (b broken) Readlink(string) (string, error)       { return "", b.err }
func (b broken) Xattrs(string) ([]rootfs.Xattr, error) { return nil, b.err }
func (b broken) Open(string) (io.ReaderAt, error)      { return nil, b.err }
func (b broken) Close() error                          { return nil }

// An unreadable directory is an error, because its contents are unknown.
func TestFindOnBrokenDisk(t *testing.T) {
	for errno, fails := range map[unix.Errno]bool{unix.EIO: true, unix.EMFILE: true, unix.ENOENT: false, unix.ELOOP: false, unix.ENOTDIR: false} {
		tree := NewTree(rootfs.Virtual("broken", broken{errno}), records("/usr/lib/x"))
		_, ok, err := tree.Find("/lib/x")
		if ok {
			t.Errorf("%v: found", errno)
		}
		if errors.Is(err, errno) != fails || fails && !strings.Contains(err.Error(), `"/lib/."`) {
			t.Errorf("%v: %v", errno, err)
		}
	}
}

func TestLookup(t *testing.T) {
	files := records("/a/", "/a/b", "/a-b", "/ab", "/a/b-c")
	tree := NewTree(nil, files)
	for want, f := range files {
		if i, ok := tree.Lookup(f.Path); i != want || !ok {
			t.Errorf("Lookup(%q) = %d, %v; want %d", f.Path, i, ok, want)
		}
	}
	for _, path := range []string{"/", "", "/a/c", "/b", "a", "/a/", "/a/b/c", "/0"} {
		if i, ok := tree.Lookup(path); ok {
			t.Errorf("Lookup(%q) = %d", path, i)
		}
	}
	if i, ok := NewTree(nil, nil).Lookup("/"); ok {
		t.Errorf("an empty tree has record %d", i)
	}
}

func TestLinks(t *testing.T) {
	tree := NewTree(nil, records("/", "/a g2", "/b", "/c g1", "/d g2", "/e g3"))
	for i, want := range [][]int{{0}, {1, 4}, {2}, {3}, {1, 4}, {5}} {
		if got := tree.Links(i); !slices.Equal(got, want) {
			t.Errorf("Links(%d) = %v, want %v", i, got, want)
		}
	}
}

func TestLead(t *testing.T) {
	for _, c := range [][3]string{
		{"/a/b/link", "x", "/a/b/x"},
		{"/a/b/link", "../x", "/a/x"},
		{"/a/b/link", ".././/../x/../y", "/x/../y"},
		{"/a/b/link", "../../../../x", "/x"},
		{"/link", "x", "/x"},
		{"/a/link", "/x/y", "/x/y"},
		{"/a/link", "..", "/a/.."},
	} {
		if got := absoluteTarget(c[0], c[1]); got != c[2] {
			t.Errorf("%s -> %s: got %s, want %s", c[0], c[1], got, c[2])
		}
	}
}

func TestTarget(t *testing.T) {
	tree := NewTree(rootfs.Virtual("none", nil), records("/a/", "/a/link", "/a/x", "/root-link", "/x"))
	tree.Files[1].Type, tree.Files[1].Target = format.TypeSymlink, "x"
	tree.Files[3].Type, tree.Files[3].Target = format.TypeSymlink, "/a/x"
	for _, link := range []int{1, 3, 1} {
		if i, found, err := tree.Target(link); err != nil || !found || tree.Files[i].Path != "/a/x" {
			t.Errorf("got %d, %t", i, found)
		}
	}
	if _, found, _ := tree.Target(2); found {
		t.Error("a file leads somewhere")
	}
}
