package tests

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pkg/xattr"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

const (
	selinuxLabel = "system_u:object_r:bin_t:s0"
	labelled     = "file /usr/bin/a text=a xattr:user.selinux=" + selinuxLabel + " xattr:user.other=1\nlink /usr/bin/b to=/usr/bin/a\nfile /etc/plain text=x\n"
)

// labelOf returns the SELinux label of a file, or "".
func labelOf(path string) string {
	value, _ := xattr.LGet(path, "security.selinux")
	return strings.TrimRight(string(value), "\x00")
}

// With --map-xattr, an image contains labels that are stored under another name in the source.
// docs/fidelity.md describes how clients handle these labels.
func TestMapXattr(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root", "skopeo", "umoci")
	root := mkroot.Make(t, labelled)
	flags := []string{"--map-xattr", "user.selinux=security.selinux"}
	archive := build(t, root, append(flags, "--verify")...)
	out := filepath.Join(t.TempDir(), "out")
	line := "chunkah-scan --map-xattr user.selinux=security.selinux $ROOT | chunkah-assign | chunkah-pack | chunkah-write >" + out
	stream(t, line, root)
	sameBytes(t, archive, out)
	if got := clients.Run(t, exec.Command("chunkah", "diff", "--ignore-mtime", "--keep-xattr", "security.selinux", flags[0], flags[1], root, "oci-archive:"+archive)); got != "" {
		t.Errorf("diff finds %q", got)
	}
	e, d := clients.NewEngine(t), clients.NewDocker(t)
	d.Load(archive, "localhost/label:1")
	for client, test := range map[string]struct {
		tree string
		want string
	}{
		"chunkah extract": {extracted(t, "oci-archive:"+archive), selinuxLabel},
		"tar":             {clients.TarUnpack(t, archive), selinuxLabel},
		"umoci":           {clients.UmociUnpack(t, archive), ""},
		"docker":          {d.Mount("localhost/label:1"), selinuxLabel},
		"podman":          {e.Mount(e.Load(archive)), ""},
	} {
		if got := labelOf(test.tree + "/usr/bin/b"); got != test.want {
			t.Errorf("%s: the label is %q, want %q", client, got, test.want)
		}
		if names, err := xattr.LList(test.tree + "/usr/bin/a"); err != nil || strings.Contains(strings.Join(names, " "), "user.selinux") || !strings.Contains(strings.Join(names, " "), "user.other") {
			t.Errorf("%s: xattrs %q, %v", client, names, err)
		}
		if got := labelOf(test.tree + "/etc/plain"); got != "" {
			t.Errorf("%s: a file without a label has %q", client, got)
		}
	}
	for _, wrong := range []string{"user.selinux", "a=b", "user.a=user.b=c", "=user.b", "user.a="} {
		if r := start(t, exec.Command("chunkah", "build", "--rootfs", root, "--map-xattr", wrong)); r.code != 2 || !strings.Contains(r.stderr, "expected the names of two xattrs") {
			t.Errorf("%s: status %d: %s", wrong, r.code, r.stderr)
		}
	}
}
