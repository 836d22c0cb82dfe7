package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/tests/clients"
	mk "chunkah/tests/mkimage"
	"chunkah/tests/mkroot"
	"chunkah/tests/treediff"
)

// patchRoots contains successive versions of a root, with awkward changes.
var patchRoots = []string{`
dir /etc mode=0755
file /etc/passwd text="root"
file /etc/shadow mode=0600 text="secret"
dir /a/deep/er
file /a/deep/er/x size=20000
file /a/file size=30000
dir /turns
file /turns/below size=5000
file /becomes size=4000
symlink /link to=etc
dir /purged/sub
file /purged/sub/1 size=7000
file /purged/2 size=8000
file /h1 size=9000
link /h2 to=/h1
link /h3 to=/h1
file /alone size=9500
file /mode size=10000 mode=0644
file /xattr size=11000 xattr:user.x=1
dir /dirmode mode=0755
file /dirmode/x size=3000
dir /empty
file /big size=400000
fifo /pipe
symlink /usr to=a
file /quoted" " size=100
file "/bytes\xff" size=100
`, `
dir /etc mode=0755
file /etc/passwd text="root\nuser"
dir /a/deep/er
file /a/deep/er/x size=20000
file /a/file size=30001
file /turns text="a file now"
dir /becomes mode=0700
file /becomes/in size=4000
dir /link
file /link/new size=10
file /h1 size=9000
link /h2 to=/h1
file /h3 size=9000
file /alone size=9500
link /joined to=/alone
file /mode size=10000 mode=04755
file /xattr size=11000 xattr:user.x=2
dir /dirmode mode=0700
file /dirmode/x size=3000
file /big size=400000
fifo /pipe mode=0600
dir /usr
file /usr/x size=10
file /quoted" " size=100
file "/bytes\xff" size=101
`, `
dir /etc mode=0755
file /etc/passwd text="root\nuser"
dir /a
symlink /a/deep to=/etc
file /a/file size=30001
dir /turns mode=0711
file /turns/below size=5000
symlink /becomes to=nowhere
symlink /link to=etc
dir /purged/sub
file /purged/sub/1 size=7000
file /h1 size=9000
file /h2 size=9000
link /h3 to=/h2
file /joined size=9500
file /mode size=10000 mode=04755 uid=5
file /xattr size=11000
dir /dirmode mode=0700
dir /empty mode=0700
file /big size=400000
`}

// patched builds a root with patch layers on top of an image.
func patched(t *testing.T, root, previous string, args ...string) string {
	t.Helper()
	return build(t, root, append([]string{"--config-str", "{}", "--keep-special-files", "--previous", previous, "--max-stale", "20%"}, args...)...)
}

// sameTree checks that an image contains the files of a root, also after a client has unpacked it.
func sameTree(t *testing.T, root, archive string) {
	t.Helper()
	clients.Run(t, exec.Command("chunkah", "diff", "--ignore-mtime", root, "oci-archive:"+archive))
	clients.Run(t, exec.Command("chunkah", "verify", "oci-archive:"+archive))
	treediff.Equal(t, root, clients.UmociUnpack(t, archive), treediff.Options{})
}

// In a chain of images with patch layers, each image contains the files of its root, regardless of
// what changes, and old layers are kept.
func TestPatchLayers(t *testing.T) {
	clients.Need(t, "root", "umoci", "setfattr")
	var roots []string
	for _, spec := range patchRoots {
		roots = append(roots, mkroot.Make(t, spec))
	}
	last := build(t, roots[0], "--config-str", "{}", "--keep-special-files")
	for _, n := range []int{0, 1, 2, 1, 0, 2, 0} {
		next := patched(t, roots[n], last)
		sameTree(t, roots[n], next)
		before, after := clients.ReadImage(t, last), clients.ReadImage(t, next)
		kept := 0
		for _, l := range after.Manifest.Layers {
			if slices.ContainsFunc(before.Manifest.Layers, func(b v1.Descriptor) bool { return b.Digest == l.Digest }) {
				kept++
			}
		}
		if kept == 0 {
			t.Errorf("no layer of the previous image was kept")
		}
		last = next
	}
	// Without --max-stale, the image is the same as without a previous image.
	sameBytes(t, build(t, roots[0], "--config-str", "{}", "--keep-special-files"), build(t, roots[0], "--config-str", "{}", "--keep-special-files", "--max-stale", "0"))
}

