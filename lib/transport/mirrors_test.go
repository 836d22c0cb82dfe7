package transport

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/image"
	"chunkah/lib/registry"
)

// host is a registry that returns a fixed string for each path, and always requires a login.
type host struct {
	*httptest.Server
	texts map[string]string

	mu     sync.Mutex
	logins []string // the logins received
	asked  int
}

func newHost(t *testing.T, texts map[string]string) *host {
	t.Helper()
	h := &host{texts: texts}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	return h
}

func (h *host) name() string { return strings.TrimPrefix(h.URL, "http://") }

func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	auth := r.Header.Get("Authorization")
	h.logins = append(h.logins, auth)
	text, ok := h.texts[r.URL.Path]
	switch {
	case r.URL.Path == "/v2/" || auth == "":
		w.Header().Set("WWW-Authenticate", "Basic realm=x")
		w.WriteHeader(http.StatusUnauthorized)
	case !ok:
		w.WriteHeader(http.StatusNotFound)
	default:
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(text))
	}
}

// openAt opens registry.example/app:1 with a configuration in which %s stands for the places.
func openAt(t *testing.T, config string, places ...*host) (f image.Fetcher, warns *[]string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_CONFIG"} {
		t.Setenv(name, dir)
	}
	t.Setenv("REGISTRY_AUTH_FILE", "")
	var auths []string
	for i, h := range places {
		config = strings.Replace(config, "%s", h.name(), 1)
		login := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "user%d:secret", i))
		auths = append(auths, fmt.Sprintf(`%q:{"auth":%q}`, h.name(), login))
	}
	t.Setenv("DOCKER_AUTH_CONFIG", `{"auths":{`+strings.Join(auths, ",")+`}}`)
	path := filepath.Join(dir, "registries.conf")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONTAINERS_REGISTRIES_CONF", path)
	warns = &[]string{}
	src, err := ParseSource("docker://registry.example/app:1")
	if err != nil {
		t.Fatal(err)
	}
	f, err = src.Open(t.Context(), src, image.Options{Registry: func() (registry.Options, error) {
		return registry.Options{
			Warn: func(s string) { *warns = append(*warns, s) },
			Wait: func(context.Context, time.Duration) error { return nil },
		}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return f, warns
}

const oneMirror = "[[registry]]\nprefix = \"registry.example\"\nlocation = \"%s\"\n[[registry.mirror]]\nlocation = \"%s/copy\"\n"

// A mirror receives only its own login. Blobs that are missing from the mirror are read from the
// registry.
func TestMirror(t *testing.T) {
	const manifest, text = `{"schemaVersion":2}`, "blob"
	d := v1.Descriptor{MediaType: v1.MediaTypeImageLayer, Digest: digest.FromString(text), Size: int64(len(text))}
	own := newHost(t, map[string]string{"/v2/app/blobs/" + d.Digest.String(): text, "/v2/app/manifests/1": "of the registry"})
	mirror := newHost(t, map[string]string{"/v2/copy/app/manifests/1": manifest})
	f, warns := openAt(t, oneMirror, own, mirror)
	if data, _, err := f.Manifest(t.Context(), "registry.example/app:1"); err != nil || string(data) != manifest {
		t.Fatalf("got %q, %v", data, err)
	}
	if own.asked > 0 {
		t.Errorf("the registry was asked %d times for what the mirror has", own.asked)
	}
	in, err := f.Blob(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if data, err := io.ReadAll(in); err != nil || string(data) != text {
		t.Errorf("got %q, %v", data, err)
	}
	ranged, ok := f.(image.Ranged)
	if !ok {
		t.Fatal("parts of blobs cannot be read")
	}
	if in, err = ranged.BlobRange(t.Context(), d, 1, 2); err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if data, err := io.ReadAll(in); err != nil || string(data) != "lo" {
		t.Errorf("got the part %q, %v", data, err)
	}
	if len(*warns) > 0 {
		t.Errorf("it warns of %q", *warns)
	}
	for i, h := range []*host{own, mirror} {
		for _, got := range h.logins {
			login, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(got, "Basic "))
			if got != "" && string(login) != fmt.Sprintf("user%d:secret", i) {
				t.Errorf("place %d gets the login %q", i, login)
			}
		}
	}
	if repo := f.(image.Hosted).Repository(); repo.Ref().Registry != mirror.name() {
		t.Errorf("the image is at %s", repo.Ref())
	}
}

// If no place has the image, the error names the image's own registry, and lists the errors of the
// mirrors.
func TestMirrorsFail(t *testing.T) {
	own, mirror := newHost(t, nil), newHost(t, nil)
	f, warns := openAt(t, oneMirror, own, mirror)
	_, _, err := f.Manifest(t.Context(), "registry.example/app:1")
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), own.name()) || !strings.Contains(err.Error(), "its mirrors failed too: ") || !strings.Contains(err.Error(), mirror.name()) {
		t.Errorf("got %v", err)
	}
	if len(*warns) > 0 {
		t.Errorf("it warns of %q", *warns)
	}
	mirror.Close()
	f, warns = openAt(t, oneMirror, newHost(t, map[string]string{"/v2/app/manifests/1": "{}"}), mirror)
	if _, _, err := f.Manifest(t.Context(), "registry.example/app:1"); err != nil {
		t.Error(err)
	}
	if n := len(*warns); n == 0 || !strings.Contains((*warns)[n-1], "trying the next mirror") {
		t.Errorf("it warns of %q", *warns)
	}
}

// Pushes and direct reads never use a mirror.
func TestMirrorsAreForReading(t *testing.T) {
	own, mirror := newHost(t, nil), newHost(t, nil)
	openAt(t, oneMirror, own, mirror)
	opt := func() (registry.Options, error) { return registry.Options{}, nil }
	repo, err := Repository("registry.example/app:1", opt)
	if err != nil || repo.Ref().String() != "registry.example/app:1" {
		t.Errorf("a push goes to %v, %v", repo, err)
	}
	m, err := openMirrors("registry.example/app:1", image.Options{Registry: opt, Direct: true})
	if err != nil || len(m.places) != 1 || m.places[0].Ref().String() != "registry.example/app:1" {
		t.Errorf("a direct reading goes to %+v, %v", m, err)
	}
}
