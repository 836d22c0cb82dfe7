package tests

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/tests/clients"
)

// attested makes a layout with the images of an index and an attestation for each image, as buildx
// does.
func attested(t *testing.T, j *joined) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "attested")
	clients.Run(t, exec.Command("skopeo", "--insecure-policy", "copy", "--quiet", "--all", "oci-archive:"+j.archive, "oci:"+dir+":x"))
	blob := func(mediaType string, data []byte) v1.Descriptor {
		d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
		if err := os.WriteFile(filepath.Join(dir, "blobs/sha256", d.Digest.Encoded()), data, 0o644); err != nil {
			t.Fatal(err)
		}
		return d
	}
	raw := clients.Run(t, exec.Command("skopeo", "inspect", "--raw", "oci:"+dir+":x"))
	var index v1.Index
	if err := json.Unmarshal([]byte(raw), &index); err != nil {
		t.Fatal(err)
	}
	for _, m := range index.Manifests[:len(j.archs)] {
		config := blob(v1.MediaTypeImageConfig, []byte(`{"architecture":"unknown","os":"unknown","config":{},"rootfs":{"type":"layers","diff_ids":[]}}`))
		statement := blob("application/vnd.in-toto+json", []byte(`{"of":"`+m.Digest.String()+`"}`))
		manifest, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": v1.MediaTypeImageManifest, "config": config, "layers": []v1.Descriptor{statement}})
		if err != nil {
			t.Fatal(err)
		}
		d := blob(v1.MediaTypeImageManifest, manifest)
		d.Platform = &v1.Platform{Architecture: "unknown", OS: "unknown"}
		d.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": m.Digest.String()}
		index.Manifests = append(index.Manifests, d)
	}
	data, err := json.Marshal(index)
	if err != nil {
		t.Fatal(err)
	}
	top := blob(v1.MediaTypeImageIndex, data)
	top.Annotations = map[string]string{v1.AnnotationRefName: "x"}
	list, err := json.Marshal(v1.Index{Manifests: []v1.Descriptor{top}})
	if err != nil {
		t.Fatal(err)
	}
	list = []byte(strings.Replace(string(list), "{", `{"schemaVersion":2,`, 1))
	list = []byte(strings.Replace(string(list), `"schemaVersion":0,`, "", 1))
	if err := os.WriteFile(filepath.Join(dir, "index.json"), list, 0o644); err != nil {
		t.Fatal(err)
	}
	return "oci:" + dir + ":x"
}

// Every image in an index is split into layers, and the result is one index, in every kind of
// destination.
func TestPlatformAll(t *testing.T) {
	t.Parallel()
	clients.Need(t, "skopeo", "docker-registry")
	j := joinedImages(t)
	source, dir, host := attested(t, j), t.TempDir(), clients.NewRegistry(t, clients.RegistryOptions{})
	clients.Run(t, exec.Command("skopeo", "--insecure-policy", "copy", "--quiet", "--all", "--dest-tls-verify=false", "oci-archive:"+j.archive, "docker://"+host+"/source:1"))
	first := ""
	for _, from := range []string{source, "docker://" + host + "/source:1", "oci-archive:" + j.archive} {
		for name, place := range map[string]string{
			"layout": "oci:" + dir + "/layout:app", "archive": "oci-archive:" + dir + "/out.oci", "registry": "docker://" + host + "/app:1",
		} {
			for _, previous := range []string{"", "auto"} {
				args := []string{"build", "--compress", "gzip", "--from", from, "--platform", "all", "--print-digest", "-o", place}
				if previous != "" {
					args = append(args, "--previous", previous)
				}
				res := start(t, exec.Command("chunkah", args...))
				if res.code != 0 {
					t.Fatalf("%s to %s: status %d: %s", from, name, res.code, res.stderr)
				}
				if first == "" {
					first = res.stdout
				}
				if res.stdout != first {
					t.Errorf("%s to %s: digest %s, want %s", from, name, res.stdout, first)
				}
				if n := strings.Count(res.stderr, ": reused "); previous != "" && n != len(j.archs) {
					t.Errorf("%s to %s: %d images reuse layers: %s", from, name, n, res.stderr)
				}
				if want := "skipping 2 manifests"; (from == source) != strings.Contains(res.stderr, want) {
					t.Errorf("%s: %q: %s", from, want, res.stderr)
				}
			}
			clients.Run(t, exec.Command("chunkah", "verify", place))
			raw := skopeoInspect(t, place, "--raw")
			if got := digest.FromString(raw).String(); name != "archive" && got != strings.TrimSpace(first) {
				t.Errorf("skopeo reads the index %s at %s, want %s", got, name, first)
			}
			for _, arch := range j.archs {
				if !strings.Contains(raw, fmt.Sprintf(`"architecture":%q`, arch)) {
					t.Errorf("%s has no image for %s: %s", name, arch, raw)
				}
				// The image equals the image that a build for this platform alone produces.
				clients.Run(t, exec.Command("chunkah", "diff", "--platform", "linux/"+arch, from, place))
			}
		}
	}
}

