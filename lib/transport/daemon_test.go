package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/image"
	"chunkah/lib/oci"
)

// daemonServing returns a destination in a daemon that handles a load with the given function.
func daemonServing(t *testing.T, ctx context.Context, load http.HandlerFunc) oci.Destination {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "docker.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/images/load" {
			load(w, r)
		}
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	t.Setenv("DOCKER_HOST", "unix://"+socket)
	to, err := ParseDestination("docker-daemon:app:1")
	if err != nil {
		t.Fatal(err)
	}
	dest, err := to.Create(ctx, to, image.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dest.Discard() })
	return dest
}

// writeMuch writes a large blob.
func writeMuch(dest oci.Destination) error {
	data := strings.Repeat("x", 4<<20)
	return dest.Blob(v1.Descriptor{MediaType: v1.MediaTypeImageLayer, Digest: digest.FromString(data), Size: int64(len(data))}, oci.Hint{}, oci.Data([]byte(data)))
}

// If a daemon stops or refuses the image, or the build is cancelled, neither side waits for the
// other.
func TestDaemonStops(t *testing.T) {
	t.Run("stops", func(t *testing.T) {
		dest := daemonServing(t, t.Context(), func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.CopyN(io.Discard, r.Body, 1000)
			panic(http.ErrAbortHandler)
		})
		if err := writeMuch(dest); err == nil || !strings.Contains(err.Error(), `writing archive "docker-daemon:app:1"`) || !strings.Contains(err.Error(), "calling the Docker daemon") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("refuses", func(t *testing.T) {
		dest := daemonServing(t, t.Context(), func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, `{"error":"no space left on device"}`)
		})
		if _, err := dest.Finish([]byte(`{"schemaVersion":2,"manifests":[]}`)); err == nil {
			t.Error("an index of nothing is finished")
		}
		if err := dest.Commit(); err == nil {
			t.Error("it is committed")
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		dest := daemonServing(t, ctx, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		why := errors.New("enough")
		go cancel(why)
		if err := writeMuch(dest); !errors.Is(err, why) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("discarded", func(t *testing.T) {
		got := make(chan error, 1)
		dest := daemonServing(t, t.Context(), func(_ http.ResponseWriter, r *http.Request) {
			_, err := io.Copy(io.Discard, r.Body)
			got <- err
		})
		if err := errors.Join(writeMuch(dest), dest.Discard()); err != nil {
			t.Error(err)
		}
		if err := <-got; err == nil {
			t.Error("the daemon had a whole archive")
		}
	})
	t.Run("readable", func(t *testing.T) {
		to, err := ParseDestination("docker-daemon:app:1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := to.Create(t.Context(), to, image.CreateOptions{Options: oci.Options{Readable: true}}); err == nil || !strings.Contains(err.Error(), "docker-archive:FILE") {
			t.Errorf("got %v", err)
		}
	})
}
