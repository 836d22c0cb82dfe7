// Package clients runs real container clients for the tests: podman, buildah, skopeo, umoci, GNU
// tar and a Docker daemon. All of their data are stored in a temporary directory of the test.
package clients

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Some distributions install setcap, runc and dockerd in these directories, which may be missing in
// an ordinary user's PATH.
func init() { os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin") }

// Strict reports whether missing tools are errors. Continuous integration sets CHUNKAH_TEST_STRICT,
// after make test-deps.
func Strict() bool { return os.Getenv("CHUNKAH_TEST_STRICT") == "1" }

// Need skips the test in short mode, or if one of the commands is not installed. The name "root"
// requires that the test runs as root.
func Need(t testing.TB, commands ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs real clients: skipped by -short")
	}
	for _, name := range commands {
		if name == "root" {
			if os.Geteuid() != 0 {
				Lack(t, "needs root")
			}
		} else if _, err := exec.LookPath(name); err != nil {
			Lack(t, "needs "+name)
		}
	}
}

// Lack skips the test with a reason, or fails the test if Strict returns true.
func Lack(t testing.TB, reason string) {
	t.Helper()
	if Strict() {
		t.Fatalf("%s, and CHUNKAH_TEST_STRICT is set", reason)
	}
	t.Skip(reason)
}

// Run runs a command and returns its standard output. If the command fails, the test fails with all
// output of the command.
func Run(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		said := out.Bytes()[:min(out.Len(), maxSaid)]
		t.Fatalf("%s: %v\n%s%s", strings.Join(cmd.Args, " "), err, stderr.Bytes(), said)
	}
	return out.String()
}

// maxSaid limits how much of a failed command's standard output is shown, in bytes.
const maxSaid = 10_000

// SkopeoCopy copies an image from one transport to another.
func SkopeoCopy(t testing.TB, from, to string) {
	t.Helper()
	Run(t, exec.Command("skopeo", "--insecure-policy", "copy", "--quiet", from, to))
}

// UmociUnpack unpacks the image of an OCI archive with umoci and returns the tree. skopeo does not
// compress the layers, and umoci does not create a bundle, because it would have to read all files
// again. Compression and the bundle would each take longer than the unpacking itself.
func UmociUnpack(t testing.TB, archive string) string {
	t.Helper()
	dir := t.TempDir()
	Run(t, exec.Command("skopeo", "--insecure-policy", "copy", "--quiet", "--dest-oci-accept-uncompressed-layers",
		"oci-archive:"+archive, "oci:"+dir+"/layout:x"))
	Run(t, exec.Command("umoci", "raw", "unpack", "--image", dir+"/layout:x", dir+"/rootfs"))
	return filepath.Join(dir, "rootfs")
}

// TarUnpack copies an archive with skopeo, unpacks its layers into one directory with GNU tar, from
// the bottom up, and returns the tree. It does not support whiteouts, because the archives contain
// none.
func TarUnpack(t testing.TB, archive string) string {
	t.Helper()
	dir := t.TempDir()
	SkopeoCopy(t, "oci-archive:"+archive, "dir:"+dir+"/image")
	root := filepath.Join(dir, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, digest := range LayerDigests(t, filepath.Join(dir, "image/manifest.json")) {
		_, hex, _ := strings.Cut(digest, ":")
		Run(t, exec.Command("tar", "--extract", "--file", filepath.Join(dir, "image", hex), "--directory", root,
			"--preserve-permissions", "--numeric-owner", "--xattrs", "--xattrs-include=*"))
	}
	return root
}

// ShortDir makes a temporary directory with a short name for sockets and mounts. The path of a
// socket is limited to 107 bytes, and the path of podman's run directory is limited to 50 bytes.
func ShortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ck")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unmountBelow(dir)
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("cleaning up: %v", err)
		}
	})
	return dir
}

// unmountBelow unmounts everything at or below dir, deepest first.
func unmountBelow(dir string) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return
	}
	var below []string
	for line := range strings.SplitSeq(string(mounts), "\n") {
		if f := strings.Fields(line); len(f) > 1 && (f[1] == dir || strings.HasPrefix(f[1], dir+"/")) {
			below = append(below, f[1])
		}
	}
	sort.Sort(sort.Reverse(sort.StringSlice(below)))
	for _, path := range below {
		_ = unix.Unmount(path, unix.MNT_DETACH)
	}
}
