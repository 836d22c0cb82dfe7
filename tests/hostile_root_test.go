package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
	"chunkah/tests/treediff"
)

// loops is a root with cyclic links, including links at the paths of package databases.
const loops = `
file /usr/bin/true text=x
symlink /self to=self
symlink /a to=b
symlink /b to=c
symlink /c to=a
symlink /d/up to=../d
symlink /d/here to=.
symlink /d/d to=d/d/d
symlink /top to=/
symlink /far to=../../../../../../../..
symlink /process to=/proc/self/root
symlink /abs to=/abs/abs
symlink /usr/lib/sysimage/rpm to=rpm
symlink /usr/share/rpm to=../share/rpm/rpm
symlink /var/lib/rpm to=/var/lib/rpm
symlink /var/lib/dpkg/status to=status
symlink /var/lib/dpkg/info to=../dpkg/info
symlink /var/lib/pacman to=../lib/pacman
symlink /lib/apk to=apk
symlink /lib/apk2 to=/lib/apk
symlink /usr/lib/python3/dist-packages to=../python3/dist-packages/x
symlink /usr/lib/node_modules to=/usr/lib/node_modules
symlink /nix to=nix
symlink /lib64 to=lib64/lib64
`

// An image of a hostile root contains all of its files, whether it is made by one process or by
// four.
func TestHostileRoots(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root")
	for _, test := range []struct {
		name   string
		make   func(t *testing.T) string
		unpack func(t testing.TB, archive string) string // nil if no client can unpack the image, or only slowly
	}{
		{"links in circles", func(t *testing.T) string { return mkroot.Make(t, loops) }, nil},
		{"100,000 entries in a directory", crowded, nil},
		{"4,000 levels", deep, nil},
		{"all modes 0000", shut, clients.TarUnpack},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := test.make(t)
			archive := build(t, root)
			sameBytes(t, archive, pipe(t, root, nil, nil))
			if out := clients.Run(t, exec.Command("chunkah", "diff", "--ignore-mtime", root, "oci-archive:"+archive)); out != "" {
				t.Errorf("the image differs:\n%.1000s", out)
			}
			clients.Run(t, exec.Command("chunkah", "verify", "oci-archive:"+archive))
			if test.unpack == nil {
				return
			}
			clients.Need(t, "skopeo")
			diffs, err := treediff.Compare(root, test.unpack(t, archive), treediff.Options{})
			if err != nil || len(diffs) > 0 {
				t.Errorf("unpacked, %d paths differ: %.1000q, %v", len(diffs), diffs, err)
			}
		})
	}
}

// crowded makes a root with 100,000 names in one directory: files, links and hard links.
func crowded(t *testing.T) string {
	root := mkroot.Make(t, "file /d/one text=x\nfile /other/f text=x\n")
	for i := range 100_000 {
		name := fmt.Sprintf("%s/d/%x", root, i*2654435761%(1<<32))
		var err error
		switch i % 100 {
		case 0, 1, 2, 3:
			err = os.Symlink("one", name)
		case 10, 11, 12, 13:
			err = os.WriteFile(name, []byte(name), 0o644)
		case 20, 21, 22, 23:
			err = os.Mkdir(name, 0o755)
		case 30:
			err = os.Link(root+"/d/one", name)
		default:
			err = unix.Mknod(name, unix.S_IFREG|0o600, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// deep makes a root with 4,000 nested directories, and with a file in every 400th directory.
func deep(t *testing.T) string {
	root := mkroot.Make(t, "file /usr/bin/true text=x\n")
	fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4000 {
		if err := unix.Mkdirat(fd, "d", 0o755); err != nil {
			t.Fatal(err)
		}
		next, err := unix.Openat(fd, "d", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
		if fd = next; i%400 != 399 {
			continue
		}
		f, err := unix.Openat(fd, "f", unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Write(f, []byte("deep")); err != nil {
			t.Fatal(err)
		}
		unix.Close(f)
	}
	unix.Close(fd)
	return root
}

// shut makes a root in which no file has any permissions, including the root directory.
func shut(t *testing.T) string {
	root := mkroot.Make(t, `
dir /d/sub mode=0000
file /d/sub/f text=x mode=0000
file /f text=x mode=0000
link /g to=/f
dir /empty mode=0000
symlink /l to=f
dir /d mode=0000
`)
	if err := os.Chmod(root, 0); err != nil {
		t.Fatal(err)
	}
	return root
}

// For a user without access to the root, commands fail immediately, and the error contains the
// paths.
func TestShutRootAsAnyUser(t *testing.T) {
	clients.Need(t, "root")
	root := shut(t)
	openAbove(t, root)
	openAbove(t, filepath.Join(scratch, "bin", "chunkah"))
	nobody := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		res := start(t, cmd)
		if res.code == 0 {
			t.Errorf("%q: status 0", args)
		}
		return res.stderr
	}
	for _, args := range [][]string{{"chunkah-scan", root}, {"chunkah", "build", "--rootfs", root}, {"chunkah", "diff", root, root}} {
		if stderr := nobody(args...); !strings.Contains(stderr, fmt.Sprintf("opening root %q: permission denied", root)) {
			t.Errorf("%q: %s", args, stderr)
		}
	}
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"chunkah-scan", root}, {"chunkah", "build", "--rootfs", root}, {"chunkah", "diff", root, root}} {
		stderr := nobody(args...)
		for _, path := range []string{"/d", "/f", "/g", "/empty"} {
			if n := countPath(stderr, path); n != 1 {
				t.Errorf("%q: %s is named %d times in\n%s", args, path, n, stderr)
			}
		}
	}
}
