package tests

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/oci"
	"chunkah/lib/registry"
	"chunkah/tests/clients"
)

// pushed is an image with layers made by the test.
type pushed struct {
	layers [][]byte
	built  *oci.Built
}

// tarOf returns a layer with one file of random bytes, which cannot be compressed.
func tarOf(t *testing.T, name string, size int) []byte {
	t.Helper()
	data := make([]byte, size)
	if _, err := rand.Read(data); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(size)}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func pushable(t *testing.T, layers ...[]byte) *pushed {
	t.Helper()
	config := &oci.Config{}
	config.Platform = v1.Platform{Architecture: "amd64", OS: "linux"}
	img := oci.Image{Config: config}
	for _, l := range layers {
		img.Layers = append(img.Layers, oci.Layer{Descriptor: layerOf(l), DiffID: digest.FromBytes(l)})
	}
	built, err := img.Build()
	if err != nil {
		t.Fatal(err)
	}
	return &pushed{layers, built}
}

func layerOf(b []byte) v1.Descriptor {
	return v1.Descriptor{MediaType: v1.MediaTypeImageLayer, Digest: digest.FromBytes(b), Size: int64(len(b))}
}

// appear finishes and commits an image.
func appear(p *registry.Push, index []byte) error {
	if _, err := p.Finish(index); err != nil {
		return err
	}
	return p.Commit()
}

// blobs writes everything except the index to a push. from names another image that contains the
// blobs, or is empty.
func (img *pushed) blobs(p *registry.Push, from string) error {
	errs := make(chan error)
	for _, l := range img.layers {
		go func() { errs <- p.Blob(layerOf(l), oci.Hint{Image: from}, oci.Data(l)) }()
	}
	var err error
	for range img.layers {
		if e := <-errs; e != nil {
			err = e
		}
	}
	for _, doc := range []oci.Document{img.built.Config, img.built.Manifest} {
		if err == nil {
			err = p.Blob(doc.Descriptor, oci.Hint{Image: from}, oci.Data(doc.Data))
		}
	}
	return err
}

// push pushes the image to NAME at HOST.
func (img *pushed) push(ctx context.Context, host, name string, from ...registry.Ref) error {
	repo, err := openRepository(host, name)
	if err != nil {
		return err
	}
	p, err := repo.Push(ctx)
	if err != nil {
		return err
	}
	defer p.Discard()
	other := ""
	for _, f := range from {
		other = f.String()
	}
	if err := img.blobs(p, other); err != nil {
		return err
	}
	return appear(p, img.built.Index)
}

func openRepository(host, name string) (*registry.Repository, error) {
	ref, err := registry.ParseRef(host + "/" + name)
	if err != nil {
		return nil, err
	}
	return registry.Open(ref, registry.Options{UserAgent: "chunkah/test"})
}

// counted starts a proxy that counts the bytes sent to a registry, and returns the proxy's
// HOST:PORT.
func counted(t *testing.T, host string) (string, *atomic.Int64) {
	t.Helper()
	var n atomic.Int64
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: host})
		r.Out.Host = r.In.Host // the registry uses this host in upload URLs
		if r.Out.Body != nil {
			r.Out.Body = &countedBody{r.Out.Body, &n}
		}
	}}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), &n
}

type countedBody struct {
	io.ReadCloser
	n *atomic.Int64
}

func (c *countedBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// newHome returns a new home directory, where the test can put credentials and certificates.
func newHome(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_CONFIG"} {
		t.Setenv(name, dir)
	}
	return dir
}

// samePull pulls an image with skopeo, which checks each digest, and compares the result with want.
func samePull(t *testing.T, ref string, want *pushed, args ...string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "image")
	args = append([]string{"--insecure-policy", "copy", "--quiet"}, args...)
	clients.Run(t, exec.Command("skopeo", append(args, "docker://"+ref, "dir:"+dir)...))
	got, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil || !bytes.Equal(got, want.built.Manifest.Data) {
		t.Errorf("skopeo pulls the manifest %q, %v, want %q", got, err, want.built.Manifest.Data)
	}
	for _, l := range want.layers {
		if got, err := os.ReadFile(filepath.Join(dir, digest.FromBytes(l).Encoded())); err != nil || !bytes.Equal(got, l) {
			t.Errorf("skopeo pulls a layer of %d bytes, %v, want %d", len(got), err, len(l))
		}
	}
}

