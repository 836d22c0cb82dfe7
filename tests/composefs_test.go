package tests

import (
	"os/exec"
	"strings"
	"testing"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// An image has the same composefs digest whether the digest is computed from podman's mount, from
// the layers with any compression or from the output directory of chunkah extract. So an image can
// be sealed after it is built.
func TestOneComposefsDigest(t *testing.T) {
	clients.Need(t, "root", "skopeo")
	if _, err := exec.LookPath("cfsctl"); err != nil {
		t.Skip("needs cfsctl, which takes ten minutes to build: cargo install composefs-ctl --version 0.9.4")
	}
	root := mkroot.Make(t, strings.ReplaceAll(awkward, "user.component", "user.c")+"dir /usr mode=0755\ndir /usr/lib/modules mode=0700 mtime=7\n")
	compressed := func(algorithm string) string {
		return build(t, root, "--keep-special-files", "--max", "8", "-t", "localhost/app:1", "--compress", algorithm)
	}
	archive := compressed("none")
	dir := t.TempDir()
	cfsctl := func(args ...string) string {
		t.Helper()
		out := clients.Run(t, exec.Command("cfsctl", append([]string{"--repo", dir + "/repo"}, args...)...))
		lines := strings.Split(strings.TrimSpace(out), "\n")
		return lines[len(lines)-1]
	}
	cfsctl("init", "--insecure")
	ofLayers := func(archive, name string) string {
		t.Helper()
		layout := "oci:" + dir + "/" + name + ":app"
		clients.Run(t, exec.Command("skopeo", "--insecure-policy", "copy", "--quiet", "--preserve-digests", "--dest-oci-accept-uncompressed-layers", "oci-archive:"+archive, layout))
		cfsctl("oci", "pull", layout, name)
		return cfsctl("oci", "compute-id", name)
	}
	want := ofLayers(archive, "none")
	for _, algorithm := range []string{"gzip", "zstd", "zstd:chunked"} {
		if got := ofLayers(compressed(algorithm), strings.ReplaceAll(algorithm, ":", "-")); got != want {
			t.Errorf("%s: the digest is %q, and from uncompressed layers %q", algorithm, got, want)
		}
	}
	e := clients.NewEngine(t)
	for name, tree := range map[string]string{"podman's mount": e.Mount(e.Load(archive)), "chunkah extract": extracted(t, "oci-archive:"+archive)} {
		if got := cfsctl("compute-id", tree); got != want || len(want) < 64 {
			t.Errorf("%s: the digest is %q, and from the layers %q", name, got, want)
		}
	}
	// The digest depends on the contents.
	if got := cfsctl("compute-id", mkroot.Make(t, "file /usr/bin/true text=x\n")); got == want {
		t.Error("another tree has the same digest")
	}
}
