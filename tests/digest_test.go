package tests

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"chunkah/tests/clients"
)

// digestsOf runs a build, checks that --digest-file and --print-digest report the same digest, and
// returns the digest.
func digestsOf(t *testing.T, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "digest")
	args = append([]string{"build", "-q", "--digest-file", file, "--print-digest"}, args...)
	printed := clients.Run(t, exec.Command("chunkah", args...))
	written, err := os.ReadFile(file)
	if err != nil || printed != string(written)+"\n" {
		t.Fatalf("%q: the file contains %q, and %q is printed: %v", args, written, printed, err)
	}
	return string(written)
}

// The digest of a build is the digest of the manifest or index at each of its outputs and tags.
func TestDigestAtEveryOutput(t *testing.T) {
	t.Parallel()
	clients.Need(t, "skopeo", "docker-registry", "jq")
	j, host := joinedImages(t), clients.NewRegistry(t, clients.RegistryOptions{})
	for name, from := range map[string][]string{
		"an image":             {"--rootfs", smallRoot(t), "--config-str", "{}"},
		"an index":             {"--from", "oci-archive:" + j.archive, "--platform", "all"},
		"an image of an index": {"--from", "oci-archive:" + j.archive, "--platform", "linux/s390x"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, ref := t.TempDir(), "docker://"+host+"/"+strings.ReplaceAll(name, " ", "-")
			outputs := []string{"oci:" + dir + "/layout:1", ref + ":1", "oci-archive:" + dir + "/archive"}
			args := slices.Clone(from)
			metrics := filepath.Join(dir, "metrics")
			if !slices.Contains(from, "all") { // --metrics is for one image
				args = append(args, "--metrics", metrics)
			}
			for _, place := range outputs {
				args = append(args, "-o", place)
			}
			got := digestsOf(t, append(args, "-t", strings.TrimPrefix(ref, "docker://")+":2")...)
			for _, place := range append(outputs, ref+":2") {
				if at := digest.FromString(skopeoInspect(t, place, "--raw")).String(); at != got {
					t.Errorf("%s is %s, and the digest of the build %s", place, at, got)
				}
			}
			if !slices.Contains(from, "all") {
				if in := clients.Run(t, exec.Command("jq", "-r", ".stages[3].digest", metrics)); in != got+"\n" {
					t.Errorf("--metrics has the digest %q, want %s", in, got)
				}
			}
		})
	}
}

// The build writes the digest only after the tag has moved. It does not write the digest if the
// registry refuses the tag.
func TestDigestAfterTheTag(t *testing.T) {
	t.Parallel()
	clients.Need(t, "skopeo", "docker-registry")
	j, real := joinedImages(t), clients.NewRegistry(t, clients.RegistryOptions{})
	for name, from := range map[string][]string{
		"an image": {"--rootfs", smallRoot(t), "--config-str", "{}"},
		"an index": {"--from", "oci-archive:" + j.archive, "--platform", "all"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "digest")
			var mu sync.Mutex
			var early, moved bool
			refuse := true
			proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(&url.URL{Scheme: "http", Host: real})
				r.Out.Host = r.In.Host
			}}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ofTag := r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/tag")
				mu.Lock()
				defer mu.Unlock()
				if ofTag && refuse {
					w.WriteHeader(http.StatusForbidden)
					return
				}
				proxy.ServeHTTP(w, r)
				if ofTag {
					_, err := os.Stat(file)
					early, moved = err == nil, true
				}
			}))
			defer server.Close()
			place := "docker://" + strings.TrimPrefix(server.URL, "http://") + "/" + strings.ReplaceAll(name, " ", "-") + ":tag"
			run := func() result {
				return start(t, exec.Command("chunkah", append([]string{"build", "-q", "--digest-file", file, "--print-digest", "-o", place}, from...)...))
			}
			refused := run()
			if _, err := os.Stat(file); refused.code != 1 || refused.stdout != "" || err == nil {
				t.Errorf("the tag is refused: status %d, printed %q, file: %v", refused.code, refused.stdout, err)
			}
			mu.Lock()
			refuse = false
			mu.Unlock()
			done := run()
			written, err := os.ReadFile(file)
			if done.code != 0 || err != nil || early || !moved {
				t.Fatalf("status %d, written before the tag: %v, tag moved: %v: %v: %s", done.code, early, moved, err, done.stderr)
			}
			if got := digest.FromString(skopeoInspect(t, place, "--raw")).String(); got != string(written) {
				t.Errorf("the tag is %s, and the digest %s", got, written)
			}
		})
	}
}
