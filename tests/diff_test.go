package tests

import (
	"archive/tar"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"chunkah/tests/clients"
	mk "chunkah/tests/mkimage"
	"chunkah/tests/mkroot"
)

// diffRoot is a root with a file of each type.
const diffRoot = `
dir / mode=0755
dir /d mode=0755 xattr:user.d=1
file /d/f text=abc mode=0644 xattr:user.f=1
file /d/g text=abc
link /d/h to=/d/g
symlink /d/l to=f
fifo /d/p mode=0600
char /d/c dev=1:3 mode=0600
block /d/b dev=8:1 mode=0600
file /e text=e
`

// diffLines runs chunkah diff and checks that the exit status matches the output.
func diffLines(t *testing.T, args ...string) []string {
	t.Helper()
	res := start(t, exec.Command("chunkah", append([]string{"diff"}, args...)...))
	lines := strings.Split(strings.TrimSuffix(res.stdout, "\n"), "\n")
	if res.stdout == "" {
		lines = nil
	}
	if want := min(len(lines), 1); res.code != want || res.stderr != "" {
		t.Errorf("chunkah diff %q: status %d with %d lines\n%s", args, res.code, len(lines), res.stderr)
	}
	return lines
}

// chunkah diff finds each change of one field of one file between directories, between images, and
// between a directory and an image. It reports no other difference.
func TestDiffFindsEveryChange(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root")
	dir := t.TempDir()
	forms := func(t *testing.T, name, spec string) [2]string {
		root := filepath.Join(dir, name)
		if err := mkroot.Write(root, spec); err != nil {
			t.Fatal(err)
		}
		clients.Run(t, exec.Command("chunkah", "build", "--rootfs", root, "--keep-special-files", "-o", "oci:"+root+".oci"))
		return [2]string{root, "oci:" + root + ".oci"}
	}
	base := forms(t, "base", diffRoot)
	for i, test := range []struct{ name, from, to, want string }{
		{"nothing", "", "", ""},
		{"bytes", "/d/f text=abc", "/d/f text=abd", `"/d/f": contents differ`},
		{"length", "/d/f text=abc", "/d/f text=abcd", `"/d/f": size: 3 and 4`},
		{"bytes of a hard link", "/d/g text=abc", "/d/g text=abd", `"/d/g": contents differ`},
		{"mode", "mode=0644", "mode=0645", `"/d/f": mode: 0644 and 0645`},
		{"setuid", "mode=0644", "mode=4644", `"/d/f": mode: 0644 and 4644`},
		{"mode of a directory", "dir /d mode=0755", "dir /d mode=1755", `"/d": mode: 0755 and 1755`},
		{"mode of the root", "dir / mode=0755", "dir / mode=0555", `"/": mode: 0755 and 0555`},
		{"mode of a FIFO", "/d/p mode=0600", "/d/p mode=0640", `"/d/p": mode: 0600 and 0640`},
		{"mode of a device", "dev=1:3 mode=0600", "dev=1:3 mode=0601", `"/d/c": mode: 0600 and 0601`},
		{"uid", "/e text=e", "/e text=e uid=7", `"/e": uid: 0 and 7`},
		{"gid", "/e text=e", "/e text=e gid=7", `"/e": gid: 0 and 7`},
		{"uid of a directory", "/d mode=0755", "/d mode=0755 uid=7", `"/d": uid: 0 and 7`},
		{"gid of a symlink", "to=f", "to=f gid=7", `"/d/l": gid: 0 and 7`},
		{"uid of a FIFO", "/d/p mode=0600", "/d/p mode=0600 uid=7", `"/d/p": uid: 0 and 7`},
		{"target", "to=f", "to=ff", `"/d/l": target: "f" and "ff"`},
		{"major", "dev=1:3", "dev=2:3", `"/d/c": device: 1:3 and 2:3`},
		{"minor", "dev=8:1", "dev=8:2", `"/d/b": device: 8:1 and 8:2`},
		{"char to block", "char /d/c", "block /d/c", `"/d/c": type: char and block`},
		{"file to directory", "file /e text=e", "dir /e", `"/e": type: file and dir`},
		{"hard link", "link /d/h to=/d/g", "file /d/h text=abc", `"/d/h": hardlink: "/d/g" and none`},
		{"another hard link", "file /e text=e", "file /e text=e\nlink /f to=/e", `"/f": only on the second side (file)`},
		{"xattr", "xattr:user.f=1", "xattr:user.f=2", `"/d/f": xattr "user.f": "1" and "2"`},
		{"xattr gone", "xattr:user.f=1", "", `"/d/f": xattr "user.f": "1" and none`},
		{"xattr of a directory", "xattr:user.d=1", `xattr:user.d="1\x00"`, `"/d": xattr "user.d": "1" and "1\x00"`},
		{"xattr of a symlink", "to=f", "to=f xattr:security.x=1", `"/d/l": xattr "security.x": none and "1"`},
		{"file gone", "file /e text=e", "", `"/e": only on the first side (file)`},
		{"FIFO gone", "fifo /d/p mode=0600", "", `"/d/p": only on the first side (fifo)`},
	} {
		t.Run(test.name, func(t *testing.T) {
			changed := forms(t, strings.Repeat("x", i+1), strings.Replace(diffRoot, test.from, test.to, 1))
			var want []string
			if test.want != "" {
				want = []string{test.want}
			}
			for _, a := range base {
				for _, b := range changed {
					if got := diffLines(t, "--ignore-mtime", a, b); !slices.Equal(got, want) {
						t.Errorf("%s %s: %q, want %q", a, b, got, want)
					}
					if got := diffLines(t, "--ignore-mtime", b, a); len(got) != len(want) {
						t.Errorf("%s %s: %q, want %d lines", b, a, got, len(want))
					}
				}
			}
		})
	}
}

