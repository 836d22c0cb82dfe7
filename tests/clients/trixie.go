package clients

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Trixie runs podman from Debian 13 with its own storage, in a chroot. The podman in Debian 12
// cannot fetch parts of layers.
type Trixie struct {
	t    testing.TB
	root string // of the chroot
	env  []string
}

// trixieStorage is the path of the storage in the chroot.
const trixieStorage = "/mnt"

// makeTrixie makes the chroot, or waits for another test that makes it, and returns its path.
var makeTrixie = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("../scripts/test-trixie").Output()
	return strings.TrimSpace(string(out)), err
})

// NewTrixie returns podman with empty storage, which is removed when the test ends. If partial is
// set, podman fetches parts of layers. The chroot is made by scripts/test-trixie and is shared by
// all tests. Nothing is written to it.
func NewTrixie(t testing.TB, partial bool) *Trixie {
	t.Helper()
	lower := trixieRoot(t)
	dir := ShortDir(t)
	e := &Trixie{t: t, root: filepath.Join(dir, "root")}
	for _, name := range []string{"root", "up", "work", "storage", "storage/tmp"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range []struct {
		source, target, fs, data string
		flags                    uintptr
	}{
		{"overlay", "", "overlay", "lowerdir=" + lower + ",upperdir=" + dir + "/up,workdir=" + dir + "/work", 0},
		{"none", "", "", "", unix.MS_PRIVATE},
		{"/proc", "/proc", "", "", unix.MS_BIND | unix.MS_REC},
		{"/sys", "/sys", "", "", unix.MS_BIND | unix.MS_REC},
		{"/dev", "/dev", "", "", unix.MS_BIND | unix.MS_REC},
		{"none", "/proc", "", "", unix.MS_REC | unix.MS_PRIVATE},
		{"none", "/sys", "", "", unix.MS_REC | unix.MS_PRIVATE},
		{"none", "/dev", "", "", unix.MS_REC | unix.MS_PRIVATE},
		// If a test is killed, removing its directory does not remove the machine's devices.
		{"none", "/dev", "", "", unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY},
		{dir + "/storage", trixieStorage, "", "", unix.MS_BIND},
		{"none", trixieStorage, "", "", unix.MS_PRIVATE},
	} {
		if err := unix.Mount(m.source, e.root+m.target, m.fs, m.flags, m.data); err != nil {
			Lack(t, "needs to mount "+m.source+" at "+m.target+" of a chroot: "+err.Error())
		}
	}
	fetch := "false"
	if partial {
		fetch = "true"
	}
	write(t, dir+"/storage/storage.conf", `[storage]
driver = "overlay"
graphroot = "`+trixieStorage+`/storage"
runroot = "`+trixieStorage+`/run"
[storage.options]
pull_options = {enable_partial_images = "`+fetch+`", use_hard_links = "false", ostree_repos = ""}
`)
	e.env = []string{
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TMPDIR=" + trixieStorage + "/tmp",
		"CONTAINERS_STORAGE_CONF=" + trixieStorage + "/storage.conf", "PODMAN_IGNORE_CGROUPSV1_WARNING=1",
	}
	t.Cleanup(func() { _ = e.podman("image", "unmount", "--all", "--force").Run() })
	return e
}

// trixieRoot returns the directory that scripts/test-trixie makes.
func trixieRoot(t testing.TB) string {
	t.Helper()
	Need(t, "root", "mmdebstrap")
	chroot, err := makeTrixie()
	if err != nil {
		said := ""
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			said = ": " + string(exit.Stderr)
		}
		Lack(t, "needs a Debian 13, which scripts/test-trixie cannot make: "+err.Error()+said)
	}
	return chroot
}

// TrixieTool returns the path of a program that is not part of Debian 12 and depends only on the C
// library. It is the program in PATH, or else the program in the chroot with Debian 13.
func TrixieTool(t testing.TB, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	return filepath.Join(trixieRoot(t), "usr/bin", name)
}

func (e *Trixie) podman(args ...string) *exec.Cmd {
	cmd := exec.Command("chroot", append([]string{e.root, "podman"}, args...)...)
	cmd.Env = e.env
	return cmd
}

// Podman runs podman and returns its standard output.
func (e *Trixie) Podman(args ...string) string {
	e.t.Helper()
	return Run(e.t, e.podman(args...))
}

// TryPull pulls an image from a registry without TLS, and returns podman's output, including its
// messages about each layer.
func (e *Trixie) TryPull(ref string) (string, error) {
	out, err := e.podman("--log-level=debug", "pull", "--tls-verify=false", "docker://"+ref).CombinedOutput()
	return string(out), err
}

// Pull is like TryPull, but the test fails if podman cannot pull the image.
func (e *Trixie) Pull(ref string) string {
	e.t.Helper()
	out, err := e.TryPull(ref)
	if err != nil {
		e.t.Fatalf("podman pull %s: %v\n%s", ref, err, out[max(0, len(out)-maxSaid):])
	}
	return out
}

// Place returns the name of an image in the storage, for programs outside of the chroot.
func (e *Trixie) Place(image string) string {
	dir := filepath.Dir(e.root) + "/storage"
	return "containers-storage:[overlay@" + dir + "/storage+" + dir + "/run]" + image
}

// Load loads an archive that is outside of the chroot.
func (e *Trixie) Load(archive string) {
	e.t.Helper()
	cmd := e.podman("load", "--quiet")
	in, err := os.Open(archive)
	if err != nil {
		e.t.Fatal(err)
	}
	defer in.Close()
	cmd.Stdin = in
	Run(e.t, cmd)
}

// Run runs a command in a new container of the image and returns its standard output. The runtime
// is this machine's runc, because Debian 13's crun requires a system that uses only cgroup v2.
func (e *Trixie) Run(image string, command ...string) string {
	e.t.Helper()
	Need(e.t, "runc", "cp")
	runc, err := exec.LookPath("runc")
	if err != nil {
		e.t.Fatal(err)
	}
	Run(e.t, exec.Command("cp", runc, e.root+"/usr/sbin/runc"))
	return e.Podman(slices.Concat([]string{
		"--runtime", "runc", "run", "--rm", "--network", "none",
		"--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", image,
	}, command)...)
}

// Mount mounts the image until the test ends, and returns the tree.
func (e *Trixie) Mount(image string) string {
	e.t.Helper()
	return e.root + strings.TrimSpace(e.Podman("image", "mount", image))
}
