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
	"time"

	"chunkah/tests/clients"
)

// toStorage writes an image into the storage of an engine and returns the messages.
func toStorage(t *testing.T, e *clients.Engine, driver, name string, args ...string) string {
	t.Helper()
	args = append([]string{"build", "--skip-special-files", "-o", placeIn(e, driver, name)}, args...)
	res := start(t, exec.Command("chunkah", args...))
	if res.code != 0 {
		t.Fatalf("chunkah %s: status %d\n%s", strings.Join(args, " "), res.code, res.stderr)
	}
	return res.stderr
}

// placeIn returns the name of a new image in an engine's storage.
func placeIn(e *clients.Engine, driver, name string) string {
	dir := filepath.Dir(filepath.Dir(e.Store()))
	return fmt.Sprintf("containers-storage:[%s@%s/storage+%s/run]%s", driver, dir, dir, name)
}

// storedLayer is a layer in layers.json.
type storedLayer struct {
	ID         string `json:"id"`
	Parent     string `json:"parent"`
	DiffID     string `json:"diff-digest"`
	Size       int64  `json:"diff-size"`
	Compressed string `json:"compressed-diff-digest"`
	UIDs       []int  `json:"uidset"`
	GIDs       []int  `json:"gidset"`
}

// storedLayers returns the layers in an engine's storage. It checks that each layer has a directory
// and that there are no other directories.
func storedLayers(t *testing.T, e *clients.Engine) []storedLayer {
	t.Helper()
	var layers []storedLayer
	data, err := os.ReadFile(e.Store() + "-layers/layers.json")
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &layers); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, l := range layers {
		want = append(want, l.ID)
	}
	slices.Sort(want)
	if got := layerDirs(t, e); !slices.Equal(got, want) {
		t.Errorf("the storage has the directories %q for the layers %q", got, want)
	}
	slices.SortFunc(layers, func(a, b storedLayer) int { return strings.Compare(a.ID, b.ID) })
	return layers
}

// layerDirs returns the sorted directories of layers in the storage of an engine.
func layerDirs(t *testing.T, e *clients.Engine) []string {
	t.Helper()
	pattern := e.Store() + "/*/diff"
	if filepath.Base(e.Store()) == "vfs" {
		pattern = e.Store() + "/dir/*"
	}
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, path := range paths {
		if filepath.Base(path) == "diff" {
			path = filepath.Dir(path)
		}
		ids = append(ids, filepath.Base(path))
	}
	slices.Sort(ids)
	return ids
}

// inspected returns podman's description of an image, without the image's location and the history
// of its names.
func inspected(e interface{ Podman(args ...string) string }, name string) string {
	text := e.Podman("inspect", "--type", "image", name)
	text = regexp.MustCompile(`(?s)"GraphDriver": \{.*?\n {10}\}`).ReplaceAllString(text, "")
	return regexp.MustCompile(`(?s)"NamesHistory": \[.*?\]`).ReplaceAllString(text, "")
}

