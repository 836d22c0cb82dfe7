package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Options say how to speak to a registry. The zero Options are safe.
type Options struct {
	// Insecure allows plain HTTP, and certificates that nobody vouches for.
	Insecure bool
	// UserAgent is who we say we are, as chunkah/1.0.
	UserAgent string
	// Attempts bounds how often one request or one blob is tried; 0 is 6.
	Attempts int
	// Backoff is the wait before the second attempt, which then doubles up to half a minute; 0 is half a second.
	Backoff time.Duration
	// Warn is told what is tried again and why, and what the registry says that cannot be; nil for nobody. Calls may come
	// at the same time.
	Warn func(string)
	// Wait stands in for the clock in tests; nil is a wait that ends with the context.
	Wait func(context.Context, time.Duration) error
}

func (o Options) withDefaults() Options {
	if o.Attempts <= 0 {
		o.Attempts = defaultAttempts
	}
	if o.Backoff <= 0 {
		o.Backoff = defaultBackoff
	}
	if o.Wait == nil {
		o.Wait = sleep
	}
	return o
}

// Repository is a repository of a registry. Its methods may be called at the same time.
type Repository struct {
	ref      Ref
	opt      Options
	registry name.Registry
	base     http.RoundTripper

	mu      sync.Mutex
	creds   *credentials            // nil until they were looked for
	clients map[string]*http.Client // logged in, by what they may do
}

// Open prepares to speak to the registry of ref. Nothing is sent yet.
func Open(ref Ref, opt Options) (*Repository, error) {
	opt = opt.withDefaults()
	plain := plainHosts(ref.Registry, opt.Insecure)
	var security []name.Option
	if plain(ref.Registry) {
		security = append(security, name.Insecure)
	}
	registry, err := name.NewRegistry(ref.Registry, security...)
	if err != nil {
		return nil, fmt.Errorf("opening registry %q: %w", ref.Registry, err)
	}
	config, err := tlsConfig(ref.Registry, opt.Insecure)
	if err != nil {
		return nil, err
	}
	base := transport.NewUserAgent(&courier{inner: newTransport(config), plain: plain}, opt.UserAgent)
	return &Repository{ref: ref, opt: opt, registry: registry, base: base, clients: make(map[string]*http.Client)}, nil
}

// Ref is the reference that the repository was opened with.
func (r *Repository) Ref() Ref { return r.ref }

// scope names rights to a repository, as token servers know them.
func scope(repository, actions string) string {
	return "repository:" + repository + ":" + actions
}

// client logs in with rights to scopes.
func (r *Repository) client(ctx context.Context, scopes ...string) (*http.Client, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := strings.Join(scopes, " ")
	if c := r.clients[key]; c != nil {
		return c, nil
	}
	if r.creds == nil {
		found, err := findCredentials(ctx, r.ref)
		if err != nil {
			return nil, err
		}
		r.creds = &found
	}
	t, err := transport.NewWithContext(ctx, r.registry, r.creds.authenticator(), r.base, scopes)
	if err != nil {
		return nil, err
	}
	r.clients[key] = &http.Client{Transport: t}
	return r.clients[key], nil
}

// url is that of something in the repository.
func (r *Repository) url(kind, rest string) *url.URL {
	return &url.URL{Scheme: r.registry.Scheme(), Host: r.registry.RegistryStr(), Path: "/v2/" + r.ref.Name + "/" + kind + "/" + rest}
}

// send returns the response to a request if its status is one of those wanted. The body is the caller's to close.
func send(client *http.Client, req *http.Request, want ...int) (*http.Response, error) {
	method := req.Method
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.Request != nil && resp.Request.Method != method { // net/http follows some redirects of a PUT with a GET
		drop(resp)
		return nil, fmt.Errorf("it redirects a %s to %q in a way that drops what is sent", method, resp.Request.URL.Host)
	}
	if err := transport.CheckError(resp, want...); err != nil {
		drop(resp)
		return nil, err
	}
	return resp, nil
}

// warn tells the caller what could not be, where it asked for that.
func (r *Repository) warn(format string, args ...any) {
	if r.opt.Warn != nil {
		r.opt.Warn(fmt.Sprintf(format, args...))
	}
}

// drop closes a response that nobody reads on, in a way that lets its connection be used again.
func drop(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, maxNotice)
	_ = resp.Body.Close()
}

// maxMessage bounds what is shown of a registry's own words, in bytes.
const maxMessage = 300

// explain puts an error into words that say what to do. The address is left out: it may hold signatures, and the registry
// is named by the caller.
func (r *Repository) explain(err error) error {
	cause := err
	for {
		var inner error
		switch e := cause.(type) { //nolint:errorlint // the outermost alone: words around others stay
		case *temporaryError:
			inner = e.cause
		case *url.Error:
			inner = e.Err
		}
		if inner == nil {
			break
		}
		cause = inner
	}
	var certificate *tls.CertificateVerificationError
	var status *transport.Error
	switch {
	case errors.As(cause, &certificate): // before any answer, which may be to plain HTTP
		return fmt.Errorf("%w: put the certificate of its authority into /etc/containers/certs.d/%s/ca.crt", certificate, r.ref.Registry)
	case errors.As(cause, &status):
		text := statusText(status) + r.hint(status.StatusCode)
		if status.StatusCode == http.StatusNotFound {
			return absentError(text)
		}
		return errors.New(text)
	case errors.Is(cause, http.ErrSchemeMismatch) && !plainHosts(r.ref.Registry, r.opt.Insecure)(r.ref.Registry):
		return fmt.Errorf("%w: it speaks plain HTTP, which --insecure allows", cause)
	case errors.Is(cause, io.EOF): // net/http's word for it
		return errors.New("the connection was closed before the answer")
	}
	return cause
}

// absentError says that the registry has nothing there: it is an fs.ErrNotExist.
type absentError string

func (e absentError) Error() string { return string(e) }

func (e absentError) Is(target error) bool { return target == fs.ErrNotExist }

func statusText(e *transport.Error) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d %s", e.StatusCode, http.StatusText(e.StatusCode))
	for _, d := range e.Errors[:min(len(e.Errors), 3)] {
		fmt.Fprintf(&text, ": %.*q", maxMessage, string(d.Code)+": "+d.Message)
	}
	return text.String()
}

// hint says what to do about a status.
func (r *Repository) hint(status int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	source := ""
	if r.creds != nil {
		source = r.creds.source
	}
	switch {
	case status == http.StatusUnauthorized && source == "":
		return fmt.Sprintf(": there are no credentials for it: podman login %s", r.ref.Registry)
	case status == http.StatusUnauthorized:
		return fmt.Sprintf(": the credentials from %q are not accepted: podman login %s", source, r.ref.Registry)
	case status == http.StatusForbidden && source == "":
		return fmt.Sprintf(": nobody may do this without credentials: podman login %s", r.ref.Registry)
	case status == http.StatusForbidden:
		return fmt.Sprintf(": the credentials from %q do not allow it", source)
	case status == http.StatusNotFound:
		return ": the registry has no repository or image of this name, or does not show it"
	case status == http.StatusRequestEntityTooLarge:
		return ": the registry, or a proxy before it, does not take so much at once"
	}
	return ""
}
