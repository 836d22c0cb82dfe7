package mkroot

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMake(t *testing.T) {
	root := Make(t, `
# a comment
dir /etc mode=0700 mtime=5
file "/etc/a b\xff" text="x y\n" mode=0600 mtime=1600000000
file /usr/bin/tool size=1000 mode=0755
link /usr/bin/same to=/usr/bin/tool
symlink /bin to=usr/bin
fifo /run/pipe
`)
	fi, err := os.Lstat(filepath.Join(root, "etc/a b\xff"))
	if err != nil {
		t.Fatal(err)
	}
	if fi.Mode().Perm() != 0o600 || fi.ModTime().Unix() != 1600000000 || fi.Size() != 4 {
		t.Errorf("got %v %v %d", fi.Mode(), fi.ModTime().Unix(), fi.Size())
	}
	if fi, _ := os.Lstat(filepath.Join(root, "etc")); fi.Mode().Perm() != 0o700 || fi.ModTime().Unix() != 5 {
		t.Errorf("the directory is %v %v", fi.Mode(), fi.ModTime())
	}
	if fi, _ := os.Lstat(root); fi.ModTime().Unix() != Epoch {
		t.Errorf("the root's mtime is %v", fi.ModTime())
	}
	a, _ := os.Lstat(filepath.Join(root, "usr/bin/tool"))
	b, err := os.Stat(filepath.Join(root, "bin/same"))
	if err != nil || !os.SameFile(a, b) || a.Size() != 1000 {
		t.Errorf("the hard link is another file: %v", err)
	}
}

func TestMakeRefuses(t *testing.T) {
	for _, text := range []string{"file", "file /a mode", "file /a mode=9", "file /a colour=red", `file "/a`, "thing /a"} {
		if err := Write(filepath.Join(t.TempDir(), "root"), text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
