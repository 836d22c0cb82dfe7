package registry

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"chunkah/lib/oci"
)

const basic = "Basic " + "dXNlcjpwYXNz" // user:pass

// userPass writes an auth file with user and pass for a host.
func userPass(t *testing.T, host string) string {
	t.Helper()
	auth := base64.StdEncoding.EncodeToString([]byte("user:pass"))
	return writeFile(t, filepath.Join(t.TempDir(), "auth.json"), fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, auth))
}

func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// basicAuth accepts requests with the user's password.
func basicAuth(_ string, _ int, w http.ResponseWriter, r *http.Request) bool {
	if r.Header.Get("Authorization") == basic {
		return false
	}
	early(http.StatusUnauthorized, "WWW-Authenticate", `Basic realm="here"`)(w, r)
	return true
}

func TestBasicAuth(t *testing.T) {
	s := newServer(t)
	s.with(basicAuth)
	img := newImage(t, []byte("layer"))
	repo, _ := s.open(t, "team/app:1")
	contains(t, img.push(t.Context(), repo), "401", "no credentials", "podman login")

	path := userPass(t, repo.Ref().Registry)
	repo, _ = s.open(t, "team/app:1")
	t.Setenv("REGISTRY_AUTH_FILE", path)
	if err := img.push(t.Context(), repo); err != nil {
		t.Fatal(err)
	}
	s.check(t, "1", img)

	writeFile(t, path, strings.Replace(`{"auths":{"HOST":{"username":"user","password":"other"}}}`, "HOST", repo.Ref().Registry, 1))
	repo, _ = s.open(t, "team/app:1")
	t.Setenv("REGISTRY_AUTH_FILE", path)
	contains(t, img.push(t.Context(), repo), "401", "the credentials from", path, "not accepted")
}

// tokens is a token server for a registry. Each token is valid for a number of requests.
type tokens struct {
	mu     sync.Mutex
	good   int
	given  int
	left   int
	scopes []string
}

