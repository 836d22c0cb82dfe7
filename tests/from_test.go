package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"chunkah/tests/clients"
	mk "chunkah/tests/mkimage"
	"chunkah/tests/mkroot"
	"chunkah/tests/treediff"
)

// from runs chunkah build on sources with --verify, and returns the archive.
func from(t *testing.T, args ...string) string {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "out.ociarchive")
	clients.Run(t, exec.Command("chunkah", append([]string{"build", "--verify", "-o", archive}, args...)...))
	return archive
}

// owned describes the same root as small, with additional files that only root can create.
const owned = small + `
file /owned uid=1234 gid=3000000 mode=6755 text=x
file /usr/bin/ping mode=0755 text=x xattr:security.capability="\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
char /dev/null dev=1:3 mode=0666
dir /sticky mode=1777
file /old mtime=-5 text=x
`

const fromConfig = `{"architecture":"arm64","os":"linux","created":"2020-02-02T02:02:02Z","config":{"Env":["A=b"],"Cmd":["/x"],"Labels":{"l":"1"}}}`

// A build produces the same image whether its source is an image, through any transport and with
// any layer compression, or the unpacked files of that image. The build keeps the image's config.
func TestFromEveryForm(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root", "skopeo", "umoci")
	// Unpacked files do not have the xattrs with components. The components are in the image's
	// history.
	root := mkroot.Make(t, regexp.MustCompile(` xattr:user\.component=\w+`).ReplaceAllString(owned, ""))
	flags := []string{"--keep-special-files", "--config-str", fromConfig, "--annotation", "a=b"}
	unpacked := clients.UmociUnpack(t, build(t, root, flags...))
	want := build(t, unpacked, append(flags, "-t", "localhost/new:1")...)
	for _, packing := range []string{"none", "gzip", "zstd"} {
		t.Run(packing, func(t *testing.T) {
			dir := t.TempDir()
			archive := build(t, root, append(flags, "--compress", packing, "-t", "localhost/app:1")...)

			sources := []string{"oci-archive:" + archive, "oci-archive:" + archive + ":localhost/app:1"}
			clients.SkopeoCopy(t, "oci-archive:"+archive, "oci:"+dir+"/layout:app")
			sources = append(sources, "oci:"+dir+"/layout", "oci:"+dir+"/layout:app")
			for _, source := range sources {
				sameBytes(t, want, from(t, "--from", source, "-t", "localhost/new:1"))
			}

			// A docker archive can contain neither annotations nor zstd layers.
			if packing == "zstd" {
				return
			}
			clients.SkopeoCopy(t, "oci-archive:"+archive, "docker-archive:"+dir+"/app.tar:localhost/app:1")
			for _, source := range []string{"docker-archive:" + dir + "/app.tar", "docker-archive:" + dir + "/app.tar:localhost/app:1"} {
				sameBytes(t, want, from(t, "--from", source, "-t", "localhost/new:1", "--annotation", "a=b"))
			}
		})
	}
}

// The four commands produce the same result as build, even if the later commands find the source
// only in the header.
func TestFromInAPipe(t *testing.T) {
	root := smallRoot(t)
	archive := build(t, root, "--compress", "gzip", "--config-str", fromConfig)
	want := from(t, "--from", "oci-archive:"+archive)
	for _, scan := range []string{`chunkah-scan "oci-archive:$ROOT"`, `chunkah-scan --format msgpack "oci-archive:$ROOT"`} {
		out := filepath.Join(t.TempDir(), "out")
		stream(t, scan+" | chunkah-assign | chunkah-pack | chunkah-write >"+out, archive)
		sameBytes(t, want, out)
	}
}

// Reading an image requires neither root privileges nor capabilities, regardless of the owners of
// its files.
func TestFromAsAnyUser(t *testing.T) {
	clients.Need(t, "root", "setpriv")
	archive := build(t, mkroot.Make(t, owned), "--keep-special-files", "--compress", "gzip")
	want := from(t, "--from", "oci-archive:"+archive)
	dir, err := os.MkdirTemp("", "ck")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	clients.Run(t, exec.Command("cp", archive, dir+"/in"))
	chunkah, err := exec.LookPath("chunkah")
	if err != nil {
		t.Fatal(err)
	}
	clients.Run(t, exec.Command("install", "-m", "755", chunkah, dir+"/chunkah"))
	clients.Run(t, exec.Command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all",
		dir+"/chunkah", "build", "--from", "oci-archive:"+dir+"/in", "-o", dir+"/out"))
	sameBytes(t, want, dir+"/out")
}

// --from takes precedence over CHUNKAH_ROOTFS, which chunkah's image sets.
func TestFromBeatsTheEnvironment(t *testing.T) {
	archive := build(t, smallRoot(t))
	out := filepath.Join(t.TempDir(), "out")
	cmd := exec.Command("chunkah", "build", "--from", "oci-archive:"+archive, "-o", out)
	cmd.Env = append(os.Environ(), "CHUNKAH_ROOTFS=/nonexistent")
	clients.Run(t, cmd)
	sameBytes(t, from(t, "--from", "oci-archive:"+archive), out)
}

