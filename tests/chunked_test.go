package tests

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// strange is a root with files that clients might create differently from chunks than from a tar.
// Files that podman 5.4 actually creates differently are in separate layers. The root directory has
// the mode that podman sets when it pulls whole layers.
const strange = `
dir / mode=0555
dir /etc mode=0755 uid=3 gid=4 xattr:user.note=dir xattr:user.component=plain
file /etc/plain text=plain mode=0640 uid=1 gid=2 mtime=-157766400 xattr:user.component=plain
file /etc/suid text=suid mode=06755 uid=5 xattr:user.component=plain
file /etc/capable text=capable mode=0755 xattr:security.capability="\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" xattr:user.component=plain
file /etc/empty size=0 mode=0600 uid=7 xattr:user.component=plain
file /etc/note text=x xattr:user.note="a\x00b=c\n" xattr:user.component=plain
file "/etc/new\nline" text=newline xattr:user.component=plain
file "/etc/back\\slash é <&>" text=other xattr:user.component=plain
symlink /etc/link to=../opt/x
file /etc/first text=linked mode=0644 uid=9 xattr:user.component=plain
link /etc/second to=/etc/first
file /etc/sparse size=5000000 sparse=1 xattr:user.component=plain
file /etc/large size=3000000 mode=0444 xattr:user.component=plain
file /linked/capable text=capable mode=0755 xattr:security.capability="\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" xattr:user.component=linked
link /linked/again to=/linked/capable
file "/bytes/\xff" text=bytes xattr:user.component=bytes
file /owned/file text=owned xattr:user.component=owned
symlink /owned/link to=file uid=11 gid=12
`

// emptyXattr describes a file that podman 4 creates without its extended attribute.
const emptyXattr = "file /etc/none text=none xattr:user.none=\"\" xattr:user.component=plain\n"

// strangeRoot makes a root from strange and from the lines in more. It adds a file with the longest
// possible name, devices and ACLs.
func strangeRoot(t *testing.T, more string) string {
	t.Helper()
	clients.Need(t, "root", "setfacl")
	text := strange + more + "file /etc/" + strings.Repeat("n", 250) + " text=long xattr:user.component=plain\n" +
		"char /special/null dev=1:3 mode=0666\nblock /special/loop dev=7:0\nfifo /special/fifo mode=0600 uid=1\n"
	root := mkroot.Make(t, text)
	clients.Run(t, exec.Command("setfacl", "-m", "u:1000:rwx,g:1001:r", filepath.Join(root, "etc/plain")))
	return root
}

// chunked builds an image of a root with zstd:chunked layers in a registry, and returns chunkah's
// messages.
func chunked(t *testing.T, root, ref string, args ...string) string {
	t.Helper()
	res := start(t, exec.Command("chunkah", append([]string{"build", "--rootfs", root, "--compress", "zstd:chunked", "-o", "docker://" + ref}, args...)...))
	if res.code != 0 {
		t.Fatalf("status %d: %s", res.code, res.stderr)
	}
	return res.stderr
}

// If podman fetches chunks, it creates exactly the same files as in the source. Layers with files
// that podman would create differently are not marked as zstd:chunked.
func TestPartialPullIsFaithful(t *testing.T) {
	t.Parallel()
	podman := clients.NewTrixie(t, true)
	proxy := clients.NewRangeProxy(t, clients.NewRegistry(t, clients.RegistryOptions{}))
	for name, root := range map[string]func(*testing.T) string{
		"strange": func(t *testing.T) string { return strangeRoot(t, emptyXattr) }, "debian": debianRoot, "rpm": rpmRoot,
	} {
		t.Run(name, func(t *testing.T) {
			dir := root(t)
			ref := proxy.Host + "/" + name + ":1"
			args := []string{"--keep-special-files"}
			chunked(t, dir, ref, args...)
			proxy.Take()
			said := podman.Pull(ref)
			got := proxy.Take()
			if !strings.Contains(said, "Created zstd:chunked differ") || got.Ranges == 0 {
				t.Errorf("podman fetched no parts: %+v\n%s", got, said)
			}
			clients.Run(t, exec.Command("chunkah", "diff", "--ignore-mtime", dir, podman.Mount(ref)))
		})
	}
}