// chunkah diff compares times in images made by other tools. Between two images, it compares
// nanoseconds too.
func TestDiffOfTimes(t *testing.T) {
	clients.Need(t, "root", "tar")
	image := func(sec, nsec int64) string {
		e := mk.File("f", "f").But(func(h *tar.Header) { h.ModTime = time.Unix(sec, nsec) })
		return "oci:" + imageOf(t, [][]mk.Entry{{mk.Dir("./").But(func(h *tar.Header) { h.ModTime = time.Unix(1, 0) }), e}}).Layout(t)
	}
	root := mkroot.Make(t, "dir / mode=0755 mtime=1\nfile /f text=f mtime=5")
	for _, test := range []struct {
		a, b, want string
	}{
		{image(5, 0), image(5, 0), ""},
		{image(5, 0), image(6, 0), `"/f": mtime: 5 and 6`},
		{image(5, 1), image(5, 2), `"/f": mtime: 5.000000001 and 5.000000002`},
		{root, image(5, 0), ""},
		{root, image(5, 7), ""},
		{root, image(6, 0), `"/f": mtime: 5 and 6`},
	} {
		if got := strings.Join(diffLines(t, test.a, test.b), "\n"); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
		if got := diffLines(t, "--ignore-mtime", test.a, test.b); len(got) > 0 {
			t.Errorf("without times: %q", got)
		}
	}
}

// An image passes through podman's storage, skopeo and a registry without losing anything, and each
// result is a valid image.
func TestDiffAndVerifyAmongClients(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root", "podman", "skopeo")
	dir, root := t.TempDir(), mkroot.Make(t, diffRoot)
	archive := build(t, root, "--keep-special-files", "--verify", "-t", "localhost/app:1")
	host := clients.NewRegistry(t, clients.RegistryOptions{})
	clients.Run(t, exec.Command("chunkah", "build", "--rootfs", root, "--keep-special-files", "--verify", "-o", "docker://"+host+"/app:1"))

	e := clients.NewEngine(t)
	e.Load(archive)
	e.Podman("save", "--quiet", "--format", "oci-archive", "-o", dir+"/podman.oci", "localhost/app:1")
	e.Podman("save", "--quiet", "--format", "docker-archive", "-o", dir+"/podman.tar", "localhost/app:1")
	places := map[string]string{
		"podman, OCI": "oci-archive:" + dir + "/podman.oci", "podman, docker": "docker-archive:" + dir + "/podman.tar",
		"registry": "docker://" + host + "/app:1", "skopeo": "oci:" + dir + "/skopeo:app",
	}
	clients.SkopeoCopy(t, "oci-archive:"+archive, places["skopeo"])
	for name, place := range places {
		t.Run(name, func(t *testing.T) {
			clients.Run(t, exec.Command("chunkah", "verify", place))
			for _, d := range diffLines(t, "--ignore-mtime", root, place) {
				t.Errorf("%s", d)
			}
			for _, d := range diffLines(t, "oci-archive:"+archive, place) {
				if !strings.HasPrefix(d, "annotation ") {
					t.Errorf("%s", d)
				}
			}
		})
	}
}