func TestRegistryPlain(t *testing.T) {
	clients.Need(t, "skopeo")
	host, sent := counted(t, clients.NewRegistry(t, clients.RegistryOptions{}))
	var layers [][]byte
	for i := range 10 {
		layers = append(layers, tarOf(t, fmt.Sprintf("file%d", i), 1<<20+i))
	}
	first := pushable(t, layers...)
	if err := first.push(t.Context(), host, "team/app:1"); err != nil {
		t.Fatal(err)
	}
	samePull(t, host+"/team/app:1", first, "--src-tls-verify=false")

	// If one layer of ten has changed, only that layer and the documents are sent.
	sent.Store(0)
	layers[4] = tarOf(t, "file4", 2<<20)
	second := pushable(t, layers...)
	if err := second.push(t.Context(), host, "team/app:1"); err != nil {
		t.Fatal(err)
	}
	want := int64(len(layers[4]) + len(second.built.Config.Data) + len(second.built.Manifest.Data))
	if got := sent.Load(); got != want {
		t.Errorf("%d bytes reached the registry, want %d: one layer, the config and the manifest", got, want)
	}
	samePull(t, host+"/team/app:1", second, "--src-tls-verify=false")

	t.Run("nothing changed", func(t *testing.T) {
		sent.Store(0)
		if err := second.push(t.Context(), host, "team/app:1"); err != nil {
			t.Fatal(err)
		}
		if got := sent.Load(); got != 0 {
			t.Errorf("%d bytes reached the registry, want none", got)
		}
	})
	t.Run("mounted", func(t *testing.T) {
		sent.Store(0)
		from, err := registry.ParseRef(host + "/team/app:1")
		if err != nil {
			t.Fatal(err)
		}
		if err := second.push(t.Context(), host, "other/app:1", from); err != nil {
			t.Fatal(err)
		}
		if got, want := sent.Load(), int64(len(second.built.Manifest.Data)); got != want {
			t.Errorf("%d bytes reached the registry, want %d", got, want)
		}
		samePull(t, host+"/other/app:1", second, "--src-tls-verify=false")
	})
	t.Run("read back", func(t *testing.T) {
		repo, err := openRepository(host, "team/app:1")
		if err != nil {
			t.Fatal(err)
		}
		data, mediaType, err := repo.Manifest(t.Context(), "1")
		if err != nil || mediaType != v1.MediaTypeImageManifest || !bytes.Equal(data, second.built.Manifest.Data) {
			t.Errorf("manifest %q of type %q, %v", data, mediaType, err)
		}
		for _, l := range second.layers {
			in, err := repo.Blob(t.Context(), layerOf(l))
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			if got, err := io.ReadAll(in); err != nil || !bytes.Equal(got, l) {
				t.Errorf("blob of %d bytes, %v, want %d", len(got), err, len(l))
			}
		}
	})
	t.Run("index", func(t *testing.T) {
		pushIndex(t, host, "team/app:all", first, second)
		raw := clients.Run(t, exec.Command("skopeo", "inspect", "--raw", "--tls-verify=false", "docker://"+host+"/team/app:all"))
		if n := strings.Count(raw, v1.MediaTypeImageManifest); n != 2 {
			t.Errorf("%d manifests in %s, want 2", n, raw)
		}
	})
}

// pushIndex pushes images under one name.
func pushIndex(t *testing.T, host, name string, images ...*pushed) {
	t.Helper()
	repo, err := openRepository(host, name)
	if err != nil {
		t.Fatal(err)
	}
	p, err := repo.Push(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Discard()
	var entries []string
	for _, img := range images {
		if err := img.blobs(p, ""); err != nil {
			t.Fatal(err)
		}
		d := img.built.Manifest.Descriptor
		entries = append(entries, fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, d.MediaType, d.Digest, d.Size))
	}
	index := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[%s]}`, v1.MediaTypeImageIndex, strings.Join(entries, ","))
	if err := appear(p, []byte(index)); err != nil {
		t.Fatal(err)
	}
}

// chunkah uses the credentials of podman and skopeo, and no others.
func TestRegistryWithAPassword(t *testing.T) {
	clients.Need(t, "skopeo")
	host := clients.NewRegistry(t, clients.RegistryOptions{Password: true})
	img := pushable(t, tarOf(t, "file", 1<<20))
	auth := filepath.Join(newHome(t), "containers/auth.json") // below XDG_RUNTIME_DIR

	err := img.push(t.Context(), host, "team/app:1")
	if err == nil || !strings.Contains(err.Error(), "401 Unauthorized") || !strings.Contains(err.Error(), "podman login "+host) {
		t.Errorf("without a password: %v", err)
	}
	clients.Run(t, exec.Command("skopeo", "login", "--tls-verify=false", "--authfile", auth,
		"--username", clients.RegistryUser, "--password", clients.RegistryPassword, host))
	if err := img.push(t.Context(), host, "team/app:1"); err != nil {
		t.Fatal(err)
	}
	samePull(t, host+"/team/app:1", img, "--src-tls-verify=false", "--src-authfile", auth)
}