// Engines show the files of the root.
func TestPatchLayersInEngines(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root", "setfattr")
	var images []string
	last := ""
	for i, spec := range patchRoots {
		root := mkroot.Make(t, spec)
		if i == 0 {
			last = build(t, root, "--config-str", "{}", "--keep-special-files", "-t", "localhost/patch:0")
		} else {
			last = patched(t, root, last, "-t", "localhost/patch:"+string(rune('0'+i)))
		}
		images = append(images, root, last)
	}
	t.Run("podman", func(t *testing.T) {
		e := clients.NewEngine(t)
		for i := 0; i < len(images); i += 2 {
			sameMount(t, images[i], e.Mount(e.Load(images[i+1])), 0o555)
		}
	})
	t.Run("podman with vfs", func(t *testing.T) {
		e := clients.NewEngineOn(t, "vfs")
		for i := 0; i < len(images); i += 2 {
			sameMount(t, images[i], e.Mount(e.Load(images[i+1])), 0o755)
		}
	})
	t.Run("docker", func(t *testing.T) {
		clients.Need(t, "skopeo")
		d := clients.NewDocker(t)
		for i := 0; i < len(images); i += 2 {
			docker := filepath.Join(t.TempDir(), "docker.tar")
			name := "localhost/patch:" + string(rune('0'+i/2))
			clients.SkopeoCopy(t, "oci-archive:"+images[i+1], "docker-archive:"+docker+":"+name)
			d.LoadArchive(docker)
			sameMount(t, images[i], d.Mount(name), 0o755)
		}
	})
}

// sameMount compares a root with a mounted image. Engines set their own mode for /.
func sameMount(t *testing.T, root, mounted string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(root, mode); err != nil {
		t.Fatal(err)
	}
	treediff.Equal(t, root, mounted, treediff.Options{SkipPath: dockerPaths})
}