// A push that fails verification does not move the tag.
func TestBuildVerifyKeepsTheTag(t *testing.T) {
	clients.Need(t, "root", "skopeo")
	root := mkroot.Make(t, "dir / mode=0755\nfile /a text=a\nfile /b text=b")
	place := "docker://" + clients.NewRegistry(t, clients.RegistryOptions{}) + "/app:1"
	clients.Run(t, exec.Command("chunkah", "build", "--rootfs", root, "--verify", "-o", place))
	before := skopeoInspect(t, place)
	said := fails(t, 1, exec.Command("chunkah", "build", "--rootfs", root, "--verify", "-o", place, "--assign", `chunkah-assign | grep -v '"/b"'`))
	if !strings.Contains(said, `"/b": only on the first side (file)`) {
		t.Errorf("it says %s", said)
	}
	if after := skopeoInspect(t, place); after != before {
		t.Errorf("the tag moved: %s", after)
	}
	if got := diffLines(t, "--ignore-mtime", root, place); len(got) > 0 {
		t.Errorf("differences: %q", got)
	}
}

// chunkah verify accepts images with many layers made by other tools, and finds the same files in
// them as these tools do.
func TestVerifyForeignImages(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root", "podman", "skopeo", "umoci")
	dir := t.TempDir()
	e := clients.NewEngine(t)
	id := e.Load(imageOf(t, tenLayers()).Archive(t))
	container := strings.TrimSpace(e.Podman("create", id, "x"))
	mount := strings.TrimSpace(e.Podman("mount", container))
	clients.Run(t, exec.Command("sh", "-c", `cd "$1" && mkdir -p new/dir && echo x >new/dir/f && ln new/dir/f new/g && rm -r "$(ls | head -n 1)"`, "sh", mount))
	e.Podman("commit", "--quiet", "--format", "oci", container, "localhost/more:1")
	e.Podman("save", "--quiet", "--format", "oci-archive", "-o", dir+"/podman.oci", "localhost/more:1")
	e.Podman("save", "--quiet", "--format", "docker-archive", "-o", dir+"/podman.tar", "localhost/more:1")
	clients.SkopeoCopy(t, "oci-archive:"+dir+"/podman.oci", "oci:"+dir+"/skopeo:1")
	clients.Run(t, exec.Command("umoci", "config", "--image", dir+"/skopeo:1", "--tag", "2", "--config.label", "k=v"))
	for _, place := range []string{"oci-archive:" + dir + "/podman.oci", "docker-archive:" + dir + "/podman.tar", "oci:" + dir + "/skopeo:1", "oci:" + dir + "/skopeo:2", "oci:" + dir + "/skopeo"} {
		clients.Run(t, exec.Command("chunkah", "verify", place))
		if place == "oci:"+dir+"/skopeo" {
			continue // the layout contains two images
		}
		for _, d := range withoutRoot(diffLines(t, "--ignore-mtime", mount, place)) {
			t.Errorf("%s: %s", place, d)
		}
	}
}

// chunkah verify also accepts images saved by Docker, in Docker's own format and with its own media
// types.
func TestVerifyDockerImages(t *testing.T) {
	t.Parallel()
	d := clients.NewDocker(t)
	root, dir := mkroot.Make(t, diffRoot), t.TempDir()
	archive := filepath.Join(dir, "in.tar")
	clients.Run(t, exec.Command("chunkah", "build", "--rootfs", root, "--keep-special-files", "--verify", "-o", "docker-archive:"+archive+":app:1"))
	d.LoadArchive(archive)
	saved := filepath.Join(dir, "out.tar")
	d.Docker("save", "-o", saved, "app:1")
	clients.Run(t, exec.Command("chunkah", "verify", "docker-archive:"+saved))
	if got := diffLines(t, "--ignore-mtime", root, "docker-archive:"+saved); len(got) > 0 {
		t.Errorf("%q", got)
	}
}
