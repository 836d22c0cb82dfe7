package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// rootlessID is the user ID with which rootless runs commands.
const rootlessID = 4321

// rootless creates a user with a home directory and subordinate IDs, and runs a shell script. The
// script can call a function named "as", which runs a command as this user. $CHUNKAH is the path of
// chunkah, and $DIR is dir, which the user can read. dir must be a directory from clients.ShortDir.
func rootless(t *testing.T, dir, script string) result {
	t.Helper()
	clients.Need(t, "root", "podman", "setpriv", "newuidmap", "unshare")
	chunkah, err := exec.LookPath("chunkah")
	if err != nil {
		t.Fatal(err)
	}
	openAbove(t, chunkah)
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"passwd": string(passwd) + fmt.Sprintf("someone:x:%d:%[1]d::%s/home:/bin/sh\n", rootlessID, dir), "subid": "someone:200000:65536\n",
		"containers.conf": clients.Conf,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	clients.Run(t, exec.Command("sh", "-c", `mkdir -p "$0/home" "$0/run" && chown -R "$1:$1" "$0" && chmod -R o+rX "$0"`, dir, strconv.Itoa(rootlessID)))
	openAbove(t, dir+"/home")
	cmd := exec.Command("unshare", "--mount", "sh", "-c", `set -e
mount --bind "$DIR/passwd" /etc/passwd
mount --bind "$DIR/subid" /etc/subuid
mount --bind "$DIR/subid" /etc/subgid
as() { setpriv --reuid=$ID --regid=$ID --clear-groups "$@"; }
`+script)
	cmd.Dir = "/"
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "ID=" + strconv.Itoa(rootlessID), "DIR=" + dir, "CHUNKAH=" + chunkah, "HOME=" + dir + "/home",
		"XDG_RUNTIME_DIR=" + dir + "/run", "CONTAINERS_CONF=" + dir + "/containers.conf", "TMPDIR=" + dir + "/run",
	}
	t.Cleanup(func() { endPause(t, dir+"/run/libpod/tmp/pause.pid") })
	return start(t, cmd)
}

// endPause ends the process that podman runs to keep a user's namespaces alive.
func endPause(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Errorf("podman has left no pause process: %v", err)
		return
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err == nil {
		err = syscall.Kill(pid, syscall.SIGKILL)
	}
	for n := 0; err == nil && n < 100; n++ {
		stat, gone := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if gone != nil || strings.Contains(string(stat), ") Z ") { // init can take some time to collect its status
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("podman's pause process %q is still there: %v", text, err)
}

// chunkah can write to a user's own storage under podman unshare, and the user's podman finds the
// image.
func TestToStorageOfAUser(t *testing.T) {
	clients.Need(t, "root")
	dir := clients.ShortDir(t)
	copyTo(t, smallRoot(t), dir+"/root")
	res := rootless(t, dir, `
as podman images
as podman unshare "$CHUNKAH" build --skip-special-files --rootfs "$DIR/root" --config-str '{}' -o containers-storage:app:1
as podman images --format '{{.Repository}}:{{.Tag}}'
as podman unshare "$CHUNKAH" diff --ignore-mtime containers-storage:app:1 "$DIR/root"
! as "$CHUNKAH" build --rootfs "$DIR/root" --config-str '{}' -o containers-storage:app:2
`)
	if res.code != 0 || !strings.Contains(res.stdout, "localhost/app:1\n") || !strings.Contains(res.stderr, "podman unshare chunkah") {
		t.Errorf("status %d: %s%s", res.code, res.stdout, res.stderr)
	}
}

// The podman of an unprivileged user shows the files of the root in images with patch layers.
func TestPatchLayersInRootlessPodman(t *testing.T) {
	clients.Need(t, "root", "setfattr")
	dir := clients.ShortDir(t)
	var roots []string
	last := ""
	for i, spec := range patchRoots {
		root := mkroot.Make(t, spec)
		name := fmt.Sprintf("localhost/patch:%d", i)
		if i == 0 {
			last = build(t, root, "--config-str", "{}", "--keep-special-files", "-t", name)
		} else {
			last = patched(t, root, last, "-t", name)
		}
		roots = append(roots, root)
		clients.Run(t, exec.Command("cp", last, fmt.Sprintf("%s/%d", dir, i)))
	}
	res := rootless(t, dir, `
for n in 0 1 2; do
	as podman load --quiet --input "$DIR/$n"
	as podman unshare sh -c 'tar --create --numeric-owner --xattrs --xattrs-include="user.*" --directory "$(podman image mount "localhost/patch:$0")" .' $n >"$DIR/tar$n"
done
as podman info --format '{{.Host.Security.Rootless}}'
`)
	if res.code != 0 || !strings.HasSuffix(res.stdout, "true\n") {
		t.Fatalf("status %d: %s%s", res.code, res.stdout, res.stderr)
	}
	for i, root := range roots {
		got := t.TempDir()
		clients.Run(t, exec.Command("tar", "--extract", "--numeric-owner", "--preserve-permissions", "--xattrs", "--xattrs-include=user.*",
			"--directory", got, "--file", fmt.Sprintf("%s/tar%d", dir, i)))
		sameMount(t, root, got, 0o755)
	}
}