func (s *tokens) answer(_ string, _ int, w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.URL.Path == "/token" {
		if r.Header.Get("Authorization") != basic {
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		s.scopes = append(s.scopes, strings.Join(r.URL.Query()["scope"], " "))
		s.given++
		s.left = s.good
		fmt.Fprintf(w, `{"token":"t%d"}`, s.given)
		return true
	}
	if s.left > 0 && r.Header.Get("Authorization") == fmt.Sprintf("Bearer t%d", s.given) {
		s.left--
		return false
	}
	w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="s"`, r.Host))
	w.WriteHeader(http.StatusUnauthorized)
	return true
}

// The client renews a token that expires at any request, even at a request with a body. The renewal
// does not count as an attempt.
func TestBearerTokens(t *testing.T) {
	for _, good := range []int{1, 2, 3, 4, 5, 1000} {
		t.Run(fmt.Sprintf("good for %d requests", good), func(t *testing.T) {
			s := newServer(t)
			tokens := &tokens{good: good}
			s.with(tokens.answer)
			repo, clock := s.open(t, "team/app:1")
			t.Setenv("REGISTRY_AUTH_FILE", userPass(t, repo.Ref().Registry))
			img := newImage(t, random(t, 100_000))
			if err := img.push(t.Context(), repo, s.ref(t, "team/base:1")); err != nil {
				t.Fatal(err)
			}
			s.check(t, "1", img)
			if len(clock.waits) > 0 {
				t.Errorf("tried again: %q", clock.warns)
			}
			slices.Sort(tokens.scopes)
			want := []string{"repository:team/app:pull,push", "repository:team/app:pull,push repository:team/base:pull"}
			if got := slices.Compact(tokens.scopes); !slices.Equal(got, want) {
				t.Errorf("scopes %q, want those of the repository, and of a mount", got)
			}
		})
	}
}

// Credentials are sent only to the registry. They do not follow a redirect or an upload's Location
// to another server.
func TestCredentialsStayAtTheRegistry(t *testing.T) {
	blob := []byte("layer")
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Authorization", "Cookie"} {
			if got := r.Header.Get(name); got != "" {
				t.Errorf("%s %s with %s %q", r.Method, r.URL, name, got)
			}
		}
		switch r.Method {
		case http.MethodPut:
			early(http.StatusCreated, digestHeader, r.URL.Query().Get("digest"))(w, r)
		case http.MethodGet:
			serve(blob, -1)(w, r)
		default: // the cancellation of an upload, which is sent only to the registry
			t.Errorf("%s %s", r.Method, r.URL)
		}
	}))
	defer storage.Close()
	for name, auth := range map[string]fault{"basic": basicAuth, "bearer": (&tokens{good: 1000}).answer} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			repo, _ := s.open(t, "team/app:1")
			t.Setenv("REGISTRY_AUTH_FILE", userPass(t, repo.Ref().Registry))
			s.with(func(kind string, n int, w http.ResponseWriter, r *http.Request) bool {
				switch {
				case auth(kind, n, w, r):
				case kind == "GET blob":
					http.Redirect(w, r, storage.URL+"/blob", http.StatusTemporaryRedirect)
				case kind == "POST upload":
					early(http.StatusAccepted, "Location", storage.URL+"/upload?id=1")(w, r)
				default:
					return false
				}
				return true
			})
			in, err := repo.Blob(t.Context(), descriptor(blob))
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			p, err := repo.Push(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer p.Discard()
			other := []byte("other")
			if err := p.Blob(descriptor(other), oci.Hint{}, oci.Data(other)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	s := newServer(t)
	repo, _ := s.open(t, "team/app:1")
	s.with(func(kind string, _ int, _ http.ResponseWriter, r *http.Request) bool {
		if got := r.Header.Get("Accept-Encoding"); got != "" {
			t.Errorf("%s accepts %q: the bytes sent would not have the digest", kind, got)
		}
		if got := r.UserAgent(); kind != "GET ping" && !strings.HasPrefix(got, "chunkah/test") {
			t.Errorf("%s is sent by %q", kind, got)
		}
		return false
	})
	if err := newImage(t, []byte("x")).push(t.Context(), repo); err != nil {
		t.Fatal(err)
	}
}

func TestTLS(t *testing.T) {
	s := newServer(t)
	secure := httptest.NewTLSServer(s)
	defer secure.Close()
	u, err := url.Parse(secure.URL)
	if err != nil {
		t.Fatal(err)
	}
	ref := s.ref(t, "team/app:1")
	ref.Registry = u.Host
	img := newImage(t, []byte("layer"))
	push := func(opt Options) error {
		repo, err := Open(ref, opt)
		if err != nil {
			return err
		}
		return img.push(t.Context(), repo)
	}
	noCredentials(t)
	clock := &clock{}
	contains(t, push(clock.options()), "x509: certificate signed by unknown authority", "/etc/containers/certs.d/"+u.Host+"/ca.crt")
	if len(clock.waits) > 0 {
		t.Errorf("tried again: %q", clock.warns)
	}
	opt := clock.options()
	opt.Insecure = true
	if err := push(opt); err != nil {
		t.Errorf("insecure: %v", err)
	}
	ca := filepath.Join(os.Getenv("HOME"), ".config/containers/certs.d", u.Host, "ca.crt")
	writeFile(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})))
	if err := push(clock.options()); err != nil {
		t.Errorf("with its certificate: %v", err)
	}
	s.check(t, "1", img)
	writeFile(t, ca, "nothing")
	contains(t, push(clock.options()), ca, "no certificate in PEM form")
}

// Plain HTTP is used for loopback addresses, or if Insecure is set.
func TestPlainHTTP(t *testing.T) {
	answers := roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	})
	for _, test := range []struct {
		registry, url string
		insecure, ok  bool
	}{
		{"localhost:5000", "http://localhost:5000/", false, true},
		{"127.0.0.1:5000", "http://127.0.0.1:5000/", false, true},
		{"[::1]:5000", "http://[::1]:5000/", false, true},
		{"localhost:5000", "http://127.0.0.2/", false, true},
		{"localhost:5000", "http://storage.example/", false, false},
		{"registry.example", "http://registry.example/", false, false},
		{"registry.example", "http://localhost/", false, false},
		{"10.0.0.1:5000", "http://10.0.0.1:5000/", false, false},
		{"127.0.0.1.example", "http://127.0.0.1.example/", false, false},
		{"registry.localhost", "http://registry.localhost/", false, false},
		{"registry.example", "https://registry.example/", false, true},
		{"registry.example", "http://registry.example/", true, true},
		{"10.0.0.1:5000", "http://10.0.0.1:5000/", true, true},
	} {
		u, err := url.Parse(test.url)
		if err != nil {
			t.Fatal(err)
		}
		r := &Repository{opt: Options{}.withDefaults(), inner: answers, plain: plainHosts(test.registry, test.insecure)}
		resp, err := r.roundTrip(t.Context(), u, request{method: http.MethodGet}, "")
		if (err == nil) != test.ok {
			t.Errorf("registry %q, insecure %t: %q: %v", test.registry, test.insecure, test.url, err)
		}
		if err == nil {
			resp.Body.Close()
		} else {
			contains(t, err, "refusing plain HTTP", "--insecure")
		}
	}
}

// Temporary errors are distinguished from permanent ones.
func TestIsPassing(t *testing.T) {
	for _, test := range []struct {
		err  error
		want bool
	}{
		{io.EOF, true},
		{syscall.ECONNREFUSED, true},
		{&net.DNSError{IsTimeout: true}, true},
		{&net.DNSError{IsNotFound: true}, false},
		{&tls.CertificateVerificationError{Err: io.EOF}, false},
		{tls.AlertError(42), false},
		{tls.RecordHeaderError{}, false},
		{http.ErrSchemeMismatch, false},
	} {
		if got := isTransient(fmt.Errorf("speaking: %w", test.err)); got != test.want {
			t.Errorf("isTransient(%T: %v) = %t", test.err, test.err, got)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