// An image in containers-storage is the same as if podman had loaded its archive. It has the same
// ID, layers and output of podman inspect. podman runs it, buildah builds from it, and podman saves
// its layers.
func TestToStorage(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root", "podman", "buildah")
	for driver, source := range map[string]string{"overlay": debianRoot(t), "vfs": smallRoot(t)} {
		t.Run(driver, func(t *testing.T) {
			args := []string{"--from", source, "--config-str", fromConfig, "--max", "12"}
			loaded, written := clients.NewEngineOn(t, driver), clients.NewEngineOn(t, driver)
			archive := filepath.Join(t.TempDir(), "out")
			clients.Run(t, exec.Command("chunkah", append(append([]string{"build", "--skip-special-files", "-t", "localhost/app:1"}, args...), "-o", archive)...))
			loaded.Load(archive)
			toStorage(t, written, driver, "app:1", append(args, "-t", "registry.example/app:2")...)
			mounts, err := os.ReadFile("/proc/self/mountinfo")
			if err != nil || strings.Contains(string(mounts), written.Store()) {
				t.Errorf("the storage is still mounted, %v", err)
			}
			if _, err := os.Stat(written.Store() + "/tempdirs"); err == nil {
				t.Error("the directory for unfinished layers is still there")
			}

			if want, got := storedLayers(t, loaded), storedLayers(t, written); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("layers\n%v, want\n%v", got, want)
			}
			names := strings.Fields(written.Podman("images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}}"))
			if slices.Sort(names); !slices.Equal(names, []string{"localhost/app:1", "registry.example/app:2"}) {
				t.Errorf("names %q", names)
			}
			written.Podman("untag", "registry.example/app:2", "registry.example/app:2")
			if want, got := inspected(loaded, "app:1"), inspected(written, "app:1"); got != want {
				t.Error(firstDifference(want, got))
			}
			if driver == "overlay" {
				if got := written.Run("localhost/app:1", "cat", "/etc/debian_version"); !strings.HasPrefix(got, "12") {
					t.Errorf("the container says %q", got)
				}
			}
			place := placeIn(written, driver, "app:1")
			clients.Run(t, exec.Command("chunkah", "verify", place))
			clients.Run(t, exec.Command("chunkah", "diff", place, "oci-archive:"+archive))
			dir := t.TempDir()
			for name, text := range map[string]string{"Containerfile": "FROM localhost/app:1\nCOPY file /added/\n", "file": "x"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			written.Buildah(dir, "build", "--quiet", "--tag", "localhost/built:1", ".")
			saved := filepath.Join(dir, "saved")
			written.Podman("save", "--quiet", "--format", "oci-archive", "--output", saved, "localhost/app:1")
			clients.Run(t, exec.Command("chunkah", "diff", "oci-archive:"+saved, "oci-archive:"+archive))
			before, after := clients.ReadImage(t, archive), clients.ReadImage(t, saved)
			if fmt.Sprint(after.Config.RootFS.DiffIDs) != fmt.Sprint(before.Config.RootFS.DiffIDs) {
				t.Error("podman saves other layers")
			}
			written.Podman("rmi", "--all", "--force")
			if left := layerDirs(t, written); len(left) > 0 {
				t.Errorf("after podman rmi --all there is %q", left)
			}
		})
	}
}

