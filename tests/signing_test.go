package tests

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/plan"
	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// signingPage prepares cosign and oras. Building cosign 3 takes six minutes, so the tests use
// cosign from Debian 13 if no other cosign is installed. That version does not support one of the
// options on the page.
func signingPage(p *document) {
	clients.Need(p.t, "jq")
	inspectPage(p)
	tools := filepath.Join(p.dir, "tools")
	cosign := clients.TrixieTool(p.t, "cosign")
	script := fmt.Sprintf("#!/bin/bash\nexec %s \"$@\"\n", cosign)
	if !strings.Contains(clients.Run(p.t, exec.Command(cosign, "sign", "--help")), "--use-signing-config") {
		script = fmt.Sprintf("#!/bin/bash\nexec %s \"${@/#--use-signing-config=false/--yes}\"\n", cosign)
	}
	for name, text := range map[string]string{"cosign": script, "oras": fmt.Sprintf("#!/bin/sh\nexec %s \"$@\"\n", clients.TrixieTool(p.t, "oras"))} {
		put(p.t, tools, name, text)
		if err := os.Chmod(filepath.Join(tools, name), 0o755); err != nil {
			p.t.Fatal(err)
		}
	}
	p.setenv("PATH", tools+":"+os.Getenv("PATH"))
	p.setenv("COSIGN_PASSWORD", "x")
	p.setenv("HOME", p.dir)
	p.after = func(b block) {
		if !strings.Contains(b.text, "oras pull") {
			return
		}
		p.run(block{kind: "sh", line: b.line, text: `
			chunkah sbom docker://registry.example/app:1 -o want.json
			cmp want.json sbom.spdx.json
			chunkah build -q --from oci:app:1 --label other=1 -o docker://registry.example/app:2 --print-digest >other`})
		if out, err := p.shell(`cosign verify --key cosign.pub --insecure-ignore-tlog --allow-http-registry "registry.example/app@$(cat other)"`); err == nil {
			p.t.Errorf("an image without a signature is verified: %s", out)
		}
	}
}

// referrer is an entry of a list that oras prints.
type referrer struct {
	ArtifactType string        `json:"artifactType"`
	Digest       digest.Digest `json:"digest"`
}

// Other tools find all documents of an image, through the fallback tag and through the registry's
// API: the documents from a build, a document from another program, and a document that chunkah
// attaches later.
func TestOtherToolsSeeAttachments(t *testing.T) {
	t.Parallel()
	clients.Need(t, "docker-registry", "zstd", "crane")
	oras := clients.TrixieTool(t, "oras")
	api := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true)))
	defer api.Close()
	withAPI := strings.TrimPrefix(api.URL, "http://")
	root := mkroot.Make(t, oddPackages)
	for _, host := range []string{clients.NewRegistry(t, clients.RegistryOptions{}), withAPI} {
		dir, name := t.TempDir(), host+"/app"
		run := func(args ...string) string {
			t.Helper()
			cmd := exec.Command(args[0], args[1:]...)
			cmd.Dir = dir
			return clients.Run(t, cmd)
		}
		discover := func(way string) (list []referrer) {
			t.Helper()
			var out struct{ Referrers, Manifests []referrer } // oras before 1.3 prints manifests
			if err := json.Unmarshal([]byte(run(oras, "discover", "--plain-http", "--format", "json", "--distribution-spec", way, name+":1")), &out); err != nil {
				t.Fatal(err)
			}
			list = append(out.Referrers, out.Manifests...)
			slices.SortFunc(list, func(a, b referrer) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
			return list
		}
		image := "docker://" + name + ":1"
		put(t, dir, "note.txt", "a note")
		run("chunkah", "build", "-q", "--rootfs", root, "--config-str", "{}", "-o", image, "--max", "4", "--previous", "auto", "--max-stale", "10%", "--sbom", "attach")
		run(oras, "attach", "--plain-http", "--artifact-type", "application/x-note", name+":1", "note.txt:text/plain")
		run("chunkah", "sbom", "-q", image, "--format", "cyclonedx", "--attach", image)

		list := discover("v1.1-referrers-tag")
		at := make(map[string]digest.Digest)
		for _, r := range list {
			at[r.ArtifactType] = r.Digest
		}
		want := []string{plan.FilesType, "application/spdx+json", "application/vnd.cyclonedx+json", "application/x-note"}
		slices.Sort(want)
		if got := slices.Sorted(maps.Keys(at)); !slices.Equal(got, want) || len(list) != len(want) {
			t.Fatalf("%s: oras sees %q", host, list)
		}
		if host == withAPI { // the API of this registry lists the config's type as the artifact type
			got := discover("v1.1-referrers-api")
			if !slices.EqualFunc(got, list, func(a, b referrer) bool { return a.Digest == b.Digest }) {
				t.Errorf("by the API oras sees %q, and by the tag %q", got, list)
			}
		}
		for kind, form := range map[string][]string{"application/spdx+json": {"spdx", "sbom.spdx.json"}, "application/vnd.cyclonedx+json": {"cyclonedx", "sbom.cdx.json"}} {
			run(oras, "pull", "--plain-http", name+"@"+at[kind].String())
			run("chunkah", "sbom", "-q", image, "--format", form[0], "-o", "want")
			run("cmp", "want", form[1])
		}
		crane := func(args ...string) string { return run(append([]string{"crane", "--insecure"}, args...)...) }
		crane("validate", "--remote", name+":1")
		fallback := strings.Replace(strings.TrimSpace(crane("digest", name+":1")), ":", "-", 1)
		var index v1.Index
		if err := json.Unmarshal([]byte(crane("manifest", name+":"+fallback)), &index); err != nil || len(index.Manifests) != len(list) || !strings.Contains(crane("ls", name), fallback) {
			t.Errorf("%s: crane sees %+v, %v", host, index, err)
		}
		run(oras, "pull", "--plain-http", name+"@"+at[plan.FilesType].String())
		run("zstd", "-q", "--test", "files.msgpack.zst")

		// A build from this image reports the documents that it does not copy.
		res := start(t, exec.Command("chunkah", "build", "--from", image, "-o", "oci:"+dir+"/again"))
		if !strings.Contains(res.stderr, "not copied, ") || host != withAPI && !strings.Contains(res.stderr, "application/x-note") {
			t.Errorf("%s: %s", host, res.stderr)
		}
	}
}
