package tests

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
	"chunkah/tests/rpmroot"
)

// If the disk is full, there is no output, and existing files are unchanged.
func TestLaw4FullDisk(t *testing.T) {
	clients.Need(t, "root")
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		clients.Lack(t, "needs to mount a tmpfs: "+err.Error())
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	root := smallRoot(t)
	out := filepath.Join(dir, "out.ociarchive")
	for _, target := range []string{out, "oci-archive:" + out, "docker-archive:" + out, "oci:" + filepath.Join(dir, "layout")} {
		stderr := fails(t, 1, exec.Command("chunkah", "build", "--rootfs", root, "-o", target))
		if !strings.Contains(stderr, "no space left on device") || !strings.Contains(stderr, dir) {
			t.Errorf("-o %s: standard error is %q", target, stderr)
		}
		empty(t, dir)
	}
	if err := os.WriteFile(out, []byte("before"), 0o644); err != nil {
		t.Fatal(err)
	}
	fails(t, 1, exec.Command("chunkah", "build", "--rootfs", root, "-o", out))
	if data, err := os.ReadFile(out); err != nil || string(data) != "before" {
		t.Errorf("the file that was there is %q, %v", data, err)
	}
}

// If the output is a device, the build writes to it instead of replacing it, and reports its
// errors.
func TestLaw4Devices(t *testing.T) {
	root := smallRoot(t)
	for _, target := range []string{"/dev/full", "docker-archive:/dev/full"} {
		fails(t, 1, exec.Command("chunkah", "build", "--rootfs", root, "-o", target))
	}
	if fi, err := os.Lstat("/dev/full"); err != nil || fi.Mode()&fs.ModeCharDevice == 0 {
		t.Errorf("/dev/full is %v, %v", fi, err)
	}
	dir := t.TempDir()
	fifo := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(fifo, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", `cat "$0" >"$1" & chunkah build --rootfs "$2" -o "$0" && wait`, fifo, dir+"/got", root)
	clients.Run(t, cmd)
	sameBytes(t, build(t, root), dir+"/got")
}

// Links, races or records that lead outside the root do not cause reads outside it.
func TestLaw6NothingOutside(t *testing.T) {
	const secret = "what stands outside of the root"
	outside := mkroot.Make(t, `file /passwd text="`+secret+`"`)
	root := mkroot.Make(t, "file /usr/a text=a\nsymlink /out to="+outside+"\nsymlink /up to=../../../../../../"+outside+"\n")

	t.Run("hostile records", func(t *testing.T) {
		for _, path := range []string{"/out/passwd", "/up/passwd", "/out"} {
			dir := t.TempDir()
			in := fmt.Sprintf(`{"header":{"version":1,"stage":"pack","root":%q}}
{"layer":{"index":0,"components":["x"]}}
{"file":{"path":%q,"type":"file","mode":420,"size":%d,"components":["x"]}}
{"end":{}}
`, root, path, len(secret))
			cmd := exec.Command("chunkah-write", "-o", dir+"/out.ociarchive")
			cmd.Stdin = strings.NewReader(in)
			if stderr := fails(t, 1, cmd); !strings.Contains(stderr, path) {
				t.Errorf("%s is not named in %q", path, stderr)
			}
			empty(t, dir)
		}
	})
	t.Run("package database", func(t *testing.T) {
		outside := rpmRoot(t)
		for _, target := range []string{outside + rpmroot.DB, "../../../../../.." + outside + rpmroot.DB} {
			root := mkroot.Make(t, "file /usr/bin/sh text=x\nsymlink "+rpmroot.DB+" to="+target+"\n")
			if out := stream(t, `chunkah-scan "$ROOT" | chunkah-assign`, root); strings.Contains(out, "rpm/runtime") {
				t.Errorf("the database at %s was read", target)
			}
		}
	})
	t.Run("races", func(t *testing.T) {
		root := mkroot.Make(t, "dir /d\nfile /d/passwd text=\""+strings.Repeat("x", len(secret))+"\"\n")
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			swap(root+"/d", outside, stop)
		}()
		for range 60 {
			res := start(t, exec.Command("chunkah", "build", "--rootfs", root))
			if bytes.Contains([]byte(res.stdout), []byte(secret)) {
				t.Error("the image has a file from outside")
			}
			if res.code != 0 && res.stderr == "" {
				t.Errorf("status %d without a word", res.code)
			}
		}
		close(stop)
		<-done
	})
}

// swap repeatedly replaces a directory with a link to the outside, and restores it.
func swap(dir, outside string, stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		_ = os.Rename(dir, dir+"-aside")
		_ = os.Symlink(outside, dir)
		_ = os.Remove(dir)
		_ = os.Rename(dir+"-aside", dir)
	}
}
