package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"chunkah/lib/temp"
	"chunkah/tests/clients"
	mk "chunkah/tests/mkimage"
	"chunkah/tests/mkroot"
	"chunkah/tests/treediff"
)

// extracted extracts an image with chunkah and returns the tree.
func extracted(t testing.TB, source string, args ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "extracted")
	clients.Run(t, exec.Command("chunkah", append([]string{"extract", "--strict", source, dir}, args...)...))
	return dir
}

// untarred extracts an image to a tar, and extracts the tar with GNU tar.
func untarred(t testing.TB, source string) string {
	t.Helper()
	dir := t.TempDir()
	line := `chunkah extract --strict "$1" --tar - | tar -x -C "$2" --preserve-permissions --numeric-owner --xattrs --xattrs-include='*'`
	clients.Run(t, exec.Command("bash", "-o", "pipefail", "-ec", line, "sh", source, dir))
	return dir
}

// awkward is a root with files that only some clients restore completely.
const awkward = owned + `
link /usr/bin/also-ping to=/usr/bin/ping
symlink /link uid=7 gid=8 mtime=1 to=../../../../../etc/passwd
link /link-again to=/link
dir /closed mode=0
file /closed/inner mode=0 text=x xattr:user.a="\x00\n="
fifo /pipe mode=0622 uid=9
block /disk dev=8:1 mode=0660 gid=6
link /disk-again to=/disk
file /sparse sparse=1 size=20000000
file "/a\nline \\x2d \xff" text=x
dir /setgid mode=2755 gid=5
file /setgid/inner text=x
`

// chunkah extract restores all metadata of any kind of image, like umoci and podman.
func TestExtract(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root", "umoci", "skopeo", "setfacl")
	root := mkroot.Make(t, strings.ReplaceAll(awkward, "xattr:user.component", "xattr:user.c"))
	for _, acl := range [][]string{{"-m", "u:33:rw,g:44:r", root + "/usr/bin/ping"}, {"-d", "-m", "u:33:rwx", root + "/setgid"}} {
		clients.Run(t, exec.Command("setfacl", acl...))
	}
	opt := treediff.Options{} // chunkah sets its own mtimes, so only umoci's tree and the image have the same mtimes
	archive := build(t, root, "--keep-special-files", "--compress", "gzip", "--max", "6")
	dir := t.TempDir()
	clients.SkopeoCopy(t, "oci-archive:"+archive, "docker-archive:"+dir+"/docker.tar:localhost/app:1")
	plain := build(t, root, "--keep-special-files")
	for _, source := range []string{"oci-archive:" + archive, "docker-archive:" + dir + "/docker.tar", "oci-archive:" + plain} {
		got := extracted(t, source)
		treediff.Equal(t, root, got, opt)
		treediff.Equal(t, clients.UmociUnpack(t, archive), got, treediff.Options{Mtimes: source == "oci-archive:"+archive})
		treediff.Equal(t, root, untarred(t, source), opt)
		if out := clients.Run(t, exec.Command("chunkah", "diff", "--keep-xattr", "user.component", got, source)); out != "" {
			t.Errorf("diff finds %q", out)
		}
		var st unix.Stat_t
		if err := unix.Stat(got+"/sparse", &st); err != nil || st.Blocks*512 > 1<<20 {
			t.Errorf("the sparse file takes %d bytes, %v", st.Blocks*512, err)
		}
	}
	clients.Run(t, exec.Command("chunkah", "extract", "oci-archive:"+archive, "--tar", dir+"/root.tar"))
	treediff.Equal(t, root, extracted(t, "tar:"+dir+"/root.tar"), opt)
}

