package registry

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chunkah/lib/oci"
)

// conn takes over a request's connection and runs the function do, which acts as a server that does
// not answer.
func conn(do func(c net.Conn, stop <-chan struct{})) func(stop <-chan struct{}) http.HandlerFunc {
	return func(stop <-chan struct{}) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			defer c.Close()
			do(c, stop)
		}
	}
}

// stalls lists, by description, the ways in which a response can fail to arrive.
var stalls = map[string]struct {
	do    func(stop <-chan struct{}) http.HandlerFunc
	words string
}{
	"silence": {conn(func(_ net.Conn, stop <-chan struct{}) { <-stop }), "no progress for"},
	"half a header": {conn(func(c net.Conn, stop <-chan struct{}) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Le")
		<-stop
	}), "no progress for"},
	"headers without end": {conn(func(c net.Conn, stop <-chan struct{}) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		drip(c, "X-More: of them\r\n", stop)
	}), "no progress for"},
	"many headers": {conn(func(c net.Conn, _ <-chan struct{}) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		for {
			if _, err := io.WriteString(c, "X-More: "+strings.Repeat("x", 1<<10)+"\r\n"); err != nil {
				return
			}
		}
	}), "tried "},
	"provisional answers": {conn(func(c net.Conn, stop <-chan struct{}) { drip(c, "HTTP/1.1 103 Early Hints\r\n\r\n", stop) }), "no progress for"},
	"another protocol": {conn(func(c net.Conn, stop <-chan struct{}) {
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
		<-stop
	}), "101 Switching Protocols to a"},
	"a body that stalls": {conn(func(c net.Conn, stop <-chan struct{}) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{")
		<-stop
	}), "no progress for"},
	"a body in drops": {conn(func(c net.Conn, stop <-chan struct{}) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
		drip(c, " ", stop)
	}), "no progress for"},
}

// drip sends a little text again and again.
func drip(c net.Conn, text string, stop <-chan struct{}) {
	for tick := time.NewTicker(time.Millisecond); ; {
		select {
		case <-stop:
			return
		case <-tick.C:
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
		}
	}
}

// places lists the operations that can stall, and the request that stalls in each operation. If
// needless is set, the operation does not need the response's body.
var places = map[string]struct {
	kind     string
	needless bool
	do       func(context.Context, *Repository) error
}{
	"ping":     {"GET ping", true, readTag},
	"token":    {"GET token", false, readTag},
	"manifest": {"GET tag", false, readTag},
	"blob": {"GET blob", false, func(ctx context.Context, repo *Repository) error {
		_, err := readBlob(ctx, repo, make([]byte, 100_000))
		return err
	}},
	"looking for a blob": {"HEAD blob", true, pushAny},
	"opening an upload":  {"POST upload", true, pushAny},
	"upload":             {"PUT blob", true, pushLarge},
	"tag":                {"PUT tag", true, pushAny},
	"redirect":           {"GET elsewhere", false, readTag},
}

func readTag(ctx context.Context, repo *Repository) error {
	_, _, err := repo.Manifest(ctx, "1")
	return err
}

func pushAny(ctx context.Context, repo *Repository) error {
	img, err := buildImage([]byte("layer"))
	if err != nil {
		return err
	}
	return img.push(ctx, repo)
}

func pushLarge(ctx context.Context, repo *Repository) error {
	img, err := largeImage()
	if err != nil {
		return err
	}
	return img.push(ctx, repo)
}

// largeImage contains a layer that does not fit into the connection's buffers.
var largeImage = sync.OnceValues(func() (*image, error) { return buildImage(make([]byte, 16<<20)) })

// stalling is a registry that stalls requests of one kind.
func stalling(t *testing.T, kind string, do http.HandlerFunc) *server {
	t.Helper()
	s := newServer(t)
	tokens := &tokens{good: 1 << 30}
	s.with(func(k string, n int, w http.ResponseWriter, r *http.Request) bool {
		switch {
		case r.URL.Path == "/token":
			k = "GET token"
		case r.URL.Path == "/elsewhere":
			k = "GET elsewhere"
		}
		switch {
		case k == kind:
			do(w, r)
		case kind == "GET elsewhere" && k == "GET tag":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		case kind == "GET token":
			return tokens.answer(k, n, w, r)
		default:
			return false
		}
		return true
	})
	return s
}

