package rootfs

import (
	"testing"

	"golang.org/x/sys/unix"
)

func bind(t *testing.T, from, to string) {
	t.Helper()
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("needs to mount: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(to, unix.MNT_DETACH) })
}

func TestMountPoints(t *testing.T) {
	other := makeTree(t, "d/f = mounted", "f = mounted")
	dir := makeTree(t, "root/on/f = below", "root/a b\nc/", "root/file = below", "root/plain/", "roots/")
	root := dir + "/root"
	bind(t, root, root) // the root can be a mount point itself
	bind(t, other+"/d", root+"/on")
	bind(t, other+"/d", root+"/a b\nc")
	bind(t, other+"/f", root+"/file")
	bind(t, other+"/d", dir+"/roots")
	if r := open(t, root); r.mounts != nil {
		t.Log("statx does not report mount points here")
	}
	eachWay(t, root, func(t *testing.T, r *Root) {
		for path, want := range map[string]bool{
			"/": false, "/plain": false, "/on": true, "/on/f": false, "/a b\nc": true, "/file": true,
		} {
			if st, err := r.Lstat(path); st.MountRoot != want || err != nil {
				t.Errorf("%q: %v, %v", path, st.MountRoot, err)
			}
		}
		if got, err := read(r, "/on/f"); got != "mounted" || err != nil {
			t.Errorf("crossing: %q, %v", got, err)
		}
	})
}
