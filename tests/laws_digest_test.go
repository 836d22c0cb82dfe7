package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pkg/xattr"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// small is a root without a package database. Its components are defined by xattrs and large files,
// and the remaining files are unclaimed. Creating it requires no privileges.
const small = `
dir /etc mode=0755
file /etc/hostname text="small\n"
file /etc/odd\x2dname text=x mode=0600
file "/etc/undecodable-\xff" text=y
dir /empty mode=0700
symlink /bin to=usr/bin
file /usr/bin/tool size=70000 mode=0755 xattr:user.component=tools
link /usr/bin/tool-link to=/usr/bin/tool
file /usr/lib/tools/data size=5000 xattr:user.component=tools mtime=1650000000
file /usr/lib/web/page size=3000 xattr:user.component=web mtime=1660000000
file /usr/lib/web/style size=10 xattr:user.component=web mtime=1670000000
file /usr/share/big.bin size=1500000 mtime=1680000000
file /usr/share/plain text=plain xattr:user.note="a\x00b=c"
file /opt/app/run size=900 mode=0755 mtime=1690000000
file /srv/site/index size=400
fifo /run/unused-fifo
`

// smallRoot makes the root that small describes.
func smallRoot(t *testing.T) string {
	t.Helper()
	return mkroot.Make(t, strings.Replace(small, "fifo /run/unused-fifo\n", "", 1))
}

// A change to one component also changes the times of shared directories, but it does not change
// the layers of other components.
func TestLaw1UnrelatedChangeLeavesDigests(t *testing.T) {
	root := smallRoot(t)
	before := clients.ReadImage(t, build(t, root)).Layers()

	page := filepath.Join(root, "usr/lib/web/page")
	if err := os.WriteFile(page+".new", []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := xattr.LSet(page+".new", "user.component", []byte("web")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(page+".new", page); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", "usr", "usr/lib", "usr/lib/web"} {
		if err := os.Chtimes(filepath.Join(root, dir), time.Now(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	onlyChanged(t, before, clients.ReadImage(t, build(t, root)).Layers(), "xattr/web")
}

// If a file in a directory that two packages share changes, only the layer of that file's package
// changes.
func TestLaw1OnAnRPMRoot(t *testing.T) {
	root := copyRoot(t, rpmRoot(t))
	before := clients.ReadImage(t, build(t, root)).Layers()
	clients.Run(t, exec.Command("sed", "-i", "s/extra/changed/", root+"/usr/share/shared/extra.conf"))
	clients.Run(t, exec.Command("touch", root, root+"/usr", root+"/usr/lib", root+"/usr/share"))
	onlyChanged(t, before, clients.ReadImage(t, build(t, root)).Layers(), "rpm/extra")
}

// onlyChanged checks that only the layer of one component is new.
func onlyChanged(t *testing.T, before, after map[string]string, component string) {
	t.Helper()
	var fresh []string
	for digest, components := range after {
		if _, ok := before[digest]; !ok {
			fresh = append(fresh, components)
		}
	}
	if len(fresh) != 1 || !strings.Contains(fresh[0], component) {
		t.Errorf("the new layers are those of %q, want one with %s", fresh, component)
	}
	if len(before) < 4 {
		t.Errorf("there were %d layers: too few for the test", len(before))
	}
}

// The image contains nothing from the machine, the user or the process.
func TestLaw1NothingOfTheHost(t *testing.T) {
	root := smallRoot(t)
	want := build(t, root)
	archive := filepath.Join(t.TempDir(), "out.ociarchive")
	other := copyRoot(t, root)
	script := fmt.Sprintf("umask 077; cd /; TZ=Asia/Tokyo LC_ALL=tr_TR.UTF-8 GOMAXPROCS=1 HOME=/nowhere USER=x exec chunkah build --rootfs %q -o %q", other, archive)
	clients.Run(t, exec.Command("sh", "-c", script))
	sameBytes(t, want, archive)
}

// A root with every kind of file is unchanged after unpacking.
func TestLaw2ZeroDiff(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root", "umoci", "skopeo")
	root := mkroot.Make(t, small+`
file /owned uid=1234 gid=3000000 mode=6755 text=x
file /sparse size=300000 sparse=1
file /old mtime=-5 text=x
file "/new\nline" text=x
file "/-dash" text=x
file "/back\\slash" text=x
symlink /dangling to=../../nowhere
symlink "/undecodable-\xfe" to="/\xfd"
char /null dev=1:3 mode=0666
block /disk dev=259:1048575
file /usr/cap text=x xattr:security.capability="\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
dir /sticky mode=1777
`)
	archive := build(t, root, "--keep-special-files")
	sameInAllClients(t, root, archive, nil)
}

// Every way to run the stages makes the same archive from a tree.
func TestLaw3SameInputSameBytes(t *testing.T) {
	t.Parallel()
	roots := map[string]func(*testing.T) string{"small": smallRoot, "rpm": rpmRoot}
	for name, make := range roots {
		t.Run(name, func(t *testing.T) {
			root := make(t)
			want := build(t, root)
			for _, format := range []string{"json", "msgpack"} {
				for _, threads := range []string{"1", "4"} {
					t.Run("pipe in "+format+" with threads "+threads, func(t *testing.T) {
						sameBytes(t, want, pipe(t, root, []string{"--format", format}, []string{"--threads", threads}))
					})
				}
			}
			t.Run("wrapper with one thread", func(t *testing.T) { sameBytes(t, want, build(t, root, "-T", "1")) })
			t.Run("subcommands", func(t *testing.T) {
				archive := filepath.Join(t.TempDir(), "out.ociarchive")
				stages := `set -o pipefail; chunkah scan "$ROOT" | chunkah assign | chunkah pack --max 64 | chunkah write -o "$0"`
				cmd := exec.Command("bash", "-c", stages, archive)
				cmd.Env = append(os.Environ(), "ROOT="+root)
				clients.Run(t, cmd)
				sameBytes(t, want, archive)
			})
			for _, compress := range []string{"gzip", "zstd"} {
				t.Run(compress, func(t *testing.T) {
					want := build(t, root, "--compress", compress, "-T", "1")
					sameBytes(t, want, pipe(t, root, nil, []string{"--compress", compress, "--threads", "4"}))
				})
			}
		})
	}
}

// A copy of a tree with other inode numbers and another order on disk results in the same archive.
func TestLaw3CopyOfTheTree(t *testing.T) {
	root := rpmRoot(t)
	sameBytes(t, build(t, root), build(t, copyRoot(t, root)))
}

// index.json comes last, so that a truncated archive is not a valid image.
func TestLaw4IndexComesLast(t *testing.T) {
	names := clients.ReadImage(t, build(t, smallRoot(t))).Names
	if last := names[len(names)-1]; last != "index.json" {
		t.Errorf("the last entry is %q of %q", last, names)
	}
	if !slices.Contains(names, "oci-layout") {
		t.Errorf("no oci-layout in %q", names)
	}
}

// An image with compressed layers contains the same tree.
func TestCompressedImages(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root", "umoci", "skopeo")
	root := smallRoot(t)
	for _, compress := range []string{"gzip", "zstd"} {
		t.Run(compress, func(t *testing.T) {
			archive := build(t, root, "--compress", compress)
			e := clients.NewEngine(t)
			sameInPodman(t, root, e.Mount(e.Load(archive)))
		})
	}
}