// When podman pulls an update, it fetches little more than the changed part of a file.
func TestPartialPullFetchesChanges(t *testing.T) {
	t.Parallel()
	podman := clients.NewTrixie(t, true)
	proxy := clients.NewRangeProxy(t, clients.NewRegistry(t, clients.RegistryOptions{}))
	root := mkroot.Make(t, "file /opt/large size=20000000\nfile /opt/other size=5000000\n")
	ref := proxy.Host + "/app:"
	chunked(t, root, ref+"1")
	proxy.Take()
	podman.Pull(ref + "1")
	if got := proxy.Take(); got.Bytes < 25_000_000 {
		t.Errorf("the first pull fetched %+v of 25 MB of noise", got)
	}
	f, err := os.OpenFile(filepath.Join(root, "opt/large"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("changed"), 10_000_000); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	chunked(t, root, ref+"2")
	proxy.Take()
	podman.Pull(ref + "2")
	got := proxy.Take()
	if got.Bytes > 1_000_000 || got.Whole > 1 { // the config is fetched as a whole
		t.Errorf("one changed chunk: %+v", got)
	}
	var said struct {
		Steps []struct {
			Partial struct {
				Download int64 `json:"download_bytes"`
			}
		}
	}
	text := clients.Run(t, exec.Command("chunkah", "reuse", "--json", "--partial", "docker://"+ref+"1", "docker://"+ref+"2"))
	if err := json.Unmarshal([]byte(text), &said); err != nil {
		t.Fatal(err)
	}
	// podman also fetches the config, and each part of a response has a header.
	if n := said.Steps[0].Partial.Download; n > got.Bytes || n < got.Bytes-10_000 {
		t.Errorf("chunkah reuse --partial says %d bytes, and podman fetched %+v", n, got)
	}
	clients.Run(t, exec.Command("chunkah", "diff", "--ignore-mtime", root, podman.Mount(ref+"2")))
}

// All other clients read the layers as ordinary zstd.
func TestChunkedLayersAreOrdinary(t *testing.T) {
	t.Parallel()
	root := strangeRoot(t, "")
	podman4 := clients.NewEngine(t) // with the user's environment
	host := clients.NewRegistry(t, clients.RegistryOptions{})
	ref := host + "/strange:1"
	said := chunked(t, root, ref, "--keep-special-files")
	for _, want := range []string{"is plain zstd instead of zstd:chunked", "/linked/capable", "3 more layers"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
	t.Run("podman 4", func(t *testing.T) {
		podman4.Pull(ref)
		clients.Run(t, exec.Command("chunkah", "diff", "--ignore-mtime", root, podman4.Mount(ref)))
	})
	t.Run("podman 5, whole layers", func(t *testing.T) {
		e := clients.NewTrixie(t, false)
		e.Pull(ref)
		clients.Run(t, exec.Command("chunkah", "diff", "--ignore-mtime", root, e.Mount(ref)))
	})
	t.Run("containerd", func(t *testing.T) {
		// podman sets its own mode for the root directory, and loses the capabilities of hard
		// links.
		plain := host + "/strange:zstd"
		clients.Run(t, exec.Command("chunkah", "build", "-q", "--rootfs", root, "--keep-special-files", "--compress", "zstd", "-o", "docker://"+plain))
		c := clients.NewContainerd(t)
		c.Pull(ref)
		c.Pull(plain)
		clients.Run(t, exec.Command("chunkah", "diff", c.Mount(plain), c.Mount(ref)))
	})
	t.Run("skopeo", func(t *testing.T) {
		copied := filepath.Join(t.TempDir(), "copy")
		clients.Run(t, exec.Command("skopeo", "--insecure-policy", "copy", "--quiet", "--src-tls-verify=false", "docker://"+ref, "oci:"+copied+":x"))
		clients.Run(t, exec.Command("chunkah", "diff", "--ignore-mtime", root, "oci:"+copied))
		clients.Run(t, exec.Command("chunkah", "verify", "oci:"+copied))
		clients.Run(t, exec.Command("chunkah", "verify", "docker://"+ref))
		if said := clients.Run(t, exec.Command("chunkah", "inspect", "oci:"+copied)); !strings.Contains(said, "in 5 layers, 1 zstd:chunked") {
			t.Errorf("chunkah inspect says %s", said)
		}
	})
}

// The same input results in the same blobs in a layout, an archive and a registry, with any number
// of threads.
func TestChunkedIsDeterministic(t *testing.T) {
	root := smallRoot(t)
	dir := t.TempDir()
	var first string
	for i, args := range [][]string{{"-T", "1"}, {"-T", "2"}, {"-T", "8"}} {
		for _, out := range []string{"oci:", "oci-archive:"} {
			at := fmt.Sprintf("%s%s/%d%d", out, dir, i, len(out))
			clients.Run(t, exec.Command("chunkah", append([]string{"build", "-q", "--rootfs", root, "--compress", "zstd:chunked", "-o", at}, args...)...))
			manifest := clients.Run(t, exec.Command("skopeo", "inspect", "--raw", at))
			if first == "" {
				first = manifest
			}
			if manifest != first {
				t.Errorf("%v to %s: another manifest", args, at)
			}
		}
	}
	if !strings.Contains(first, "io.github.containers.zstd-chunked.manifest-checksum") {
		t.Errorf("no layer is marked: %s", first)
	}
}

// A blob keeps its zstd:chunked annotations when it is reused from a cache or from the previous
// image, kept from a source image, listed in an index, or copied by other tools.
func TestChunkedMarksStay(t *testing.T) {
	clients.Need(t, "skopeo")
	root, dir := smallRoot(t), t.TempDir()
	marks := func(place string) int {
		t.Helper()
		clients.Run(t, exec.Command("chunkah", "verify", place))
		return strings.Count(clients.Run(t, exec.Command("skopeo", "inspect", "--raw", place)), "zstd-chunked.manifest-checksum")
	}
	first := "oci:" + dir + "/first"
	build := func(out string, args ...string) {
		t.Helper()
		clients.Run(t, exec.Command("chunkah", append([]string{"build", "-q", "--compress", "zstd:chunked", "-o", out}, args...)...))
	}
	build(first, "--rootfs", root, "--cache", dir+"/cache")
	want := marks(first)
	if want < 3 {
		t.Fatalf("%d layers are marked", want)
	}
	for name, args := range map[string][]string{
		"cached":   {"--rootfs", root, "--cache", dir + "/cache"},
		"previous": {"--rootfs", root, "--previous", first},
		"kept":     {"--from", first, "--keep-base", "3"},
	} {
		out := "oci-archive:" + dir + "/" + name
		build(out, args...)
		if got := marks(out); got < want-1 { // the remaining files can be in an additional layer above the kept layers
			t.Errorf("%s: %d layers are marked, and in the first image %d", name, got, want)
		}
	}
	clients.Run(t, exec.Command("chunkah", "index", "-o", "oci:"+dir+"/index", first))
	if said := clients.Run(t, exec.Command("chunkah", "inspect", "oci:"+dir+"/index")); !strings.Contains(said, fmt.Sprintf(", %d zstd:chunked", want)) {
		t.Errorf("in an index: %s", said)
	}
	clients.SkopeoCopy(t, first, "oci:"+dir+"/copy")
	if got := marks("oci:" + dir + "/copy"); got != want {
		t.Errorf("skopeo's copy has %d marks, want %d", got, want)
	}
}

// Destinations that do not support zstd:chunked layers refuse them before anything is read.
func TestChunkedIsRefused(t *testing.T) {
	for _, out := range []string{"docker-archive:out", "docker-daemon:app:1"} {
		res := start(t, exec.Command("chunkah", "build", "--rootfs", t.TempDir(), "--compress", "zstd:chunked", "-o", out))
		if res.code != 2 || !strings.Contains(res.stderr, "zstd:chunked") {
			t.Errorf("%s: status %d: %s", out, res.code, res.stderr)
		}
	}
}