// dockerPaths reports whether docker adds the path to each container.
func dockerPaths(path string) bool {
	return slices.Contains([]string{"/dev", "/proc", "/sys", "/.dockerenv", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/mtab"}, path)
}

// chunkah build and a pipe write the same bytes, in both encodings, on any number of cores, and for
// any source of the previous image's file list.
func TestPatchLayersAreReproducible(t *testing.T) {
	clients.Need(t, "root", "setfattr")
	old, root := mkroot.Make(t, patchRoots[0]), mkroot.Make(t, patchRoots[1])
	dir := t.TempDir()
	plan := filepath.Join(dir, "plan")
	first := build(t, old, "--config-str", "{}", "--keep-special-files")
	second := patched(t, root, first, "--plan", plan)
	third := mkroot.Make(t, patchRoots[2])
	want := patched(t, third, second)
	for _, args := range [][]string{{"-T", "1"}, {"-T", "7"}, {"--plan", plan}} {
		sameBytes(t, want, patched(t, third, second, args...))
	}
	for _, encoding := range []string{"json", "msgpack"} {
		for _, digests := range []string{"", "--digests"} {
			archive := filepath.Join(t.TempDir(), "out")
			line := `chunkah-scan --keep-special-files ` + digests + ` --format ` + encoding + ` "$1" | chunkah-assign | chunkah-pack --previous "$2" --max-stale 20 | chunkah-write --config-str {} -o "$3"`
			clients.Run(t, exec.Command("bash", "-o", "pipefail", "-c", line, "-", third, second, archive))
			sameBytes(t, want, archive)
		}
	}
}

// Wrong options cause a one-line error with advice.
func TestPatchLayersRefuse(t *testing.T) {
	root := mkroot.Make(t, "file /a text=a\n")
	for want, args := range map[string][]string{
		"use it with --previous":                                   {"--max-stale", "5%"},
		"is not a percentage from 0 to 100":                        {"--max-stale", "x", "--previous", "auto"},
		"--max-stale \"101%\" is not a percentage":                 {"--max-stale", "101%", "--previous", "auto"},
		"more than 4 decimals":                                     {"--max-stale", "1.00001", "--previous", "auto"},
		"--fresh-times cannot be used together":                    {"--max-stale", "5", "--previous", "auto", "--fresh-times"},
		"--keep-base cannot be used together":                      {"--max-stale", "5", "--previous", "auto", "--keep-base", "1"},
		"--previous auto means the image that the output replaces": {"--max-stale", "5", "--previous", "auto", "-o", "-"},
	} {
		cmd := exec.Command("chunkah", append([]string{"build", "--rootfs", root, "--config-str", "{}", "-o", filepath.Join(t.TempDir(), "x")}, args...)...)
		if slices.Contains(args, "-o") {
			cmd.Args = slices.Delete(cmd.Args, 6, 8)
		}
		if got := fails(t, 2, cmd); !strings.Contains(got, want) {
			t.Errorf("%q: got %q, want %q", args, got, want)
		}
	}
}

// chunkah reuse reports how many bytes of the new image are stale.
func TestReuseSaysStaleBytes(t *testing.T) {
	last := build(t, mkroot.Make(t, "dir / mode=0755\nfile /big size=900000\nfile /small text=old\n"), "--config-str", "{}")
	next := patched(t, mkroot.Make(t, "dir / mode=0755\nfile /big size=900000\nfile /small text=new\n"), last)
	const want = "of files in lower layers of the new image are stale"
	if res := start(t, exec.Command("chunkah", "reuse", "oci-archive:"+last, "oci-archive:"+next)); res.code != 0 || !strings.Contains(res.stdout, want) {
		t.Errorf("status %d\n%s%s", res.code, res.stdout, res.stderr)
	}
	const layer = `layer \d+: [0-9.]+ kB, hidden by layer \d+`
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"reuse"}, `(?m)^` + layer + `$`},
		{[]string{"reuse", "--markdown"}, `(?m)^[0-9.]+ kB ` + want + `: upper layers hide them\n\n- ` + layer + `$`},
		{[]string{"reuse", "--json"}, `"stale_bytes":1024,"stale_layers":\[\{"layer":\d,"stale_bytes":1024,"hidden_by":\{"\d":1024\}\}\]`},
		{[]string{"diff", "-v"}, `(?m)^chunkah: .*: 1\.0 kB of files in lower layers are stale: upper layers hide them\nchunkah: .*: ` + layer + `$`},
	} {
		res := start(t, exec.Command("chunkah", append(c.args, "oci-archive:"+last, "oci-archive:"+next)...))
		if !regexp.MustCompile(c.want).MatchString(res.stdout + res.stderr) {
			t.Errorf("%q: status %d\n%s%s", c.args, res.code, res.stdout, res.stderr)
		}
	}
	res := start(t, exec.Command("chunkah", "verify", "-v", "oci-archive:"+next))
	if said := regexp.MustCompile(`(?m)^chunkah: manifest \S+.*: ` + layer + `$`); res.code != 0 || !said.MatchString(res.stderr) {
		t.Errorf("verify: status %d\n%s%s", res.code, res.stdout, res.stderr)
	}
	if res := start(t, exec.Command("chunkah", "reuse", "oci-archive:"+next, "oci-archive:"+last)); res.code != 0 || strings.Contains(res.stdout, want) {
		t.Errorf("without stale bytes: status %d\n%s%s", res.code, res.stdout, res.stderr)
	}
}

// The summary counts the files and components of the image, not those of the new layers.
func TestPatchLayersInSummary(t *testing.T) {
	clients.Need(t, "root", "setfattr")
	const counts = `[0-9]+ files of [0-9]+ components? in `
	for i, spec := range patchRoots {
		root := mkroot.Make(t, spec)
		last := build(t, mkroot.Make(t, patchRoots[(i+1)%len(patchRoots)]), "--config-str", "{}", "--keep-special-files")
		said := func(args ...string) string {
			args = append([]string{"build", "--rootfs", root, "--config-str", "{}", "--keep-special-files", "-o", filepath.Join(t.TempDir(), "x")}, args...)
			return regexp.MustCompile(counts).FindString(start(t, exec.Command("chunkah", args...)).stderr)
		}
		want, got := said(), said("--previous", "oci-archive:"+last, "--max-stale", "20%")
		if got != want || want == "" {
			t.Errorf("root %d: got %q, want %q", i, got, want)
		}
	}
}