// Options take precedence over the image's config.
func TestFromWithFlags(t *testing.T) {
	archive := build(t, smallRoot(t), "--config-str", fromConfig, "--annotation", "a=b")
	img := clients.ReadImage(t, from(t, "--from", "oci-archive:"+archive, "--label", "l-", "--label", "m=2", "--annotation", "a=c", "--arch", "amd64"))
	if got := fmt.Sprint(img.Config.Config.Labels, img.Manifest.Annotations, img.Config.Config.Env, img.Config.Architecture); got != "map[m:2] map[a:c] [A=b]amd64" {
		t.Errorf("got %s", got)
	}
	if img = clients.ReadImage(t, from(t, "--from", "oci-archive:"+archive, "--config-str", "{}")); len(img.Config.Config.Env) > 0 {
		t.Errorf("--config-str {} leaves %v", img.Config.Config.Env)
	}
}

// layered returns an image with three layers. The upper two layers change the lowest layer in every
// possible way. The entries in more are added to the top layer.
func layered(t *testing.T, more ...mk.Entry) *mk.Image {
	t.Helper()
	base := []mk.Entry{
		mk.Dir("etc/"), mk.File("etc/kept", "1"), mk.File("etc/changed", "1"), mk.File("etc/gone", "1"),
		mk.Dir("opt/"), mk.Dir("opt/gone/"), mk.File("opt/gone/a", "1"), mk.File("opt/gone/b", "1"),
		mk.Dir("srv/"), mk.Dir("srv/opaque/"), mk.File("srv/opaque/low", "1"), mk.File("srv/opaque/both", "1"),
		mk.Dir("turn/"), mk.File("turn/file", "1"), mk.Dir("turn/dir/"), mk.File("turn/dir/a", "1"), mk.Symlink("turn/link", "dir"),
		mk.Dir("usr/"), mk.File("usr/inode", "1"), mk.Link("usr/name", "usr/inode"),
	}
	middle := []mk.Entry{
		mk.Dir("etc/"), mk.File("etc/changed", "22"), mk.File("etc/new", "2"), mk.File("etc/.wh.gone", ""),
		mk.Dir("opt/"), mk.File("opt/.wh.gone", ""),
		mk.Dir("srv/"), mk.Dir("srv/opaque/"), mk.File("srv/opaque/both", "22"), mk.File("srv/opaque/.wh..wh..opq", ""),
	}
	top := []mk.Entry{
		mk.Dir("turn/"), mk.File("turn/.wh.file", ""), mk.Dir("turn/file/"), mk.File("turn/file/b", "3"),
		mk.File("turn/dir", "now a file"), mk.Dir("turn/link/"), mk.File("turn/link/c", "3"),
		mk.Dir("usr/"), mk.Dir("etc/"), mk.File("etc/.wh.new", ""),
	}
	top = append(top, more...)
	return &mk.Image{Name: "app", Layers: []mk.Layer{
		{Tar: mk.Tar(t, base...), Packing: mk.Gzip}, {Tar: mk.Tar(t, middle...)}, {Tar: mk.Tar(t, top...), Packing: mk.Zstd},
	}}
}

// The kept base layers are unchanged, and the layers above them contain the differences. The
// unpacked image is the same.
func TestKeepBase(t *testing.T) {
	img := layered(t, mk.Link("usr/third", "usr/inode")) // podman refuses a hard link to a file in a lower layer
	base := &mk.Image{Layers: img.Layers[:1], Name: "base"}
	source := "oci:" + img.Layout(t)
	byNumber := from(t, "--from", source, "--keep-base", "1")
	sameBytes(t, byNumber, from(t, "--from", source, "--keep-base", "oci-archive:"+base.Archive(t)))

	after := clients.ReadImage(t, byNumber)
	if got, want := after.Manifest.Layers[0].Digest, digest.FromBytes(img.Layers[0].Blob(t)); got != want {
		t.Errorf("the lowest layer is %s, not %s", got, want)
	}
	if got := after.Layers(); len(got) < 3 {
		t.Errorf("the layers are %v: too few for the test", got)
	}
	listing := stream(t, `chunkah-scan --format json "$ROOT" | jq -c '.file | select(.) | del(.mtime, .mtime_nsec)'`, source)
	if got := stream(t, `chunkah-scan --format json "$ROOT" | jq -c '.file | select(.) | del(.mtime, .mtime_nsec)'`, "oci-archive:"+byNumber); got != listing {
		t.Errorf("the files are\n%s\nnot\n%s", got, listing)
	}
	// It is possible to keep all layers, or none.
	for _, keep := range []string{"0", "2"} {
		kept := from(t, "--from", source, "--keep-base", keep)
		if got := stream(t, `chunkah-scan "$ROOT" | jq -c '.file | select(.) | del(.mtime, .mtime_nsec)'`, "oci-archive:"+kept); got != listing {
			t.Errorf("with %s layers kept the files are\n%s\nnot\n%s", keep, got, listing)
		}
	}
	said := fails(t, 1, exec.Command("chunkah", "build", "--from", source, "--keep-base", "4"))
	if !strings.Contains(said, "keeping 4 layers") {
		t.Errorf("4 layers of 3: %s", said)
	}
	other := &mk.Image{Layers: img.Layers[1:2], Name: "other"}
	said = fails(t, 1, exec.Command("chunkah", "build", "--from", source, "--keep-base", "oci:"+other.Layout(t)))
	if !strings.Contains(said, "has different lowest layers") {
		t.Errorf("a foreign base: %s", said)
	}
}