// Clients use the image for their own platform.
func TestPlatformAllInPodman(t *testing.T) {
	clients.Need(t, "docker-registry")
	j := joinedImages(t)
	host := clients.NewRegistry(t, clients.RegistryOptions{})
	clients.Run(t, exec.Command("chunkah", "build", "--from", "oci-archive:"+j.archive, "--platform", "all", "-o", "docker://"+host+"/app:1"))
	e := clients.NewEngine(t)
	for _, arch := range j.archs {
		e.Podman("pull", "--quiet", "--tls-verify=false", "--arch", arch, host+"/app:1")
		if got := strings.TrimSpace(e.Podman("inspect", "--format", "{{.Architecture}}", host+"/app:1")); got != arch {
			t.Errorf("podman has the image for %s, want %s", got, arch)
		}
	}
}

// Options and sources that apply to only one image are refused.
func TestPlatformAllRefused(t *testing.T) {
	root := smallRoot(t)
	out := filepath.Join(t.TempDir(), "out")
	archive := build(t, root)
	for args, want := range map[string]string{
		"--rootfs " + root: "needs one --from",
		"--from oci-archive:" + archive + " --from oci-archive:" + archive: "needs one --from",
		"--from " + root: "is not an image",
		"--from oci-archive:" + archive + " --verify":              "--verify works with one image only",
		"--from oci-archive:" + archive + " --plan x":              "--plan works with one image only",
		"--from oci-archive:" + archive + " -n":                    "--dry-run works with one image only",
		"--from oci-archive:" + archive + " --arch arm64":          "--arch works with one image only",
		"--from oci-archive:" + archive + " --max-stale 5%":        "--max-stale works with one image only",
		"--from oci-archive:-":                                     "save it to a file",
		"--from oci-archive:" + archive + " -o docker-archive:out": "can contain only an image for one platform",
	} {
		words := append([]string{"build", "--platform", "all"}, strings.Fields(args)...)
		if !strings.Contains(args, "-o ") {
			words = append(words, "-o", out)
		}
		res := start(t, exec.Command("chunkah", words...))
		if res.code != 2 || !strings.Contains(res.stderr, want) {
			t.Errorf("%s: status %d, want %q: %s", args, res.code, want, res.stderr)
		}
	}
	res := start(t, exec.Command("chunkah-scan", "--platform", "all", "oci-archive:"+archive))
	if res.code != 2 || !strings.Contains(res.stderr, "works only with chunkah build") {
		t.Errorf("scan: status %d: %s", res.code, res.stderr)
	}
	// A single image results in an index of one image.
	clients.Run(t, exec.Command("chunkah", "build", "--platform", "all", "--from", "oci-archive:"+archive, "-o", out))
	if data := clients.Run(t, exec.Command("tar", "-xOf", out, "index.json")); !strings.Contains(data, v1.MediaTypeImageIndex) {
		t.Errorf("it is not an index: %s", data)
	}
}

// If the build of one image fails, no index is written to any destination.
func TestPlatformAllOrNone(t *testing.T) {
	clients.Need(t, "docker-registry", "skopeo")
	dir, host := t.TempDir(), clients.NewRegistry(t, clients.RegistryOptions{})
	src := filepath.Join(dir, "source")
	for arch, root := range map[string]string{"amd64": smallRoot(t), "arm64": runnable(t)} {
		clients.Run(t, exec.Command("chunkah", "build", "--rootfs", root, "--arch", arch, "--compress", "gzip", "--config-str", "{}", "-o", "oci:"+src+":"+arch))
	}
	clients.Run(t, exec.Command("chunkah", "index", "-o", "oci:"+src+":all", "oci:"+src+":amd64", "oci:"+src+":arm64"))
	var m v1.Manifest
	if err := json.Unmarshal([]byte(skopeoInspect(t, "oci:"+src+":arm64", "--raw")), &m); err != nil {
		t.Fatal(err)
	}
	d := m.Layers[len(m.Layers)-1]
	if err := os.WriteFile(filepath.Join(src, "blobs/sha256", d.Digest.Encoded()), make([]byte, d.Size), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, place := range map[string]string{
		"layout": "oci:" + dir + "/layout:app", "archive": "oci-archive:" + dir + "/out.oci", "registry": "docker://" + host + "/app:1",
	} {
		res := start(t, exec.Command("chunkah", "build", "--from", "oci:"+src+":all", "--platform", "all", "-o", place))
		if res.code != 1 || !strings.Contains(res.stderr, "linux/arm64") || !strings.Contains(res.stderr, d.Digest.String()) {
			t.Errorf("%s: status %d: %s", name, res.code, res.stderr)
		}
		if res := start(t, exec.Command("chunkah", "inspect", place)); res.code == 0 {
			t.Errorf("%s has an image: %s", name, res.stdout)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left in the directory: %v, %v", left, err)
	}
}
