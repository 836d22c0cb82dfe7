package tests

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// componentsRoot makes a root with n components of one file each. All files except one have the
// same size.
func componentsRoot(t *testing.T, n int) string {
	t.Helper()
	var spec strings.Builder
	for i := range n {
		fmt.Fprintf(&spec, "file /srv/c%02d size=%d xattr:user.component=c%02d xattr:user.update-interval=%d\n", i, 10_000+100*i, i, 1+i*i)
	}
	return mkroot.Make(t, spec.String())
}

// planOf builds an image with the options and returns the plan, the archive and standard error.
func planOf(t *testing.T, root string, args ...string) (plan, archive, stderr string) {
	t.Helper()
	archive = filepath.Join(t.TempDir(), "out.ociarchive")
	args = append([]string{"build", "--rootfs", root, "--config-str", "{}", "--max", "6", "-o", archive, "--plan", "-"}, args...)
	res := start(t, exec.Command("chunkah", args...))
	if res.code != 0 {
		t.Fatalf("chunkah %q: status %d\n%s", args, res.code, res.stderr)
	}
	return res.stdout, archive, warnings(res.stderr)
}

// progress matches the messages of every successful build.
var progress = regexp.MustCompile(`(?m)^chunkah: (scan:|assign:|pack:|wrote |\d+ files? of |reused |kept |a client of |skipped:|took |next:).*\n`)

// warnings returns the other messages of a build.
func warnings(stderr string) string { return progress.ReplaceAllString(stderr, "") }

// A layout that pack would not choose itself is kept, together with its fingerprints, after the
// image has been copied through any transport.
func TestPreviousFromAnImage(t *testing.T) {
	clients.Need(t, "skopeo", "setfattr")
	root := componentsRoot(t, 24)
	plain, _, _ := planOf(t, root)
	dir := t.TempDir()
	// Assign components to four layers by their numbers. Grouping would not choose these layers.
	var odd strings.Builder
	for l := range 4 {
		var names []string
		for i := l; i < 24; i += 4 {
			names = append(names, fmt.Sprintf("%q", fmt.Sprintf("xattr/c%02d", i)))
		}
		fmt.Fprintf(&odd, "{\"layer\":{\"components\":[%s]}}\n", strings.Join(names, ","))
	}
	oddFile := filepath.Join(dir, "odd")
	if err := os.WriteFile(oddFile, []byte(odd.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	want, archive, stderr := planOf(t, root, "--previous", oddFile)
	if want == plain || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "contains no fingerprints") {
		t.Fatalf("the plan is\n%s\nand the command said %q", want, stderr)
	}
	var comments []string
	for _, h := range clients.ReadImage(t, archive).Config.History {
		comments = append(comments, h.Comment)
	}
	if got := strings.Join(comments, "\n") + "\n"; got != want {
		t.Errorf("the image's history is\n%s\nwant\n%s", got, want)
	}
	comes := func(t *testing.T, from string) {
		t.Helper()
		if got, _, stderr := planOf(t, root, "--previous", from); got != want || stderr != "" {
			t.Errorf("from %q: got\n%s\nwant\n%s\nand %q", from, got, want, stderr)
		}
	}
	t.Run("archive", func(t *testing.T) {
		comes(t, archive)
		comes(t, "oci-archive:"+archive)
	})
	t.Run("layout", func(t *testing.T) {
		layout := filepath.Join(t.TempDir(), "layout")
		clients.SkopeoCopy(t, "oci-archive:"+archive, "oci:"+layout+":x")
		comes(t, layout)
		comes(t, "oci:"+layout+":x")
	})
	t.Run("docker archive", func(t *testing.T) {
		docker := filepath.Join(t.TempDir(), "docker.tar")
		clients.SkopeoCopy(t, "oci-archive:"+archive, "docker-archive:"+docker+":localhost/x:1")
		comes(t, "docker-archive:"+docker)
	})
	t.Run("podman", func(t *testing.T) {
		e := clients.NewEngine(t)
		saved := filepath.Join(t.TempDir(), "saved.tar")
		e.Podman("save", "--quiet", "--format", "oci-archive", "--output", saved, e.Load(archive))
		annotated := 0
		for _, l := range clients.ReadImage(t, saved).Manifest.Layers {
			annotated += len(l.Annotations)
		}
		if annotated > 0 {
			t.Logf("storage keeps %d annotations by now", annotated)
		}
		comes(t, saved)
	})
}

// If a file is neither a plan nor an image made by chunkah, there is a message, and the build
// succeeds.
func TestPreviousIsNoneOfOurs(t *testing.T) {
	clients.Need(t, "skopeo", "umoci", "setfattr")
	root := componentsRoot(t, 12)
	want, archive, _ := planOf(t, root)
	dir := t.TempDir()
	foreign := filepath.Join(dir, "foreign")
	for _, args := range [][]string{{"init", "--layout", foreign}, {"new", "--image", foreign + ":x"}, {"insert", "--image", foreign + ":x", root, "/"}} {
		clients.Run(t, exec.Command("umoci", args...))
	}
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	whole, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	for name, previous := range map[string]string{
		"another tool's image": "oci:" + foreign + ":x",
		"a name not in it":     "oci:" + foreign + ":y",
		"half an archive":      file("half", string(whole[:len(whole)/2])),
		"text":                 file("text", "hello\n"),
		"another JSON":         file("json", `{"a":1}`),
		"an empty file":        file("empty", ""),
		"an empty folder":      t.TempDir(),
	} {
		got, _, stderr := planOf(t, root, "--previous", previous)
		if got != want || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "chunkah: previous layout: ") ||
			!strings.HasSuffix(stderr, "planning without the previous layout\n") {
			t.Errorf("%s: got\n%s\nwant\n%s\nand %q", name, got, want, stderr)
		}
	}
	for name, previous := range map[string]string{"no file": filepath.Join(dir, "nosuch"), "no layout": "oci:" + dir + "/nosuch:x"} {
		if stderr := fails(t, 1, exec.Command("chunkah", "build", "--rootfs", root, "-o", filepath.Join(dir, "out"), "--previous", previous)); !strings.Contains(stderr, "first build") {
			t.Errorf("%s: got %q", name, stderr)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "out")); err == nil {
		t.Error("an image was made")
	}
}

