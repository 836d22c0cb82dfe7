package tests

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
	"chunkah/tests/treediff"
)

// Clients unpack file names in any character set byte for byte, including names that do not fit
// into a ustar header.
func TestNamesOfAnyCharset(t *testing.T) {
	long := strings.Repeat("é", 120)
	root := mkroot.Make(t, strings.ReplaceAll(`
file /d/README.中文.md text=x
file "/d/caf\xe9" text=x
file "/d/caf\xc3\xa9" text=y
dir /d/LONG
file /d/LONG/é text=x
file "/d/LONG/\xff" text=x xattr:user.é="é\xff"
link /d/linked-é to=/d/README.中文.md
symlink /d/to to=/etc/Főtanúsítvány.crt
symlink "/d/bytes" to="\xff\xfe"
symlink /d/long to=/LONG/é
`, "LONG", long))
	archive := build(t, root, "--skip-special-files")
	t.Run("umoci", func(t *testing.T) {
		clients.Need(t, "umoci", "skopeo")
		layout := filepath.Join(t.TempDir(), "layout")
		clients.SkopeoCopy(t, "oci-archive:"+archive, "oci:"+layout+":x")
		treediff.Equal(t, root, umociUnpack(t, layout+":x"), treediff.Options{SkipXattr: dropped})
	})
	t.Run("podman", func(t *testing.T) {
		e := clients.NewEngine(t)
		treediff.Equal(t, root+"/d", e.Mount(e.Load(archive))+"/d", treediff.Options{SkipXattr: dropped})
	})
	t.Run("chunkah", func(t *testing.T) {
		clients.Run(t, exec.Command("chunkah", "diff", "--ignore-mtime", root, "oci-archive:"+archive))
	})
}
