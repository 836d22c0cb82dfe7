package registry

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// These secrets must not reach any other server.
const (
	secretPassword = "PASSWORD"
	secretIdentity = "IDENTITY"
	secretToken    = "TOKEN" // of the registry's token server
	secretCookie   = "COOKIE"
	secretUpload   = "SIGNATURE" // in the query of an upload's URL
)

// stranger is a server that is not the registry. It requests a login in every way, and records its
// requests.
type stranger struct {
	*httptest.Server
	mu  sync.Mutex
	got []string // whole requests
}

func newStranger(t *testing.T, secure bool) *stranger {
	t.Helper()
	s := &stranger{}
	if s.Server = httptest.NewUnstartedServer(s); secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func (s *stranger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	dump, _ := httputil.DumpRequest(r, true) // as much as arrives
	s.mu.Lock()
	s.got = append(s.got, string(dump))
	s.mu.Unlock()
	if r.URL.Path == "/stolen-token" {
		fmt.Fprint(w, `{"token":"FOREIGN"}`)
		return
	}
	w.Header().Add("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/stolen-token",service="x",scope="a:b:c"`, s.URL))
	w.Header().Add("WWW-Authenticate", `Basic realm="x"`)
	w.WriteHeader(http.StatusUnauthorized)
}

// check makes sure that the server received requests if reached is set, and none otherwise, and
// that the requests contain no secret.
func (s *stranger) check(t *testing.T, reached bool) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if (len(s.got) > 0) != reached {
		t.Errorf("the stranger got %d requests, want some: %t", len(s.got), reached)
	}
	basic := base64.StdEncoding.EncodeToString([]byte("user:" + secretPassword))
	for _, dump := range s.got {
		for _, secret := range []string{secretPassword, basic, secretIdentity, secretToken, secretCookie, secretUpload, "Referer:", "Cookie:", "Authorization: Basic"} {
			if strings.Contains(dump, secret) {
				t.Errorf("the stranger got %q in %q", secret, dump)
			}
		}
	}
}

// guarded is a registry that requires a login, and sends a cookie and a signature wherever
// possible.
type guarded struct {
	*httptest.Server
	auth     string // basic, bearer, or none for the ping
	redirect func(kind string, w http.ResponseWriter, r *http.Request) bool
	blob     []byte
}

func (g *guarded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: "session", Value: secretCookie, Path: "/"})
	kind := kindOf(r)
	if r.URL.Path == "/token" {
		kind = r.Method + " token"
	}
	switch ok := g.loggedIn(r); {
	case g.redirect(kind, w, r):
	case r.URL.Path == "/token":
		fmt.Fprintf(w, `{"token":%q,"refresh_token":%q}`, secretToken, secretIdentity)
	case !ok && g.auth == "basic":
		early(http.StatusUnauthorized, "WWW-Authenticate", `Basic realm="here"`)(w, r)
	case !ok:
		early(http.StatusUnauthorized, "WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="s"`, g.URL))(w, r)
	case kind == "POST upload":
		early(http.StatusAccepted, "Location", "/v2/team/app/blobs/uploads/1?state="+secretUpload)(w, r)
	case kind == "PUT blob" && r.ContentLength > 0 && g.auth == "parts":
		status(http.StatusMethodNotAllowed)(w, r)
	case kind == "PUT blob":
		status(http.StatusCreated, digestHeader, r.URL.Query().Get("digest"))(w, r)
	case kind == "PATCH upload":
		status(http.StatusAccepted, "Location", r.URL.String())(w, r)
	case kind == "PUT tag":
		status(http.StatusCreated)(w, r)
	case kind == "GET tag":
		fmt.Fprint(w, "{}")
	case kind == "GET blob":
		_, _ = w.Write(g.blob)
	case kind == "GET ping", kind == "DELETE upload":
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (g *guarded) loggedIn(r *http.Request) bool {
	words := r.Header.Get("Authorization")
	if g.auth == "basic" {
		return strings.HasPrefix(words, "Basic ")
	}
	return words == "Bearer "+secretToken
}

// A login is sent only to the registry and its token server. It never follows a redirect, for any
// request, status or target.
func TestNoSecretFollowsARedirect(t *testing.T) {
	for _, place := range []struct {
		kind, auth, login string
		reached           bool // the redirect is followed without a login
	}{
		{"GET ping", "basic", "password", false},
		{"GET ping", "bearer", "password", false},
		{"GET ping", "bearer", "identity", false},
		{"GET token", "bearer", "password", false},
		{"GET token", "bearer", "none", true},
		{"POST token", "bearer", "identity", false},
		{"GET tag", "basic", "password", true},
		{"GET tag", "bearer", "password", true},
		{"GET tag", "bearer", "identity", true},
		{"GET tag", "bearer", "token", true},
		{"GET blob", "basic", "password", true},
		{"GET blob", "bearer", "password", true},
		{"HEAD blob", "bearer", "password", true},
		{"HEAD tag", "bearer", "password", true},
		{"POST upload", "bearer", "password", true},
		{"DELETE upload", "bearer", "password", true},
		{"PUT blob", "basic", "password", true},
		{"PUT blob", "bearer", "password", true},
		{"PATCH upload", "parts", "password", true},
		{"PUT tag", "bearer", "password", true},
	} {
		for _, code := range []int{301, 302, 303, 307, 308} {
			for _, to := range []string{"host", "port", "scheme"} {
				t.Run(fmt.Sprintf("%s %d to another %s, %s with a %s", place.kind, code, to, place.auth, place.login), func(t *testing.T) {
					keeps := code == http.StatusTemporaryRedirect || code == http.StatusPermanentRedirect
					reads := strings.HasPrefix(place.kind, "GET") || strings.HasPrefix(place.kind, "HEAD")
					s := newStranger(t, to == "scheme")
					target := s.URL
					if to == "host" {
						target = strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
					}
					meet(t, place.kind, place.auth, place.login, func(w http.ResponseWriter, r *http.Request) {
						early(code, "Location", target+"/elsewhere")(w, r)
					})
					s.check(t, place.reached && (keeps || reads))
				})
			}
		}
	}
}

// A login is also never sent to an upload's Location on another server, to a token server that
// another server names, or to a token server without TLS.
func TestNoSecretLeavesByItself(t *testing.T) {
	for _, to := range []string{"host", "port", "scheme"} {
		t.Run("an upload to another "+to, func(t *testing.T) {
			s := newStranger(t, to == "scheme")
			target := s.URL
			if to == "host" {
				target = strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
			}
			meet(t, "POST upload", "bearer", "password", early(http.StatusAccepted, "Location", target+"/upload"))
			s.check(t, true)
		})
	}
	t.Run("a token server without TLS", func(t *testing.T) {
		s := newStranger(t, false)
		g := newGuarded(t, "bearer", true, func(kind string, w http.ResponseWriter, r *http.Request) bool {
			early(http.StatusUnauthorized, "WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token"`, s.URL))(w, r)
			return true
		})
		repo := g.open(t, "password")
		_, _, err := repo.Manifest(t.Context(), "1")
		contains(t, err, "logging in", "refusing the token server", strings.TrimPrefix(s.URL, "http://"))
		s.check(t, false)
	})
	t.Run("a login in a Location", func(t *testing.T) {
		s := newStranger(t, false)
		meet(t, "GET tag", "bearer", "password", func(w http.ResponseWriter, r *http.Request) {
			early(http.StatusFound, "Location", strings.Replace(s.URL, "//", "//user:"+secretPassword+"@", 1))(w, r)
		})
		s.check(t, true)
	})
}

// meet uses a registry that handles one kind of request with the function do.
func meet(t *testing.T, kind, auth, login string, do func(http.ResponseWriter, *http.Request)) {
	t.Helper()
	met := false
	var mu sync.Mutex
	g := newGuarded(t, auth, false, func(k string, w http.ResponseWriter, r *http.Request) bool {
		if k != kind {
			return false
		}
		mu.Lock()
		met = true
		mu.Unlock()
		do(w, r)
		return true
	})
	repo := g.open(t, login)
	// Each of these calls can fail because of the redirect.
	_, _, _ = repo.Manifest(t.Context(), "1")
	_, _ = readBlob(t.Context(), repo, g.blob)
	_ = newImage(t, []byte("layer")).push(t.Context(), repo)
	if !met {
		t.Errorf("there was no %s", kind)
	}
}

func newGuarded(t *testing.T, auth string, secure bool, redirect func(string, http.ResponseWriter, *http.Request) bool) *guarded {
	t.Helper()
	g := &guarded{auth: auth, redirect: redirect, blob: []byte("blob")}
	if g.Server = httptest.NewUnstartedServer(g); secure {
		g.StartTLS()
	} else {
		g.Start()
	}
	t.Cleanup(g.Close)
	return g
}

// open opens the registry with a login of the given kind.
func (g *guarded) open(t *testing.T, login string) *Repository {
	t.Helper()
	noCredentials(t)
	u, err := url.Parse(g.URL)
	if err != nil {
		t.Fatal(err)
	}
	entry := map[string]authEntry{
		"password": {Auth: base64.StdEncoding.EncodeToString([]byte("user:" + secretPassword))},
		"identity": {IdentityToken: secretIdentity}, "token": {RegistryToken: secretToken}, "none": {},
	}[login]
	text, err := json.Marshal(authFile{Auths: map[string]authEntry{u.Host: entry}})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("REGISTRY_AUTH_FILE", writeFile(t, filepath.Join(t.TempDir(), "auth.json"), string(text)))
	opt := (&clock{}).options()
	opt.Insecure, opt.Attempts = true, 1 // otherwise no request would go to servers with other schemes
	repo, err := Open(Ref{Registry: u.Host, Name: "team/app", Tag: "1"}, opt)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}
