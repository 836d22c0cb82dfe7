package registry

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

const (
	// maxToken is the largest response that is accepted from a token server, in bytes.
	maxToken = 1 << 20
	// clientID identifies this program when it exchanges an identity token.
	clientID = "chunkah"
)

// login is the login state for one server. Only the registry itself receives credentials. Any other
// server, which can be reached only through a redirect, receives only a token that it issues to
// everybody.
type login struct {
	repo *Repository
	own  bool // the server is the registry itself

	mu        sync.Mutex
	challenge challenge         // the server's last challenge
	headers   map[string]string // values of the Authorization header, keyed by scopes
}

// loginAt returns the login for the server of a URL.
func (r *Repository) loginAt(u *url.URL) *login {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := origin(u)
	l := r.logins[at]
	if l == nil {
		l = &login{repo: r, own: at == origin(r.base), headers: make(map[string]string)}
		r.logins[at] = l
	}
	return l
}

// authorization returns the Authorization header for these scopes, or an empty string for no
// header.
func (l *login) authorization(ctx context.Context, u *url.URL, scopes []string) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := strings.Join(scopes, " ")
	if value := l.headers[key]; value != "" || l.challenge.scheme == "" {
		return value, nil
	}
	return l.obtain(ctx, u, key, scopes)
}

// renew returns a new Authorization header after the server refused the old header, or an empty
// string for no header.
func (l *login) renew(ctx context.Context, u *url.URL, header http.Header, refused string, scopes []string) (string, error) {
	c := chooseChallenge(header)
	if c.scheme == "" {
		return "", nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	key := strings.Join(scopes, " ")
	if value := l.headers[key]; value != "" && value != refused {
		return value, nil // another request has renewed the header
	}
	l.challenge = c
	if !l.own {
		scopes = nil // a scope can have another meaning on another server
	}
	if scope := c.params["scope"]; scope != "" {
		scopes = append([]string{scope}, scopes...)
	}
	value, err := l.obtain(ctx, u, key, scopes)
	if err != nil || value == refused {
		return "", err
	}
	return value, nil
}

// obtain gets the Authorization header for scopes and caches it under key.
func (l *login) obtain(ctx context.Context, u *url.URL, key string, scopes []string) (value string, err error) {
	var creds credentials
	if l.own {
		if creds, err = l.repo.credentials(ctx); err != nil {
			return "", err
		}
	}
	switch {
	case l.challenge.scheme == schemeBasic:
		value = creds.basic()
	case l.challenge.scheme == schemeBearer && creds.registryToken != "":
		value = "Bearer " + creds.registryToken
	case l.challenge.scheme == schemeBearer:
		token, err := l.token(ctx, u, creds, scopes)
		if err != nil {
			return "", err
		}
		value = "Bearer " + token
	}
	l.headers[key] = value
	return value, nil
}

// token requests a token from the token server in u's challenge (distribution specification, token
// authentication). Requests with a login follow no redirects, because only the registry may decide
// which server receives the login.
func (l *login) token(ctx context.Context, u *url.URL, creds credentials, scopes []string) (string, error) {
	realm, err := u.Parse(l.challenge.params["realm"])
	if err != nil || realm.Host == "" || l.challenge.params["realm"] == "" {
		return "", errors.New("logging in: the registry specifies no token server (the realm is not a URL)")
	}
	realm.User, realm.Fragment = nil, ""
	if u.Scheme == "https" && realm.Scheme != "https" {
		return "", fmt.Errorf("logging in: refusing the token server %q with the scheme %q, because the registry uses https", realm.Host, realm.Scheme)
	}
	token, err := l.exchange(ctx, realm, creds, scopes)
	var status *statusError
	switch {
	case errors.As(err, &status):
		status.place = fmt.Sprintf("logging in at %q: ", realm.Host)
		return "", err
	case err != nil:
		return "", fmt.Errorf("logging in at %q: %w", realm.Host, err)
	}
	return token, nil
}

// exchange returns a token for an identity token, a password or an anonymous request.
func (l *login) exchange(ctx context.Context, realm *url.URL, creds credentials, scopes []string) (string, error) {
	if creds.identityToken != "" {
		token, err := l.exchangeIdentity(ctx, realm, creds, scopes)
		var status *statusError
		if !errors.As(err, &status) || status.code != http.StatusNotFound && status.code != http.StatusMethodNotAllowed {
			return token, err
		}
		// Some token servers do not support identity tokens.
	}
	query := realm.Query()
	if service := l.challenge.params["service"]; service != "" {
		query.Set("service", service)
	}
	for _, scope := range scopes {
		query.Add("scope", scope)
	}
	at := *realm
	at.RawQuery = query.Encode()
	resp, err := l.get(ctx, &at, creds)
	if err != nil {
		return "", err
	}
	defer drop(resp)
	return readToken(resp)
}

// get sends a GET request to a token server, with the password if the credentials contain one.
// Redirects are followed only if no password is sent.
func (l *login) get(ctx context.Context, u *url.URL, creds credentials) (*http.Response, error) {
	send := func(u *url.URL) (*http.Response, error) {
		return l.repo.roundTrip(ctx, u, request{method: http.MethodGet}, creds.basic())
	}
	if creds.hasPassword() {
		return send(u)
	}
	return follow(u, http.MethodGet, send)
}

// exchangeIdentity sends an identity token, which is OAuth 2's refresh token.
func (l *login) exchangeIdentity(ctx context.Context, realm *url.URL, creds credentials, scopes []string) (string, error) {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {creds.identityToken}, "client_id": {clientID}}
	if service := l.challenge.params["service"]; service != "" {
		form.Set("service", service)
	}
	if len(scopes) > 0 {
		form.Set("scope", strings.Join(scopes, " "))
	}
	text := form.Encode()
	resp, err := l.repo.roundTrip(ctx, realm, request{
		method: http.MethodPost,
		header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		size:   int64(len(text)),
		body:   func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
	}, "")
	if err != nil {
		return "", err
	}
	defer drop(resp)
	return readToken(resp)
}

// readToken reads a token server's response.
func readToken(resp *http.Response) (string, error) {
	if isRedirect(resp) {
		to := ""
		if u, err := location(resp.Request.URL, resp); err == nil {
			to = u.Host
		}
		return "", fmt.Errorf("redirected to %q: credentials are not sent to another address", to)
	}
	if err := expect(resp, http.StatusOK); err != nil {
		return "", err
	}
	data, err := readDocument(resp, maxToken)
	if err != nil {
		return "", err
	}
	var answer struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&answer); err != nil {
		return "", errors.New("the response is not JSON with a token")
	}
	token := cmp.Or(answer.Token, answer.AccessToken)
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", errors.New("the response contains no token")
	}
	return token, nil
}

// hasPassword reports whether the credentials can be used for basic authentication.
func (c *credentials) hasPassword() bool { return c.user != "" || c.password != "" }

// basic returns the Authorization header for basic authentication, or an empty string if the
// credentials are not usable for it.
func (c *credentials) basic() string {
	if !c.hasPassword() {
		return ""
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(c.user+":"+c.password))
}