// No output contains a damaged blob of the previous image.
func TestPatchLayersOfDamagedImage(t *testing.T) {
	root, dir := mkroot.Make(t, "dir / mode=0755\nfile /big size=900000\nfile /small text=old\n"), t.TempDir()
	plan, last := filepath.Join(dir, "plan"), filepath.Join(dir, "last")
	args := []string{"build", "--rootfs", root, "--config-str", "{}", "--max-stale", "20%", "--previous"}
	clients.Run(t, exec.Command("chunkah", append(args, "auto", "--plan", plan, "-o", "oci:"+last)...))
	blobs, err := filepath.Glob(filepath.Join(last, "blobs/sha256/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, blob := range blobs {
		data, err := os.ReadFile(blob)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) < 900000 {
			continue
		}
		data[len(data)/2] ^= 1
		if err := os.WriteFile(blob, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	saved, err := os.ReadFile(plan)
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{"oci-archive:" + filepath.Join(dir, "file"), "oci:" + filepath.Join(dir, "layout"), "-"} {
		if err := os.WriteFile(plan, saved, 0o600); err != nil {
			t.Fatal(err)
		}
		res := start(t, exec.Command("chunkah", append(args, "oci:"+last, "--plan", plan, "-o", out)...))
		if res.code != 1 || !strings.Contains(res.stderr, "keeping layer ") || !strings.Contains(res.stderr, "digest") {
			t.Errorf("%s: status %d\n%s", out, res.code, res.stderr)
		}
		for _, name := range []string{"file", "layout"} {
			if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
				t.Errorf("%s: %s remains", out, name)
			}
		}
	}
}

// doctor lists removed files that look like secrets, because a kept layer still contains them.
func TestPatchLayersKeepSecrets(t *testing.T) {
	const rest = "dir / mode=0755\nfile /big size=900000\n"
	with := mkroot.Make(t, rest+"file /root/.ssh/id_rsa text=secret\n")
	without := mkroot.Make(t, rest)
	last := patched(t, without, build(t, with, "--config-str", "{}"))
	sameTree(t, without, last)
	res := start(t, exec.Command("chunkah", "doctor", "oci-archive:"+last))
	if res.code != 1 || !strings.Contains(res.stdout, "removed-files") || !strings.Contains(res.stdout, "/root/.ssh/id_rsa") {
		t.Errorf("status %d\n%s%s", res.code, res.stdout, res.stderr)
	}
	res = start(t, exec.Command("chunkah", "doctor", "oci-archive:"+build(t, without, "--config-str", "{}")))
	if strings.Contains(res.stdout, "removed-files") {
		t.Errorf("without patch layers:\n%s", res.stdout)
	}
}

// doctor lists removed secrets regardless of what hides them: whiteouts, opaque directories, or
// files that replaced directories. A file that is still visible under another name does not count
// as removed.
func TestDoctorSeesHiddenSecrets(t *testing.T) {
	const secret = "/app/keys/id_rsa"
	base := []mk.Entry{
		mk.Dir("app"), mk.Dir("app/keys"), mk.File("app/keys/id_rsa", "secret"), mk.Link("app/keys/id_dsa", "app/keys/id_rsa"), mk.File("app/x", "x"),
	}
	for name, c := range map[string]struct {
		above []mk.Entry
		found bool
	}{
		"whiteout":             {[]mk.Entry{mk.File("app/.wh.keys", "")}, true},
		"opaque directory":     {[]mk.Entry{mk.Dir("app/keys"), mk.File("app/keys/.wh..wh..opq", "")}, true},
		"opaque parent":        {[]mk.Entry{mk.Dir("app"), mk.File("app/.wh..wh..opq", "")}, true},
		"file":                 {[]mk.Entry{mk.File("app/keys", "a file")}, true},
		"symlink":              {[]mk.Entry{mk.Symlink("app/keys", "x")}, true},
		"one of its names":     {[]mk.Entry{mk.File("app/keys/.wh.id_rsa", "")}, false},
		"hard link from above": {[]mk.Entry{mk.File("app/.wh.keys", ""), mk.Link("app/kept", "app/keys/id_rsa")}, false},
		"another directory":    {[]mk.Entry{mk.Dir("lib"), mk.File("lib/y", "y")}, false},
	} {
		img := &mk.Image{Layers: []mk.Layer{{Tar: mk.Tar(t, base...)}, {Tar: mk.Tar(t, c.above...), Packing: mk.Gzip}}}
		res := start(t, exec.Command("chunkah", "doctor", "oci:"+img.Layout(t)))
		got := strings.Contains(res.stdout, "removed-files") && strings.Contains(res.stdout, secret)
		if got != c.found || res.code > 1 {
			t.Errorf("%s: status %d\n%s%s", name, res.code, res.stdout, res.stderr)
		}
	}
}
