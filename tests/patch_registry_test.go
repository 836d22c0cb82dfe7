package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// fatRoot makes a root with components of different sizes. In each version, one small file differs.
func fatRoot(t *testing.T, version string) string {
	t.Helper()
	spec := "file /etc/version text=" + version + " xattr:user.component=c1\n"
	for _, c := range []string{"c1", "c2", "c3", "c4"} {
		for _, n := range []string{"a", "b", "c"} {
			spec += "file /usr/" + c + "/" + n + " size=200000 xattr:user.component=" + c + "\n"
		}
	}
	return mkroot.Make(t, spec)
}

// An update of an image in a registry neither downloads nor uploads kept layers, because the list
// of files in the previous image is read from a document attached to that image. Damaged documents
// and plans are ignored.
func TestPatchLayersInARegistry(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root", "setfattr", "docker-registry")
	inner := clients.NewRegistry(t, clients.RegistryOptions{})
	counter := clients.NewCounter(t, inner)
	host, sent := counted(t, counter.Host)
	image := "docker://" + host + "/os:latest"
	plan := filepath.Join(t.TempDir(), "plan")
	push := func(version string, args ...string) (stderr string, layers []string) {
		t.Helper()
		root := fatRoot(t, version)
		counter.Take()
		sent.Store(0)
		res := start(t, exec.Command("chunkah", append([]string{"build", "-v", "--rootfs", root, "--config-str", "{}", "-o", image, "--previous", "auto", "--max-stale", "10%"}, args...)...))
		if res.code != 0 {
			t.Fatal(res.stderr)
		}
		blobs := counter.TakeBlobs()
		manifest := clients.Run(t, exec.Command("skopeo", "--insecure-policy", "inspect", "--raw", "--tls-verify=false", image))
		file := filepath.Join(t.TempDir(), "manifest")
		if err := os.WriteFile(file, []byte(manifest), 0o644); err != nil {
			t.Fatal(err)
		}
		layers = clients.LayerDigests(t, file)
		for _, l := range layers {
			if n := blobs[strings.TrimPrefix(l, "sha256:")] + blobs[l]; n > 0 {
				t.Errorf("%s: layer %s was downloaded, %d bytes", version, l, n)
			}
		}
		clients.Run(t, exec.Command("chunkah", "diff", "--ignore-mtime", root, image))
		return res.stderr, layers
	}
	first, before := push("1")
	if !strings.Contains(first, "attached the list of files") {
		t.Errorf("nothing was attached:\n%s", first)
	}
	second, after := push("2")
	if !strings.Contains(second, "from the document attached to the image") || strings.Contains(second, "the layers themselves") {
		t.Errorf("the files come from elsewhere:\n%s", second)
	}
	if n := sent.Load(); n > 50_000 {
		t.Errorf("%d bytes reached the registry", n)
	}
	if len(after) != len(before)+1 || strings.Join(after[:len(before)], " ") != strings.Join(before, " ") {
		t.Errorf("the layers are %q, and were %q", after, before)
	}
	push("3", "--plan", plan)
	if got, _ := push("4", "--plan", plan); !strings.Contains(got, "from the plan") || strings.Contains(got, "attached to the image") {
		t.Errorf("the plan is not used:\n%s", got)
	}
	if err := os.WriteFile(plan, []byte("(\xb5/\xfd damaged"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, _ := push("5", "--plan", plan); !strings.Contains(got, "from the document attached to the image") {
		t.Errorf("a damaged plan:\n%s", got)
	}
}

// Two builders that push to one tag start from the same previous image. Both images are complete,
// whichever builder finishes last.
func TestPatchLayersOfTwoBuilders(t *testing.T) {
	clients.Need(t, "root", "setfattr", "docker-registry")
	image := "docker://" + clients.NewRegistry(t, clients.RegistryOptions{}) + "/os:latest"
	layout := "oci:" + filepath.Join(t.TempDir(), "layout") + ":latest"
	for _, place := range []string{image, layout} {
		clients.Run(t, exec.Command("chunkah", "build", "--rootfs", fatRoot(t, "1"), "--config-str", "{}", "-o", place))
		roots := []string{fatRoot(t, "2"), fatRoot(t, "3")}
		digests := make([]string, len(roots))
		var builders sync.WaitGroup
		for i, root := range roots {
			file := filepath.Join(t.TempDir(), "digest")
			builders.Go(func() {
				out, err := exec.Command("chunkah", "build", "--rootfs", root, "--config-str", "{}", "-o", place,
					"--previous", "auto", "--max-stale", "10%", "--digest-file", file).CombinedOutput()
				if err != nil {
					t.Errorf("%v\n%s", err, out)
				}
				data, err := os.ReadFile(file)
				if err != nil {
					t.Error(err)
				}
				digests[i] = strings.TrimSpace(string(data))
			})
		}
		builders.Wait()
		if t.Failed() {
			return
		}
		found := 0
		for i, root := range roots {
			at := strings.TrimSuffix(place, ":latest") + "@" + digests[i]
			if place == layout {
				at = strings.TrimSuffix(place, "latest") + "@" + digests[i]
			}
			if res := start(t, exec.Command("chunkah", "diff", "--ignore-mtime", root, at)); res.code == 0 {
				found++
			} else if place == image {
				t.Errorf("%s\n%s%s", at, res.stdout, res.stderr)
			}
		}
		clients.Run(t, exec.Command("chunkah", "verify", place))
		if found == 0 {
			t.Errorf("%s has neither image", place)
		}
	}
}