// A client that has the previous image downloads little besides the changes.
func TestPreviousKeepsDigests(t *testing.T) {
	clients.Need(t, "setfattr")
	root := copyRoot(t, componentsRoot(t, 24))
	_, last, _ := planOf(t, root)
	// The first build with --previous can change more layers, because a plan made without
	// --previous does not contain all the data.
	for i, name := range []string{"c03", "c04", "c20"} {
		rewrite(t, filepath.Join(root, "srv", name), 0, fmt.Sprint("changed ", i))
		_, next, _ := planOf(t, root, "--previous", last)
		before, same := clients.ReadImage(t, last).Layers(), 0
		for digest := range clients.ReadImage(t, next).Layers() {
			if _, there := before[digest]; there {
				same++
			}
		}
		if i > 0 && same < 4 || same == 6 {
			t.Errorf("after %s of 24 changed, %d of 6 layers are the same", name, same)
		}
		last = next
	}
}

// --previous auto reads the destination, which is empty the first time and contains the previous
// image after that.
func TestPreviousAuto(t *testing.T) {
	clients.Need(t, "setfattr")
	root := componentsRoot(t, 24)
	dir := t.TempDir()
	for name, output := range map[string]string{
		"archive": filepath.Join(dir, "a:b.oci"), "layout": "oci:" + dir + "/layout:x",
	} {
		t.Run(name, func(t *testing.T) {
			auto := func(args ...string) result {
				t.Helper()
				args = append([]string{"build", "--rootfs", root, "--config-str", "{}", "-o", output, "--plan", "-", "--previous", "auto"}, args...)
				res := start(t, exec.Command("chunkah", args...))
				if res.code != 0 {
					t.Fatalf("status %d\n%s", res.code, res.stderr)
				}
				return res
			}
			first := auto("-v", "--max", "3")
			if !strings.Contains(first.stderr, "this is the first build") || strings.Count(first.stdout, "\n") != 3 {
				t.Errorf("got\n%s\n%s", first.stdout, first.stderr)
			}
			// The build keeps three unchanged layers although four layers are allowed.
			if again := auto("--max", "4"); again.stdout != first.stdout || warnings(again.stderr) != "" {
				t.Errorf("got\n%s\n%s\nwant\n%s", again.stdout, again.stderr, first.stdout)
			}
		})
	}
}

// The plan in an image stays small. With 3,000 components, the config is a tenth of the size that
// clients accept.
func TestPlanInTheImageIsSmall(t *testing.T) {
	var stream strings.Builder
	stream.WriteString(`{"header":{}}` + "\n")
	names := make([]string, 3000)
	for i := range names {
		names[i] = fmt.Sprintf("dpkg/package-with-a-name-%04d", i)
		fmt.Fprintf(&stream, `{"file":{"path":"/f%04d","type":"symlink","target":"x","components":[%q]}}`+"\n", i, names[i])
	}
	stream.WriteString(`{"end":{}}` + "\n")
	archive := filepath.Join(t.TempDir(), "out")
	cmd := exec.Command("bash", "-o", "pipefail", "-c", `chunkah-pack --max 128 | chunkah-write -o "$0" --rootfs /`, archive)
	cmd.Stdin = strings.NewReader(stream.String())
	clients.Run(t, cmd)
	img := clients.ReadImage(t, archive)
	if size := img.Manifest.Config.Size; size > 400_000 {
		t.Errorf("the config has %d bytes", size)
	} else {
		t.Logf("the config has %d bytes", size)
	}
	var held []string
	for _, h := range img.Config.History {
		var line struct {
			Layer struct{ Components, Fingerprints []string }
		}
		if err := json.Unmarshal([]byte(h.Comment), &line); err != nil || len(line.Layer.Fingerprints) != len(line.Layer.Components) {
			t.Fatalf("%q: %v", h.Comment, err)
		}
		held = append(held, line.Layer.Components...)
	}
	if slices.Sort(held); !slices.Equal(held, names) {
		t.Errorf("the history names %d components", len(held))
	}
}