// Layers that the storage already contains are not written again, with and without --previous auto,
// and the name moves to the new image.
func TestToStorageAgain(t *testing.T) {
	clients.Need(t, "root", "podman")
	e, root := clients.NewEngine(t), copyRoot(t, smallRoot(t))
	args := []string{"--rootfs", root, "--config-str", "{}", "--max", "4"}
	toStorage(t, e, "overlay", "app:1", args...)
	first := layerDirs(t, e)
	toStorage(t, e, "overlay", "app:1", args...)
	if got := layerDirs(t, e); !slices.Equal(got, first) {
		t.Errorf("the same image again: %q, not %q", got, first)
	}
	if err := os.WriteFile(root+"/usr/share/plain", []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	toStorage(t, e, "overlay", "app:1", append(args, "--previous", "auto")...)
	if n := len(layerDirs(t, e)) - len(first); n < 1 || n >= len(first) {
		t.Errorf("there are %d new layers", n)
	}
	list := e.Podman("images", "--all", "--format", "{{.Repository}} {{.Dangling}}")
	if strings.Count(list, "localhost/app") != 1 || strings.Count(list, "<none>") != 1 {
		t.Errorf("there are the images\n%s", list)
	}
	e.Podman("image", "prune", "--force")
	clients.Run(t, exec.Command("chunkah", "diff", "--ignore-mtime", placeIn(e, "overlay", "app:1"), root))
}

// The layers and configs of a source with whiteouts are kept, with the compression of the source,
// and --verify reads the image before it has a name.
func TestToStorageKept(t *testing.T) {
	clients.Need(t, "root", "podman")
	img := imageOf(t, tenLayers())
	source := "oci:" + img.Layout(t)
	e := clients.NewEngine(t)
	want := filepath.Join(t.TempDir(), "out")
	args := []string{"--from", source, "--keep-base", "4", "--config-str", "{}"}
	clients.Run(t, exec.Command("chunkah", append([]string{"build", "--skip-special-files", "-o", want}, args...)...))
	toStorage(t, e, "overlay", "kept:1", append(args, "--verify")...)
	clients.Run(t, exec.Command("chunkah", "verify", placeIn(e, "overlay", "kept:1")))
	clients.Run(t, exec.Command("chunkah", "diff", placeIn(e, "overlay", "kept:1"), "oci-archive:"+want))
	id := clients.ReadImage(t, want).Manifest.Config.Digest.Encoded()
	if got := strings.TrimSpace(e.Podman("images", "--no-trunc", "--format", "{{.ID}}", "kept:1")); got != "sha256:"+id {
		t.Errorf("the image has the ID %q, want %q", got, id)
	}
}

// podman 5 treats an image written by chunkah like one that podman has loaded itself. The storage
// is clean, even after chunkah and podman have written to it in turn and chunkah was killed.
func TestToStorageOfPodman5(t *testing.T) {
	t.Parallel()
	root := debianRoot(t)
	loaded, written := clients.NewTrixie(t, false), clients.NewTrixie(t, false)
	args := []string{"build", "--skip-special-files", "--rootfs", root, "--config-str", fromConfig, "--max", "12"}
	archive := filepath.Join(t.TempDir(), "out")
	clients.Run(t, exec.Command("chunkah", append(args, "-t", "localhost/app:1", "-o", archive)...))
	loaded.Load(archive)
	clients.Run(t, exec.Command("chunkah", append(args, "-o", written.Place("app:1"))...))
	if want, got := inspected(loaded, "app:1"), inspected(written, "app:1"); got != want {
		t.Error(firstDifference(want, got))
	}
	if got, err := os.ReadFile(written.Mount("localhost/app:1") + "/etc/debian_version"); err != nil || !strings.HasPrefix(string(got), "12") {
		t.Errorf("the mounted image says %q, %v", got, err)
	}
	if got := written.Run("localhost/app:1", "cat", "/etc/debian_version"); !strings.HasPrefix(got, "12") {
		t.Errorf("the container says %q", got)
	}
	small := smallRoot(t)
	written.Load(build(t, small, "--config-str", "{}", "-t", "localhost/small:1"))
	killed := exec.Command("chunkah", "build", "--skip-special-files", "--rootfs", root, "--config-str", "{}", "--max", "20", "-o", written.Place("killed:1"))
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	layers := func() int {
		var list []storedLayer
		_, dir, _ := strings.Cut(written.Place(""), "@")
		dir, _, _ = strings.Cut(dir, "+")
		data, err := os.ReadFile(dir + "/overlay-layers/layers.json")
		if err != nil || json.Unmarshal(data, &list) != nil {
			return 0 // it is being replaced
		}
		return len(list)
	}
	for before := layers(); layers() < before+3 && !exited(killed); {
		time.Sleep(time.Millisecond)
	}
	_ = killed.Process.Kill()
	_ = killed.Wait() // it was killed
	clients.Run(t, exec.Command("chunkah", "build", "--rootfs", small, "--config-str", `{"config":{"User":"x"}}`, "-o", written.Place("other:1")))
	written.Podman("system", "check", "--max", "0s")
	names := strings.Fields(written.Podman("images", "--format", "{{.Repository}}"))
	if slices.Sort(names); !slices.Equal(names, []string{"localhost/app", "localhost/other", "localhost/small"}) {
		t.Errorf("there is %q", names)
	}
	clients.Run(t, exec.Command("chunkah", "diff", written.Place("app:1"), "oci-archive:"+archive))
}