// If a registry stalls anywhere, the request ends with an error and is retried once.
func TestStalls(t *testing.T) {
	for place, p := range places {
		for how, stall := range stalls {
			if testing.Short() && how != "silence" && how != "another protocol" {
				continue // each takes the full timeout twice
			}
			t.Run(place+": "+how, func(t *testing.T) {
				t.Parallel()
				stop := make(chan struct{})
				defer close(stop)
				s := stalling(t, p.kind, stall.do(stop))
				repo := s.openStalled(t, 50*time.Millisecond)
				err := p.do(t.Context(), repo)
				if p.needless && strings.HasPrefix(how, "a body") {
					return // with any result
				}
				contains(t, err, stall.words)
				if strings.HasPrefix(stall.words, "no progress") {
					contains(t, err, "--registry-timeout", "tried 2 times")
				}
			})
		}
	}
}

// openStalled opens the repository without credentials and with a timeout.
func (s *server) openStalled(t *testing.T, timeout time.Duration) *Repository {
	t.Helper()
	opt := (&clock{}).options()
	opt.Timeout = timeout
	repo, err := Open(s.ref(t, "team/app:1"), opt)
	if err != nil {
		t.Fatal(err)
	}
	repo.creds = &credentials{user: "user", password: "pass", source: "test"}
	return repo
}

// The same applies to a server that does not answer, or does not use TLS.
func TestStalledConnection(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() // it accepts no connections
	for _, insecure := range []bool{false, true} {
		opt := (&clock{}).options()
		opt.Timeout, opt.Insecure = 50*time.Millisecond, insecure
		repo, err := Open(Ref{Registry: listener.Addr().String(), Name: "app", Tag: "1"}, opt)
		if err != nil {
			t.Fatal(err)
		}
		if !insecure {
			repo.plain = func(string) bool { return false } // as for a remote registry
		}
		contains(t, readTag(t.Context(), repo), "tried 2 times")
	}
}

// A stalled HTTP/2 request ends too, and so does its connection.
func TestStalledHTTP2(t *testing.T) {
	stop := make(chan struct{})
	var protocol atomic.Value
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocol.Store(r.Proto)
		if r.URL.Path != "/v2/" {
			<-stop
		}
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	defer close(stop)
	noCredentials(t)
	opt := (&clock{}).options()
	opt.Timeout, opt.Insecure = 100*time.Millisecond, true
	repo, err := Open(Ref{Registry: strings.TrimPrefix(s.URL, "https://"), Name: "app", Tag: "1"}, opt)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, readTag(t.Context(), repo), "no progress for", "tried 2 times")
	if protocol.Load() != "HTTP/2.0" {
		t.Errorf("it spoke %s", protocol.Load())
	}
}

// Cancelling the context ends a request immediately, in every state.
func TestStallsStop(t *testing.T) {
	cause := errors.New("enough")
	for place, p := range places {
		for how, stall := range stalls {
			if stall.words != "no progress for" || p.needless && strings.HasPrefix(how, "a body") {
				continue // the request ends without being cancelled
			}
			t.Run(place+": "+how, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithCancelCause(t.Context())
				stop := make(chan struct{})
				defer close(stop)
				var once sync.Once
				s := stalling(t, p.kind, func(w http.ResponseWriter, r *http.Request) {
					once.Do(func() { time.AfterFunc(10*time.Millisecond, func() { cancel(cause) }) })
					stall.do(stop)(w, r)
				})
				if err := p.do(ctx, s.openStalled(t, time.Hour)); !errors.Is(err, cause) {
					t.Errorf("error %v, want %v", err, cause)
				}
			})
		}
	}
}

// Time that this program itself needs does not count as a stall.
func TestSlowSourceIsNoStall(t *testing.T) {
	s := newServer(t)
	const bound, slower = 250 * time.Millisecond, 300 * time.Millisecond
	repo := s.openStalled(t, bound)
	p, err := repo.Push(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Discard()
	blob := random(t, 1<<20)
	slow := func(w io.Writer) error {
		for part := range 2 {
			time.Sleep(slower)
			if _, err := w.Write(blob[part<<19 : (part+1)<<19]); err != nil {
				return err
			}
		}
		return nil
	}
	if err := p.Blob(descriptor(blob), oci.Hint{}, slow); err != nil {
		t.Error(err)
	}
	in, err := repo.Blob(t.Context(), descriptor(blob))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	for part := make([]byte, 1<<19); ; time.Sleep(slower) {
		if _, err := io.ReadFull(in, part); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if n := s.seen("PUT blob"); n != 1 {
		t.Errorf("the blob was sent %d times", n)
	}
}
