package rpmroot

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chunkah/tests/clients"
)

func TestBuild(t *testing.T) {
	clients.Need(t, "root", "rpm", "rpmbuild", "busybox", "setfacl", "setfattr")
	root := filepath.Join(t.TempDir(), "root")
	if err := Build(root, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	out := clients.Run(t, exec.Command("rpm", "--root", root, "--dbpath", DB, "-qa"))
	var got []string
	for name := range strings.FieldsSeq(out) {
		got = append(got, name[:strings.LastIndex(name, ".")])
	}
	slices.Sort(got)
	if !slices.Equal(got, Packages) {
		t.Errorf("rpm lists %q, want %q", got, Packages)
	}
	if got := clients.Run(t, exec.Command("chroot", root, "/bin/rpm", "-qf", "/bin/sh")); !strings.HasPrefix(got, "runtime-4.18-1.") {
		t.Errorf("inside the root rpm says %q", got)
	}
	clients.Run(t, exec.Command("getfacl", filepath.Join(root, "etc/app.d")))
	if got := clients.Run(t, exec.Command("/sbin/getcap", filepath.Join(root, "usr/bin/send-packet"))); !strings.Contains(got, "cap_net_raw") {
		t.Errorf("getcap says %q", got)
	}
}
