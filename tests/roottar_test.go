package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// gnuTar packs a root with all metadata that a tar can contain.
func gnuTar(t *testing.T, root string, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "root.tar")
	clients.Run(t, exec.Command("tar", append([]string{"--create", "--file", file, "--format=pax", "--directory", root,
		"--numeric-owner", "--xattrs", "--xattrs-include=*", "."}, args...)...))
	return file
}

// tarRecords returns the records of a source, without fields that exist only in a file system.
func tarRecords(t *testing.T, source string) string {
	t.Helper()
	_, files, _ := strings.Cut(clients.Run(t, exec.Command("chunkah-scan", "--keep-special-files", source)), "\n")
	return regexp.MustCompile(`,"stamp":"[^"]*"`).ReplaceAllString(files, "")
}

// awkwardRoot makes the root that the constant owned describes, and adds an ACL, a default ACL and
// a sparse file.
func awkwardRoot(t *testing.T) string {
	t.Helper()
	root := mkroot.Make(t, owned)
	clients.Run(t, exec.Command("setfacl", "-m", "u:12345:rw,g:60:r", filepath.Join(root, "etc/hostname")))
	clients.Run(t, exec.Command("setfacl", "-d", "-m", "u:12345:rwx", filepath.Join(root, "empty")))
	clients.Run(t, exec.Command("sh", "-c", `truncate -s 5M "$0" && printf x | dd of="$0" bs=1 seek=3000000 conv=notrunc status=none`, filepath.Join(root, "opt/sparse")))
	return root
}

// A root tar with any compression results in the same records and the same image as the directory
// from which it was made.
func TestFromRootTar(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root", "tar", "setfacl", "xz", "bzip2", "zstd")
	root := awkwardRoot(t)
	records := tarRecords(t, root)
	want := build(t, root, "--keep-special-files")
	for name, args := range map[string][]string{
		"plain": nil, "gzip": {"--gzip"}, "zstd": {"--zstd"}, "xz": {"--xz"}, "bzip2": {"--bzip2"}, "sparse": {"--sparse"},
		"no prefix": {"--transform=s,^\\./\\(.\\),\\1,S"},
	} {
		t.Run(name, func(t *testing.T) {
			file := gnuTar(t, root, args...)
			if got := tarRecords(t, "tar:"+file); got != records {
				t.Error(firstDifference(records, got))
			}
			sameBytes(t, want, from(t, "--keep-special-files", "--from", "tar:"+file))
			archive := filepath.Join(t.TempDir(), "out")
			clients.Run(t, exec.Command("bash", "-c", `cat "$0" | chunkah build --keep-special-files --from tar:- -o "$1"`, file, archive))
			sameBytes(t, want, archive)
		})
	}
	t.Run("in a pipe of stages", func(t *testing.T) {
		out := filepath.Join(t.TempDir(), "out")
		stream(t, `chunkah-scan --keep-special-files "tar:$ROOT" | chunkah-assign | chunkah-pack | chunkah-write >`+out, gnuTar(t, root, "--xz"))
		sameBytes(t, want, out)
	})
	t.Run("bsdtar", func(t *testing.T) {
		clients.Need(t, "bsdtar")
		file := filepath.Join(t.TempDir(), "root.tar")
		clients.Run(t, exec.Command("bsdtar", "--create", "--file", file, "--format=pax", "--numeric-owner", "--acls", "--xattrs", "--directory", root, "."))
		if got := tarRecords(t, "tar:"+file); got != records {
			t.Error(firstDifference(records, got))
		}
	})
	t.Run("diff", func(t *testing.T) {
		if got := clients.Run(t, exec.Command("chunkah", "diff", "tar:"+gnuTar(t, root), root)); got != "" {
			t.Error(got)
		}
	})
}

// Reading a root tar requires no privileges, regardless of the owners of its files.
func TestFromRootTarAsAnyUser(t *testing.T) {
	clients.Need(t, "root", "tar", "setpriv", "setfacl")
	root := awkwardRoot(t)
	want := build(t, root, "--keep-special-files")
	dir, err := os.MkdirTemp("", "ck")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	chunkah, err := exec.LookPath("chunkah")
	if err != nil {
		t.Fatal(err)
	}
	clients.Run(t, exec.Command("install", "-m", "755", chunkah, dir+"/chunkah"))
	clients.Run(t, exec.Command("install", "-m", "644", gnuTar(t, root, "--gzip"), dir+"/in"))
	clients.Run(t, exec.Command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all",
		dir+"/chunkah", "build", "--keep-special-files", "--from", "tar:"+dir+"/in", "-o", dir+"/out"))
	sameBytes(t, want, dir+"/out")
}

// A tarball from mmdebstrap results in the same image as a directory from mmdebstrap.
func TestFromMmdebstrapTar(t *testing.T) {
	t.Parallel()
	root := debianRoot(t)
	want := build(t, root, "--keep-special-files")
	sameBytes(t, want, from(t, "--keep-special-files", "--from", "tar:"+gnuTar(t, root, "--zstd")))
}
