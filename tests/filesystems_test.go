package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"chunkah/tests/clients"
)

// imageSize is the size of a file that contains a file system, in bytes. The file is sparse. xfs
// requires at least 300 MB.
const imageSize = 320 << 20

// filesystem mounts a new file system and returns its root. The file system is a tmpfs, or ext4 or
// xfs in a file. If possible, the mount options make each read update access times.
func filesystem(t *testing.T, kind string) string {
	t.Helper()
	if kind == "tmpfs" {
		return mount(t, "tmpfs", "-t", "tmpfs", "-o", "strictatime")
	}
	clients.Need(t, "root", "mkfs."+kind)
	file := filepath.Join(t.TempDir(), kind)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, imageSize); err != nil {
		t.Fatal(err)
	}
	clients.Run(t, exec.Command("mkfs."+kind, "-q", file))
	return mount(t, file, "-t", kind, "-o", "loop,strictatime")
}

// mount mounts a file system on a new directory until the test ends, and returns the directory.
func mount(t *testing.T, what string, args ...string) string {
	t.Helper()
	clients.Need(t, "root", "mount")
	dir := t.TempDir()
	if out, err := exec.Command("mount", append(args, what, dir)...).CombinedOutput(); err != nil {
		clients.Lack(t, "needs to mount: mount "+strings.Join(args, " ")+": "+err.Error()+": "+string(out))
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmounting %s: %v", dir, err)
		}
	})
	return dir
}

// copyTo creates dir and copies a root to it, with all metadata.
func copyTo(t *testing.T, root, dir string) string {
	t.Helper()
	clients.Run(t, exec.Command("cp", "--archive", root, dir))
	return dir
}

// overlay returns a copy of a root on an overlayfs. Every second file is in the upper layer, and
// the other files are in the lower layer.
func overlay(t *testing.T, root string) string {
	t.Helper()
	disk := filesystem(t, "ext4") // an overlay cannot be on an overlay
	upper, lower := copyTo(t, root, disk+"/upper"), copyTo(t, root, disk+"/lower")
	n := 0
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		from := upper
		// Hard links stay together.
		if n++; n%2 == 0 && st.Nlink == 1 {
			from = lower
		}
		return os.Remove(from + strings.TrimPrefix(path, root))
	})
	if err != nil {
		t.Fatal(err)
	}
	// The removals changed the times of directories. An overlayfs shows the times of the upper
	// layer, so these are restored from the root.
	clients.Run(t, exec.Command("sh", "-ec", `cd "$0"; find . -depth -type d -exec touch --reference="$1/{}" {} \;`, upper, root))
	if err := os.Mkdir(disk+"/work", 0o755); err != nil {
		t.Fatal(err)
	}
	return mount(t, "overlay", "-t", "overlay", "-o", "lowerdir="+lower+",upperdir="+upper+",workdir="+disk+"/work")
}