// A layer that docker load cannot read is refused before any data is read.
func TestKeepBaseInDockerArchive(t *testing.T) {
	img := layered(t)
	source := "oci:" + img.Layout(t)
	archive := filepath.Join(t.TempDir(), "out.tar")
	for name, cmd := range map[string]*exec.Cmd{
		"build": exec.Command("chunkah", "build", "--from", source, "--keep-base", "3", "-o", "docker-archive:"+archive),
		"pipe":  exec.Command("sh", "-c", `chunkah-scan --keep-base 3 "$0" | chunkah-assign | chunkah-pack | exec chunkah-write -o "docker-archive:$1"`, source, archive),
	} {
		res := start(t, cmd)
		want := fmt.Sprintf("keeping layer 2: layer %q is compressed with zstd", digest.FromBytes(img.Layers[2].Blob(t)))
		if res.code != 2 || !strings.Contains(res.stderr, want) {
			t.Errorf("%s: status %d: %s", name, res.code, res.stderr)
		}
		if _, err := os.Lstat(archive); err == nil {
			t.Errorf("%s: the archive is there", name)
		}
	}
}

// If the base image is an index of several platforms, the build uses the base for the image's
// platform.
func TestKeepBaseOfItsPlatform(t *testing.T) {
	img := layered(t)
	img.Arch = "s390x"
	other := &mk.Image{Arch: "amd64", Layers: []mk.Layer{{Tar: mk.Tar(t, mk.File("other", "1"))}}}
	same := &mk.Image{Arch: "s390x", Layers: img.Layers[:1]}
	blobs := mk.Blobs{}
	base := "oci:" + mk.LayoutFiles(blobs, other.Manifest(t, blobs), same.Manifest(t, blobs)).WriteFolder(t)
	source := "oci:" + img.Layout(t)
	sameBytes(t, from(t, "--from", source, "--keep-base", "1"), from(t, "--from", source, "--keep-base", base))
}

// podman shows the same files in the source image and in the new image on the same base.
func TestKeepBaseInPodman(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root", "podman")
	img := layered(t)
	archive := from(t, "--from", "oci:"+img.Layout(t), "--keep-base", "1")
	e := clients.NewEngine(t)
	treediff.Equal(t, e.Mount(e.Load(img.Archive(t))), e.Mount(e.Load(archive)), treediff.Options{SkipXattr: dropped})
}

// Later sources are on top of earlier ones, and each can be a component.
func TestSeveralSources(t *testing.T) {
	low := &mk.Image{Layers: []mk.Layer{{Tar: mk.Tar(t, mk.Dir("etc/"), mk.File("etc/both", "1"), mk.File("etc/low", "1"))}}}
	high := mkroot.Make(t, `
file /etc/both text="22"
file /opt/high text="2"
`)
	lowSource, highSource := "oci:"+low.Layout(t), "dir:"+high
	files := `chunkah-scan --by-source ` + lowSource + ` "$ROOT" | jq -r '.file | select(.) | select(.type == "file") | "\(.path) \(.size) \(.components)"'`
	want := fmt.Sprintf("/etc/both 2 [%q]\n/etc/low 1 [%q]\n/opt/high 1 [%q]\n", "source/"+highSource, "source/"+lowSource, "source/"+highSource)
	if got := stream(t, files, highSource); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	archive := from(t, "--from", lowSource, "--from", highSource, "--by-source")
	var components []string
	for _, l := range clients.ReadImage(t, archive).Layers() {
		components = append(components, l)
	}
	slices.Sort(components)
	if want := []string{"source/" + highSource, "source/" + lowSource}; !slices.Equal(components, want) {
		t.Errorf("the layers are %q, want %q", components, want)
	}
	said := fails(t, 2, exec.Command("chunkah", "build", "--from", lowSource, "--from", highSource, "--keep-base", "1"))
	if !strings.Contains(said, "only one source") {
		t.Errorf("--keep-base with two sources: %s", said)
	}
}