// Files are extracted into an existing empty directory without replacing it, so that it can be a
// mount point. The mode, owner and ACL of this directory do not matter.
func TestExtractToMountPoint(t *testing.T) {
	clients.Need(t, "root", "setfacl")
	root := mkroot.Make(t, "dir / mode=0710 mtime=5\nfile /etc/f text=x\n")
	source := "oci-archive:" + build(t, root)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m,mode=2777,uid=3,gid=4"); err != nil {
		clients.Lack(t, "needs to mount a tmpfs: "+err.Error())
	}
	defer func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	clients.Run(t, exec.Command("setfacl", "-m", "u:5:rwx", "-d", "-m", "u:33:rwx", dir))
	clients.Run(t, exec.Command("chunkah", "extract", "--strict", source, dir))
	treediff.Equal(t, root, dir, treediff.Options{})
	if out := clients.Run(t, exec.Command("chunkah", "diff", dir, source)); out != "" {
		t.Errorf("diff finds %q", out)
	}

	// If there is not enough space, extraction fails and leaves the directory empty.
	full := t.TempDir()
	if err := unix.Mount("tmpfs", full, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount(full, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	big := "oci-archive:" + build(t, mkroot.Make(t, "file /a/f size=30000\nfile /b/g size=3000000\n"))
	r := start(t, exec.Command("chunkah", "extract", big, full))
	if names, err := os.ReadDir(full); r.code != 1 || !strings.Contains(r.stderr, "no space left on device") || !strings.Contains(r.stderr, "hint: extract to another file system") || len(names) > 0 || err != nil {
		t.Errorf("status %d, %q, left %v, %v", r.code, r.stderr, names, err)
	}
}

// asNobody returns a command that runs without any privileges.
func asNobody(args ...string) *exec.Cmd {
	return exec.Command("setpriv", append([]string{"--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"}, args...)...)
}

// nobodys returns a directory that belongs to the user nobody. It contains chunkah and a copy of an
// archive.
func nobodys(t *testing.T, archive string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ck")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	chunkah, err := exec.LookPath("chunkah")
	if err != nil {
		t.Fatal(err)
	}
	clients.Run(t, exec.Command("install", "-m", "755", chunkah, dir+"/chunkah"))
	clients.Run(t, exec.Command("install", "-m", "644", archive, dir+"/in"))
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	return dir
}

// For a user without privileges, chunkah extracts all contents and lists everything that it could
// not restore. With --strict, it fails with this list, and no files remain.
func TestExtractAsAnyUser(t *testing.T) {
	clients.Need(t, "root", "setpriv")
	root := mkroot.Make(t, awkward)
	dir := nobodys(t, build(t, root, "--keep-special-files", "--compress", "zstd"))
	r := start(t, asNobody(dir+"/chunkah", "extract", "-v", "oci-archive:"+dir+"/in", dir+"/out"))
	if r.code != 0 {
		t.Fatalf("status %d: %s", r.code, r.stderr)
	}
	for _, want := range []string{
		"not everything could be restored", `devices: "/dev/null", "/disk", "/disk-again"`, `the xattr security.capability: "/usr/bin/also-ping"`,
		`setuid and setgid bits, because the owner differs: "/owned", "/setgid"`, "the owner: ", "under podman unshare",
	} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("%q is not in:\n%s", want, r.stderr)
		}
	}
	diffs, err := treediff.Compare(root, dir+"/out", treediff.Options{SkipXattr: func(_, name string, _ []byte) bool { return name == "user.component" }})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range diffs {
		expected := strings.Contains(d, ": uid: ") || strings.Contains(d, ": gid: ") || strings.Contains(d, "xattr security.capability: ") ||
			strings.Contains(d, "only in the first tree (char)") || strings.Contains(d, "only in the first tree (block)") ||
			d == `"/owned": mode: 6755 and 0755` || d == `"/setgid": mode: 2755 and 0755`
		if !expected {
			t.Error(d)
		}
	}
	r = start(t, asNobody(dir+"/chunkah", "extract", "--strict", "oci-archive:"+dir+"/in", dir+"/strict"))
	if r.code != 1 || !strings.Contains(r.stderr, `"/dev/null"`) {
		t.Errorf("status %d: %s", r.code, r.stderr)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 { // chunkah, in, out
		t.Errorf("left: %v, %v", entries, err)
	}
	// A tar can store everything that the user could not restore.
	clients.Run(t, asNobody(dir+"/chunkah", "extract", "--strict", "oci-archive:"+dir+"/in", "--tar", dir+"/tar"))
	treediff.Equal(t, root, extracted(t, "tar:"+dir+"/tar"), treediff.Options{SkipXattr: func(_, name string, _ []byte) bool { return name == "user.component" }})
}

// Layers that try to escape from the root through symlinks cannot write anything outside it.
func TestExtractHostileImages(t *testing.T) {
	outside := t.TempDir()
	for name, layers := range map[string][][]mk.Entry{
		"below a symlink":        {{mk.Symlink("a", outside)}, {mk.File("a/f", "x")}},
		"in one layer":           {{mk.Symlink("a", outside), mk.File("a/f", "x")}},
		"symlink for a dir":      {{mk.Dir("a"), mk.File("a/f", "x")}, {mk.Symlink("a", outside)}, {mk.File("a/g", "x")}},
		"hard link to a symlink": {{mk.Symlink("a", outside+"/f"), mk.Link("b", "a"), mk.File("b", "x")}},
		"dots":                   {{mk.File("../../../../../../.."+outside+"/f", "x")}},
		"absolute":               {{mk.File(outside+"/f", "x")}},
		"symlink to dots":        {{mk.Symlink("a", "../../../../../../../.."+outside)}, {mk.Dir("a/"), mk.File("a/f", "x")}},
		"whiteout":               {{mk.Symlink("a", outside)}, {mk.File("a/.wh.f", ""), mk.File("a/.wh..wh..opq", "")}},
		"link out":               {{mk.Link("a", "../../../../../../../.."+outside+"/f")}},
	} {
		img := &mk.Image{}
		for _, entries := range layers {
			img.Layers = append(img.Layers, mk.Layer{Tar: mk.Tar(t, entries...)})
		}
		base := t.TempDir()
		r := start(t, exec.Command("chunkah", "extract", "oci-archive:"+img.Archive(t), base+"/dir"))
		if left, err := os.ReadDir(outside); len(left) > 0 || err != nil {
			t.Fatalf("%s: outside there is %v, %v", name, left, err)
		}
		entries, err := os.ReadDir(base)
		if err != nil || r.code == 0 && len(entries) != 1 || r.code != 0 && len(entries) > 0 || r.code > 1 {
			t.Errorf("%s: status %d, %v, %v: %s", name, r.code, entries, err, r.stderr)
		}
	}
}

