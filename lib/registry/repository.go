package registry

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Options define how to connect to a registry. The zero Options are safe.
type Options struct {
	// Insecure allows plain HTTP and untrusted certificates.
	Insecure bool
	// UserAgent identifies the client, for example chunkah/1.0.
	UserAgent string
	// Helpers lists the credential helpers in the order in which they are called. The entry
	// "containers-auth.json" represents the credential files. If the list is empty, only the
	// credential files are used.
	Helpers []string
	// Attempts is how often a request or a blob is tried before an error is returned; 0 means 6.
	Attempts int
	// Backoff is the wait before the second attempt. It doubles up to half a minute; 0 means half a
	// second.
	Backoff time.Duration
	// Timeout is how long a request may go without progress; 0 means a minute.
	Timeout time.Duration
	// Warn receives messages about retries and about responses that cannot be right. If it is nil,
	// the messages are ignored. Several goroutines can call it at the same time.
	Warn func(string)
	// Wait replaces the clock in tests. If it is nil, the program waits until the time is over or
	// the context ends.
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

// Repository is a repository of a registry. Its methods can be called concurrently.
type Repository struct {
	ref   Ref
	opt   Options
	host  string                 // host of the registry, with its port
	plain func(host string) bool // whether plain HTTP is allowed for a host
	inner http.RoundTripper

	connecting sync.Mutex // held while base is determined
	mu         sync.Mutex
	base       *url.URL          // scheme and host of the registry; nil until known
	creds      *credentials      // nil until looked up
	logins     map[string]*login // by origin
}

// Open prepares access to the registry of ref. It sends nothing yet.
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

// Ref returns the reference with which the repository was opened.
func (r *Repository) Ref() Ref { return r.ref }

// scope returns the rights to a repository in the form that token servers expect.
func scope(repository, actions string) string {
	return "repository:" + repository + ":" + actions
}

// credentials returns the repository's credentials. It looks for them only once.
func (r *Repository) credentials(ctx context.Context) (credentials, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.creds == nil {
		found, err := findCredentials(ctx, r.ref, r.opt.Helpers)
		if err != nil {
			return credentials{}, err
		}
		r.creds = &found
	}
	return *r.creds, nil
}

// credentialsFrom returns the source of the credentials, or an empty string if there are no
// credentials.
func (r *Repository) credentialsFrom() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.creds == nil {
		return ""
	}
	return r.creds.source
}

// url returns a URL in the repository. send adds the scheme.
func (r *Repository) url(kind, rest string) *url.URL {
	return &url.URL{Host: r.host, Path: "/v2/" + r.ref.Name + "/" + kind + "/" + rest}
}

// send sends a request with a login, follows redirects, and returns the response if its status is
// in want, or any success if want is empty. The caller closes the body.
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

// logIn sends a request to u with a login, and again with a new login if the server refuses the
// first.
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

// warn sends a warning to the caller if Options.Warn is set.
func (r *Repository) warn(format string, args ...any) {
	if r.opt.Warn != nil {
		r.opt.Warn(fmt.Sprintf(format, args...))
	}
}
