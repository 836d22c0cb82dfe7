package tests

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"chunkah/format"
	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// If an ordinary user cannot read some files of a root, the stage that finds such a file reports
// its path once, and there is no image.
func TestUnreadablePathsOnce(t *testing.T) {
	clients.Need(t, "root")
	root := mkroot.Make(t, `
file /closed text=x mode=0000
file /d/closed text=x mode=0600
file /d/open text=x
file /d/deep/er/closed text=x mode=0640
file /several text=x mode=0600
link /several2 to=/several
link /d/several3 to=/several
dir /dark mode=0700
file /dark/f text=x
file /dark/g text=x
dir /dark/sub
file /dark/sub/f text=x
dir /blind mode=0711
file /blind/f text=x
dir /list mode=0744
file /list/a text=x
file /list/b text=x
symlink /link to=closed
file /usr/local/own/closed text=x mode=0400
file /etc/shadow text=x mode=0640
`)
	openAbove(t, root)
	openAbove(t, filepath.Join(scratch, "bin", "chunkah"))
	packed := stream(t, `chunkah-scan "$ROOT" | chunkah-assign | chunkah-pack`, root)
	closed := []string{"/closed", "/d/closed", "/d/deep/er/closed", "/several", "/several2", "/d/several3",
		"/usr/local/own/closed", "/etc/shadow", "/list/a", "/list/b"}
	seen := slices.Concat(closed, []string{"/dark", "/blind"})
	// Scan ran as root, so the stream that write reads contains the paths in unreadable
	// directories.
	listed := slices.Concat(closed, []string{"/dark/f", "/dark/g", "/dark/sub/f", "/blind/f"})

	for _, test := range []struct {
		args []string
		want []string
	}{
		{[]string{"chunkah-scan", root}, seen},
		{[]string{"chunkah-scan", "--format", "msgpack", root}, seen},
		{[]string{"chunkah", "build", "--rootfs", root, "-o", "out"}, seen},
		{[]string{"chunkah", "build", "--rootfs", root, "-o", "oci:out"}, seen},
		{[]string{"chunkah-write", "-o", "out"}, listed},
		{[]string{"chunkah-write", "--compress", "zstd", "-T", "1"}, listed},
		{[]string{"chunkah-write", "--compress", "gzip", "-T", "8", "-o", "oci:out"}, listed},
		{[]string{"chunkah", "write", "-o", "docker-archive:out"}, listed},
	} {
		t.Run(strings.ReplaceAll(strings.Join(test.args, " "), root, "root"), func(t *testing.T) {
			dir := t.TempDir()
			openAbove(t, dir+"/x")
			clients.Run(t, exec.Command("chown", "65534:65534", dir))
			cmd := exec.Command(test.args[0], test.args[1:]...)
			cmd.Dir, cmd.Stdin = dir, strings.NewReader(packed)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			stderr := fails(t, 1, cmd)
			var got []string
			for line := range strings.Lines(stderr) {
				if path, found := strings.CutPrefix(line, "  "); found {
					got = append(got, strings.Trim(strings.TrimSpace(path), `"`))
				}
			}
			if want := slices.SortedFunc(slices.Values(test.want), format.ComparePaths); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q, in\n%s", got, want, stderr)
			}
			empty(t, dir)
		})
	}
}
