package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pkg/xattr"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// places returns the names of an image, one for each transport.
func places(dir, host, name string) map[string]string {
	return map[string]string{
		"oci":            "oci:" + dir + "/" + name + ":app",
		"oci-archive":    "oci-archive:" + dir + "/" + name + ".oci",
		"docker-archive": "docker-archive:" + dir + "/" + name + ".tar:localhost/app:1",
		"registry":       "docker://" + host + "/" + name + ":1",
	}
}

// manifestLine matches build's line about the finished image.
var manifestLine = regexp.MustCompile(`(?m)^chunkah: wrote .*, digest (sha256:[0-9a-f]{64})$`)

// rechunk builds an image from an image or a directory, writes it to dest, and returns the digest
// of the manifest.
func rechunk(t *testing.T, source, dest string, args ...string) string {
	t.Helper()
	args = append([]string{"build", "-v", "--keep-special-files", "--from", source, "-o", dest}, args...)
	res := start(t, exec.Command("chunkah", args...))
	m := manifestLine.FindStringSubmatch(res.stderr)
	if res.code != 0 || m == nil {
		t.Fatalf("chunkah %s: status %d\n%s", strings.Join(args, " "), res.code, res.stderr)
	}
	return m[1]
}

// everyWay copies an image from each transport to each transport. It checks, in part with skopeo,
// that the image stays the same.
func everyWay(t *testing.T, source, compress string) {
	t.Helper()
	dir, host := t.TempDir(), clients.NewRegistry(t, clients.RegistryOptions{})
	first, second := places(dir, host, "first"), places(dir, host, "second")
	e := clients.NewEngine(t)
	first["storage"], second["storage"] = placeIn(e, "overlay", "localhost/first:1"), placeIn(e, "overlay", "localhost/second:1")
	want := ""
	for name, place := range first {
		got := rechunk(t, source, place, "--compress", compress)
		if want == "" {
			want = got
		}
		if got != want {
			t.Errorf("to %s: manifest %s, not %s", name, got, want)
		}
	}
	config := skopeoInspect(t, first["oci"], "--raw", "--config")
	for from, source := range first {
		for to, dest := range second {
			t.Run(from+" to "+to, func(t *testing.T) {
				if got := rechunk(t, source, dest, "--compress", compress); got != want {
					t.Errorf("manifest %s, not %s", got, want)
				}
				if got := skopeoInspect(t, dest, "--raw", "--config"); got != config {
					t.Errorf("skopeo finds another config: %s", firstDifference(config, got))
				}
			})
		}
	}
}

func skopeoInspect(t *testing.T, place string, args ...string) string {
	t.Helper()
	args = append([]string{"inspect", "--tls-verify=false"}, args...)
	return clients.Run(t, exec.Command("skopeo", append(args, place)...))
}

// An image that is copied from any transport to any other transport stays the same.
func TestEverySourceToEveryDestination(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root", "skopeo", "docker-registry", "podman")
	// An image does not contain the xattrs with components.
	unmarked := regexp.MustCompile(` xattr:user.component=\w+`).ReplaceAllString(owned, "")
	t.Run("a directory", func(t *testing.T) { everyWay(t, mkroot.Make(t, unmarked), "gzip") })
	t.Run("Debian", func(t *testing.T) { everyWay(t, debianRoot(t), "none") })
	t.Run("ten layers with whiteouts of all kinds", func(t *testing.T) { everyWay(t, "oci:"+imageOf(t, tenLayers()).Layout(t), "gzip") })
}

// If one package has changed, only the layer of that package is compressed and sent.
func TestPushSendsWhatChanged(t *testing.T) {
	clients.Need(t, "docker-registry")
	root := smallRoot(t)
	host, sent := counted(t, clients.NewRegistry(t, clients.RegistryOptions{}))
	dest := "docker://" + host + "/team/app:1"
	rechunk(t, root, dest, "--compress", "gzip")

	page := filepath.Join(root, "usr/lib/web/page")
	if err := os.WriteFile(page, []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := xattr.LSet(page, "user.component", []byte("web")); err != nil {
		t.Fatal(err)
	}
	sent.Store(0)
	for _, args := range [][]string{{"--previous", dest}, {"--previous", "auto"}} {
		res := start(t, exec.Command("chunkah", append([]string{"build", "--rootfs", root, "-o", dest}, args...)...))
		if res.code != 0 {
			t.Fatalf("status %d: %s", res.code, res.stderr)
		}
		layers := strings.Count(clients.Run(t, exec.Command("skopeo", "inspect", "--raw", "--tls-verify=false", dest)), `"org.chunkah.component"`)
		reused := layers - 1
		if args[1] == "auto" { // uses the image of the previous push
			reused = layers
		}
		if want := fmt.Sprintf("reused %d of %d layers", reused, layers); !strings.Contains(res.stderr, want) {
			t.Errorf("%v: no %q in\n%s", args, want, res.stderr)
		}
	}
	// The changed layer has a few hundred bytes, and the largest of the other layers has 70,000
	// bytes.
	if got := sent.Load(); got > 40_000 {
		t.Errorf("%d bytes reached the registry", got)
	}
}

// Pushes to a missing registry or an invalid name leave nothing behind, and the message contains
// advice.
func TestPushRefused(t *testing.T) {
	root := smallRoot(t)
	for dest, want := range map[string]string{
		"docker://registry.example":            "contains a registry but no image name",
		"docker://127.0.0.1:1/app:1":           "127.0.0.1:1",
		"docker://localhost:1/app@sha256:0123": "digest",
		"docker://localhost:1/UPPER:1":         "UPPER",
	} {
		code := 1
		if !strings.Contains(dest, ":1/app:1") {
			code = 2
		} else if testing.Short() {
			continue // this push is retried for ten seconds
		}
		if said := fails(t, code, exec.Command("chunkah", "build", "--rootfs", root, "-o", dest)); !strings.Contains(said, want) {
			t.Errorf("%s: no %q in %s", dest, want, said)
		}
	}
}

// All tags of an image are written to a registry.
func TestPushTags(t *testing.T) {
	host := clients.NewRegistry(t, clients.RegistryOptions{})
	root := mkroot.Make(t, "file /f text=x\n")
	digest := rechunk(t, "dir:"+root, "docker://"+host+"/app:1", "-t", host+"/app:2", "-t", host+"/app:latest", "-t", host+"/app:1")
	for _, tag := range []string{"1", "2", "latest"} {
		out := clients.Run(t, exec.Command("chunkah", "inspect", "docker://"+host+"/app:"+tag))
		if !strings.Contains(out, digest) {
			t.Errorf("%s: got %s, want %s", tag, out, digest)
		}
	}
}
