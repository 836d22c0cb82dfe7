package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"chunkah/tests/clients"
)

// One build writes to all outputs. Each output is the same as if it were the only output, and each
// layer is compressed only once.
func TestSeveralOutputs(t *testing.T) {
	clients.Need(t, "root", "podman", "docker-registry", "skopeo")
	dir, root, host, e := t.TempDir(), smallRoot(t), clients.NewRegistry(t, clients.RegistryOptions{}), clients.NewEngine(t)
	storage := placeIn(e, "overlay", "app:1")
	args := []string{"build", "-v", "--rootfs", root, "--config-str", fromConfig, "--max", "6", "--verify"}
	res := start(t, exec.Command("chunkah", append(args, "-o", dir+"/archive", "-o", "oci:"+dir+"/layout:x", "-o", "docker-archive:"+dir+"/docker:app:1",
		"-o", storage, "-o", "docker://"+host+"/app:1", "-t", host+"/app:2")...))
	if res.code != 0 {
		t.Fatalf("status %d: %s", res.code, res.stderr)
	}
	digest := manifestLine.FindStringSubmatch(res.stderr)[1]
	for _, place := range []string{"oci-archive:" + dir + "/archive", "oci:" + dir + "/layout:x", "docker-archive:" + dir + "/docker", storage, "docker://" + host + "/app:1", "docker://" + host + "/app:2"} {
		clients.Run(t, exec.Command("chunkah", "verify", place))
		clients.Run(t, exec.Command("chunkah", "diff", "--ignore-mtime", place, root))
	}
	for _, tag := range []string{"1", "2"} {
		if got := clients.Run(t, exec.Command("chunkah", "inspect", "docker://"+host+"/app:"+tag)); !strings.Contains(got, digest) {
			t.Errorf("tag %s is not %s: %s", tag, digest, got)
		}
	}
	if got := e.Podman("images", "--digests", "--format", "{{.Repository}}:{{.Tag}} {{.Digest}}"); got != "localhost/app:1 "+digest+"\n" {
		t.Errorf("podman has %q, want %s", got, digest)
	}
	for _, place := range []string{storage, strings.Replace(storage, "app:1", "localhost/app@"+digest, 1)} {
		if got := clients.Run(t, exec.Command("chunkah", "inspect", place)); !strings.Contains(got, digest) {
			t.Errorf("inspect %s does not show podman's digest %s: %s", place, digest, got)
		}
	}
	clients.Run(t, exec.Command("chunkah", append(args, "--compress", "gzip", "-o", dir+"/single")...))
	single, several := clients.ReadImage(t, dir+"/single"), clients.ReadImage(t, dir+"/archive")
	if single.ManifestDigest != several.ManifestDigest {
		t.Errorf("manifest %s, want %s", several.ManifestDigest, single.ManifestDigest)
	}
}

// If writing to one output fails, no output contains the image.
func TestSeveralOutputsFail(t *testing.T) {
	clients.Need(t, "root", "podman", "docker-registry")
	root, host, e := copyRoot(t, smallRoot(t)), clients.NewRegistry(t, clients.RegistryOptions{}), clients.NewEngine(t)
	dir := t.TempDir()
	layers := filepath.Join(t.TempDir(), "layers")
	for name, test := range map[string]struct{ change, broken, said string }{
		"an output":  {"true", "docker-daemon:app:1", "Docker daemon"},
		"the source": {`echo y >>"$ROOT/usr/share/big.bin"`, "docker://" + host + "/app:2", "/usr/share/big.bin"},
	} {
		cmd := exec.Command("sh", "-c", `chunkah-scan --skip-special-files "$ROOT" | chunkah-assign | chunkah-pack >"$LAYERS" && `+test.change+` &&
			exec chunkah-write --config-str {} -o "$DIR/a" -o "oci:$DIR/b" -o "$STORAGE" -o "docker://$HOST/app:1" -o "$BROKEN" <"$LAYERS"`)
		cmd.Env = append(os.Environ(), "ROOT="+root, "LAYERS="+layers, "DIR="+dir, "STORAGE="+placeIn(e, "overlay", "app:1"), "HOST="+host,
			"BROKEN="+test.broken, "DOCKER_HOST=unix:///nonexistent")
		res := start(t, cmd)
		if res.code != 1 || !strings.Contains(res.stderr, test.said) {
			t.Errorf("%s: status %d: %s", name, res.code, res.stderr)
		}
		left, err := os.ReadDir(dir)
		if err != nil || len(left) > 0 {
			t.Errorf("%s: there is %v, %v", name, left, err)
		}
		if got := layerDirs(t, e); len(got) > 0 {
			t.Errorf("%s: the storage has the layers %q", name, got)
		}
		fails(t, 1, exec.Command("chunkah", "inspect", "docker://"+host+"/app:1"))
	}
}

// The build refuses options that are not valid with several outputs before it reads anything.
func TestSeveralOutputsRefused(t *testing.T) {
	dir := t.TempDir()
	for link, to := range map[string]string{"link": "a", "here": ".", "loop": "loop"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for args, want := range map[string]string{
		"-o oci:" + dir + "/l:a -o oci:" + dir + "/l:b":          `are the same output: use --tag to add names to the image`,
		"-o " + dir + "/a -o oci-archive:" + dir + "/a":          "are the same output",
		"-o " + dir + "/a -o docker-archive:" + dir + "/link":    "are the same output",
		"-o " + dir + "/here/a -o docker-archive:" + dir + "/a":  "are the same output",
		"-o " + dir + "/loop -o docker-archive:" + dir + "/loop": "are the same output",
		"-o - -o -":           "are the same output",
		"-o - -o /dev/stdout": "are the same output",
		"-o containers-storage:a -o containers-storage:a":                   "are the same output",
		"-o docker://localhost:1/a:1 -o " + dir + "/a -t Upper":             "upper-case",
		"-o docker-archive:" + dir + "/a -o " + dir + "/b --compress zstd":  "--compress zstd",
		"-o " + dir + "/a -o docker://localhost:1/a --manifest-type docker": "--manifest-type docker is for",
		"-o " + dir + "/a -o - --verify":                                    "--verify reads the image again",
		"-o " + dir + "/a -o - --print-digest":                              "--print-digest cannot be used, because the image is written to standard output",
		"-o " + dir + "/a -o oci:" + dir + "/b --sbom attach":               "--sbom attach needs -o docker://REF",
	} {
		cmd := exec.Command("chunkah", append([]string{"build", "--rootfs", "/nonexistent", "--config-str", "{}"}, strings.Fields(args)...)...)
		if said := fails(t, 2, cmd); !regexp.MustCompile(regexp.QuoteMeta(want)).MatchString(said) {
			t.Errorf("%s: no %q in %s", args, want, said)
		}
	}
}