// While another process replaces directories with symlinks, nothing is written outside the target.
func TestExtractRace(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root")
	var spec strings.Builder
	const dirs = 30
	for i := range dirs {
		for j := range 20 {
			fmt.Fprintf(&spec, "file /d%d/e/f%d text=x\n", i, j)
		}
		fmt.Fprintf(&spec, "symlink /d%d/s to=x\nlink /d%d/e/l to=/d0/e/f0\nfifo /d%d/e/p\n", i, i, i)
	}
	source := "oci-archive:" + build(t, mkroot.Make(t, spec.String()), "--keep-special-files")
	for _, way := range []string{"", withoutOpenat2} {
		outside := t.TempDir()
		if err := os.Mkdir(outside+"/e", 0o755); err != nil {
			t.Fatal(err)
		}
		before, err := os.Stat(outside)
		if err != nil {
			t.Fatal(err)
		}
		var swaps int
		ended := map[int]int{}
		for range 20 {
			dir, links := t.TempDir(), t.TempDir()
			stop := make(chan struct{})
			var attacker sync.WaitGroup
			attacker.Go(func() {
				for i := 0; ; i = (i + 1) % (2 * dirs) {
					select {
					case <-stop:
						return
					default:
					}
					at := fmt.Sprintf("%s/d%d", dir, i%dirs)
					if i%2 == 0 {
						at += "/e"
					}
					link := fmt.Sprintf("%s/%d", links, i)
					_ = os.Symlink(outside, link) // a second symlink is in use
					if unix.Renameat2(unix.AT_FDCWD, at, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE) == nil {
						swaps++
					}
				}
			})
			r := start(t, behind(t, way, exec.Command("chunkah", "extract", source, dir)))
			close(stop)
			attacker.Wait()
			ended[r.code]++
		}
		if swaps == 0 {
			t.Error("nothing was swapped: the test shows nothing")
		}
		after, err := os.Stat(outside)
		if err != nil || after.ModTime() != before.ModTime() || after.Mode() != before.Mode() {
			t.Errorf("outside: %v, was %v, %v", after, before, err)
		}
		if left, err := os.ReadDir(outside + "/e"); err != nil || len(left) > 0 {
			t.Errorf("outside: %v, %v", left, err)
		}
		t.Logf("%d swaps, statuses %v", swaps, ended)
	}
}

// A killed run leaves a directory that does not look complete, and the next run lists it. Once the
// directory is removed, another run succeeds.
func TestExtractKilled(t *testing.T) {
	t.Parallel()
	clients.Need(t)
	root := mkroot.Make(t, manyFiles(3000))
	source := "oci-archive:" + build(t, root)
	for _, inPlace := range []bool{false, true} {
		base := t.TempDir()
		dir := base + "/dir"
		if inPlace {
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command("chunkah", "extract", source, dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		mark := awaitTemp(t, base, dir)
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed
		if _, err := os.Lstat(mark); err != nil {
			t.Fatalf("it ended before it was killed: %v", err)
		}
		r := start(t, exec.Command("chunkah", "extract", source, dir))
		if !strings.Contains(r.stderr, fmt.Sprintf("%q was left behind by a killed run", mark)) || r.code == 0 == inPlace {
			t.Errorf("in place %v: status %d: %s", inPlace, r.code, r.stderr)
		}
		if inPlace {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			clients.Run(t, exec.Command("chunkah", "extract", source, dir))
		}
		treediff.Equal(t, root, dir, treediff.Options{})
	}
}

func manyFiles(n int) string {
	var spec strings.Builder
	for i := range n {
		fmt.Fprintf(&spec, "file /d%d/f%d size=2000\n", i%7, i)
	}
	return spec.String()
}

// awaitTemp waits until one of the directories has an unfinished file, and returns its path.
func awaitTemp(t *testing.T, dirs ...string) string {
	t.Helper()
	for end := time.Now().Add(deadline); time.Now().Before(end); {
		for _, dir := range dirs {
			entries, _ := os.ReadDir(dir) // the directory can be missing
			for _, e := range entries {
				if temp.Is(e.Name()) {
					return filepath.Join(dir, e.Name())
				}
			}
		}
	}
	t.Fatal("no unfinished file appears")
	return ""
}
