package registry

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"
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
	// Timeout is how long a registry may make no progress, at any point of a request; 0 is a minute.
	Timeout time.Duration
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
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Wait == nil {
		o.Wait = sleep
	}
	return o
}

// Repository is a repository of a registry. Its methods may be called at the same time.
type Repository struct {
	ref   Ref
	opt   Options
	host  string                 // of the registry, with its port
	plain func(host string) bool // whether a host may be spoken to in plain HTTP
	inner http.RoundTripper

	connecting sync.Mutex // held while base is found out
	mu         sync.Mutex
	base       *url.URL          // scheme and host of the registry; nil until they are known
	creds      *credentials      // nil until they were looked for
	logins     map[string]*login // by origin
}

// Open prepares to speak to the registry of ref. Nothing is sent yet.
func Open(ref Ref, opt Options) (*Repository, error) {
	opt = opt.withDefaults()
	host := ref.Registry
	if host == dockerHub {
		host = dockerIndex
	}
	if err := checkHost(host); err != nil {
		return nil, fmt.Errorf("opening registry %q: %w", ref.Registry, err)
	}
	config, err := tlsConfig(ref.Registry, opt.Insecure)
	if err != nil {
		return nil, err
	}
	return &Repository{
		ref: ref, opt: opt, host: host, plain: plainHosts(ref.Registry, opt.Insecure),
		inner: newTransport(config, opt.Timeout), logins: make(map[string]*login),
	}, nil
}

// Ref is the reference that the repository was opened with.
func (r *Repository) Ref() Ref { return r.ref }

// scope names rights to a repository, as token servers know them.
func scope(repository, actions string) string {
	return "repository:" + repository + ":" + actions
}

// credentials are those for the repository, looked for once.
func (r *Repository) credentials(ctx context.Context) (credentials, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.creds == nil {
		found, err := findCredentials(ctx, r.ref)
		if err != nil {
			return credentials{}, err
		}
		r.creds = &found
	}
	return *r.creds, nil
}

// credentialsFrom is where they were found; empty for nowhere.
func (r *Repository) credentialsFrom() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.creds == nil {
		return ""
	}
	return r.creds.source
}

// url is that of something in the repository, in the scheme that the registry speaks.
func (r *Repository) url(kind, rest string) *url.URL {
	return &url.URL{Host: r.host, Path: "/v2/" + r.ref.Name + "/" + kind + "/" + rest}
}

// send sends a request, logged in and along redirects, and returns its answer if the status is one of those wanted, or a
// success where none is given. The body is the caller's to close.
func (r *Repository) send(ctx context.Context, req request, want ...int) (*http.Response, error) {
	base, err := r.connect(ctx)
	if err != nil {
		return nil, err
	}
	u := *req.url
	if u.Scheme == "" {
		u.Scheme = base.Scheme
	}
	resp, err := follow(&u, req.method, func(u *url.URL) (*http.Response, error) { return r.logIn(ctx, u, req) })
	if err != nil {
		return nil, err
	}
	if err := expect(resp, want...); err != nil {
		drop(resp)
		return nil, err
	}
	return resp, nil
}

// logIn sends a request to u with a login, and once more with a new one where that is refused.
func (r *Repository) logIn(ctx context.Context, u *url.URL, req request) (*http.Response, error) {
	l := r.loginAt(u)
	authorization, err := l.authorization(ctx, u, req.scopes)
	if err != nil {
		return nil, err
	}
	resp, err := r.roundTrip(ctx, u, req, authorization)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	renewed, err := l.renew(ctx, u, resp.Header, authorization, req.scopes)
	if err != nil {
		drop(resp)
		return nil, err
	}
	if renewed == "" {
		return resp, nil
	}
	drop(resp)
	return r.roundTrip(ctx, u, req, renewed)
}

// warn tells the caller what could not be, where it asked for that.
func (r *Repository) warn(format string, args ...any) {
	if r.opt.Warn != nil {
		r.opt.Warn(fmt.Sprintf(format, args...))
	}
}
