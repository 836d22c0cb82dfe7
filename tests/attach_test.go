package tests

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// TestAttach uses Debian's registry, which does not support the referrers API. A build and a later
// command attach documents through the fallback tag, and the blobs contain the documents.
func TestAttach(t *testing.T) {
	host := clients.NewRegistry(t, clients.RegistryOptions{})
	root := mkroot.Make(t, "file /var/lib/dpkg/status text=\"Package: a\\nStatus: install ok installed\\nArchitecture: all\\nVersion: 1\\n\\n\"\n"+
		"file /var/lib/dpkg/info/a.list text=\"/usr/a\\n\"\nfile /usr/a text=x\n")
	dir := t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("chunkah", args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	image := "docker://" + host + "/app:1"
	out := run("build", "-v", "--rootfs", root, "--config-str", "{}", "-o", image, "--sbom", "attach")
	_, subject, found := strings.Cut(out, " to sha256:")
	if !found {
		t.Fatal(out)
	}
	subject = subject[:64]
	run("sbom", image, "--format", "cyclonedx", "--attach", image, "-o", "bom.json")
	run("sbom", image, "--format", "cyclonedx", "--attach", image) // attaching the same document again changes nothing

	if out := run("build", "--from", image, "-o", "oci:again"); !strings.Contains(out, "not copied, because these documents refer to the source image's digest: application/spdx+json, application/vnd.cyclonedx+json\n") {
		t.Errorf("the source has attachments:\n%s", out)
	}

	get := func(path string, to any) []byte {
		t.Helper()
		req, err := http.NewRequest(http.MethodGet, "http://"+host+"/v2/app/"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", v1.MediaTypeImageIndex+", "+v1.MediaTypeImageManifest)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		if err == nil && to != nil {
			err = json.Unmarshal(raw, to)
		}
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	var index v1.Index
	get("manifests/sha256-"+subject, &index)
	if len(index.Manifests) != 2 || index.Manifests[0].ArtifactType != "application/spdx+json" || index.Manifests[1].ArtifactType != "application/vnd.cyclonedx+json" {
		t.Fatalf("got %+v", index.Manifests)
	}
	bom, err := os.ReadFile(filepath.Join(dir, "bom.json"))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"SPDX-2.3", string(bom)} {
		var m v1.Manifest
		get("manifests/"+index.Manifests[i].Digest.String(), &m)
		if got := get("blobs/"+m.Layers[0].Digest.String(), nil); m.Subject == nil || m.Subject.Digest.Encoded() != subject || !strings.Contains(string(got), want) {
			t.Errorf("document %d: %+v\n%s", i, m, got)
		}
	}

	// Each image in an index gets a document.
	run("build", "--rootfs", root, "--arch", "arm64", "--config-str", "{}", "-o", "docker://"+host+"/app:arm")
	both := "docker://" + host + "/app:both"
	run("index", "-o", both, image, "docker://"+host+"/app:arm")
	run("sbom", "--platform", "all", both, "--attach", both)
	run("build", "--from", both, "--platform", "all", "--annotation", "a=b", "-o", "docker://"+host+"/app:again", "-o", "oci:layout:again", "--sbom", "attach")
	run("build", "--from", both, "--platform", "all", "--annotation", "a=b", "-o", "docker://"+host+"/app:again", "--sbom", "bill-{platform}.json")
	for _, tag := range []string{"both", "again"} {
		var images v1.Index
		get("manifests/"+tag, &images)
		for _, d := range images.Manifests {
			var attached v1.Index
			if get("manifests/sha256-"+d.Digest.Encoded(), &attached); len(attached.Manifests) == 0 || attached.Manifests[0].ArtifactType != "application/spdx+json" {
				t.Errorf("%s: %s has %+v", tag, d.Platform.Architecture, attached.Manifests)
			}
			bill, err := os.ReadFile(filepath.Join(dir, "bill-linux-"+d.Platform.Architecture+".json"))
			if err != nil || strings.Contains(string(bill), d.Digest.Encoded()) != (tag == "again") {
				t.Errorf("%s: the bill of %s is %s, %v", tag, d.Platform.Architecture, bill, err)
			}
		}
	}
	cmd := exec.Command("chunkah", "build", "--from", both, "--platform", "all", "-o", "oci:layout", "--sbom", "bill.json")
	if said := fails(t, 2, cmd); !strings.Contains(said, "include {platform} in the file name of --sbom, or use --sbom attach") {
		t.Errorf("it says %s", said)
	}
}
