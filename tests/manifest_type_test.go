package tests

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"chunkah/tests/clients"
)

// onlyDocker is a proxy for a registry that accepts only manifests in Docker's formats.
func onlyDocker(t *testing.T, host string, status int) string {
	t.Helper()
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: host})
		r.Out.Host = r.In.Host
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && strings.Contains(r.Header.Get("Content-Type"), "vnd.oci") {
			w.WriteHeader(status)
			fmt.Fprint(w, `{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid"}]}`)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// If a registry refuses OCI manifests, a Docker manifest is pushed, and a one-line message reports
// this.
func TestDockerManifestByItself(t *testing.T) {
	t.Parallel()
	clients.Need(t, "skopeo", "docker-registry")
	root, real := smallRoot(t), clients.NewRegistry(t, clients.RegistryOptions{})
	push := func(place string, args ...string) result {
		t.Helper()
		args = append([]string{"build", "--rootfs", root, "--config-str", "{}", "--annotation", "a=b", "--print-digest", "-o", place}, args...)
		return start(t, exec.Command("chunkah", args...))
	}
	want := push("docker://"+real+"/app:want", "--manifest-type", "docker")
	for _, status := range []int{http.StatusBadRequest, http.StatusUnsupportedMediaType} {
		host := onlyDocker(t, real, status)
		image := "docker://" + host + fmt.Sprintf("/app%d:1", status)
		for _, args := range [][]string{nil, {"--previous", "auto"}, {"--verify"}} {
			res := push(image, args...)
			if res.code != 0 || res.stdout != want.stdout {
				t.Fatalf("%d %v: status %d, digest %q, want %q: %s", status, args, res.code, res.stdout, want.stdout, res.stderr)
			}
			said := fmt.Sprintf("%q refuses OCI manifests (%d", host, status)
			if strings.Count(res.stderr, said) != 1 || !strings.Contains(res.stderr, strings.TrimSpace(want.stdout)) {
				t.Errorf("%d %v: want one line %q, and the digest: %s", status, args, said, res.stderr)
			}
		}
		if got := digest.FromString(skopeoInspect(t, image, "--raw")).String(); got != strings.TrimSpace(want.stdout) {
			t.Errorf("the tag names %s, want %s", got, want.stdout)
		}
		clients.Run(t, exec.Command("chunkah", "verify", image))
		// If there are several outputs, only this registry receives a manifest in Docker's format.
		layout, bill := "oci:"+t.TempDir()+"/layout", filepath.Join(t.TempDir(), "bill")
		for place, other := range map[string]string{image + "-two": layout, layout: image + "-three"} {
			res := push(place, "-o", other, "--verify", "--sbom", bill)
			doc, err := os.ReadFile(bill)
			if res.code != 0 || err != nil || (res.stdout == want.stdout) != (place != layout) || !strings.Contains(string(doc), strings.TrimSpace(strings.TrimPrefix(res.stdout, "sha256:"))) {
				t.Fatalf("%d, two outputs: status %d, digest %s, %v: %s", status, res.code, res.stdout, err, res.stderr)
			}
			if !strings.Contains(res.stderr, "with the digest "+strings.TrimSpace(want.stdout)) {
				t.Errorf("%d, two outputs: the registry's digest is missing: %s", status, res.stderr)
			}
			for _, at := range []string{place, other} {
				clients.Run(t, exec.Command("chunkah", "verify", at))
			}
		}
		if got := skopeoInspect(t, layout, "--raw"); !strings.Contains(got, "vnd.oci.image.manifest") || !strings.Contains(got, `"a":"b"`) {
			t.Errorf("%d: the layout has the manifest %s", status, got)
		}
		for args, why := range map[string]string{"--manifest-type oci": "MANIFEST_INVALID", "--compress zstd": "compressed with zstd"} {
			res := push(image+"-not", strings.Fields(args)...)
			if res.code != 1 || !strings.Contains(res.stderr, why) || res.stdout != "" {
				t.Errorf("%d %s: status %d, want %q: %s", status, args, res.code, why, res.stderr)
			}
		}
	}
}

// An index of images becomes a manifest list.
func TestDockerManifestListByItself(t *testing.T) {
	clients.Need(t, "skopeo", "docker-registry")
	host := onlyDocker(t, clients.NewRegistry(t, clients.RegistryOptions{}), http.StatusBadRequest)
	j := joinedImages(t)
	image := "docker://" + host + "/app:all"
	res := start(t, exec.Command("chunkah", "build", "--from", "oci-archive:"+j.archive, "--platform", "all", "--print-digest", "-o", image))
	if res.code != 0 || strings.Count(res.stderr, "refuses OCI manifests") != 1 {
		t.Fatalf("status %d: %s", res.code, res.stderr)
	}
	raw := skopeoInspect(t, image, "--raw")
	if got := digest.FromString(raw).String(); got != strings.TrimSpace(res.stdout) {
		t.Errorf("the tag names %s, want %s", got, res.stdout)
	}
	if !strings.Contains(raw, "manifest.list.v2") || strings.Contains(raw, "vnd.oci") {
		t.Errorf("the index is %s", raw)
	}
	clients.Run(t, exec.Command("chunkah", "verify", image))
	for _, arch := range j.archs {
		clients.Run(t, exec.Command("skopeo", "--insecure-policy", "--override-arch", arch, "copy", "--quiet", "--src-tls-verify=false", image, "dir:"+filepath.Join(t.TempDir(), "x")))
	}
	res = start(t, exec.Command("chunkah", "index", "-o", image+"-same", "oci-archive:"+j.archive))
	if res.code != 1 || !strings.Contains(res.stderr, "MANIFEST_INVALID") {
		t.Errorf("index keeps every byte, but has status %d: %s", res.code, res.stderr)
	}
}
