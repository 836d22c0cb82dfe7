// Package daemon reads images from a Docker daemon and loads images into it. It uses the HTTP API
// that docker save and docker load use, on the daemon's socket.
package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"chunkah/lib/oci"
)

// maxAnswer is the largest size of responses other than images, in bytes. They contain at most the
// config of an image.
const maxAnswer = oci.MaxDocument

// Client is a client for one daemon.
type Client struct {
	http   *http.Client
	socket string
}

// Open returns a client for the daemon in DOCKER_HOST, or else for the local daemon.
func Open() (*Client, error) {
	socket, err := socketOf(os.Getenv("DOCKER_HOST"), os.Getenv("XDG_RUNTIME_DIR"))
	if err != nil {
		return nil, err
	}
	return newClient(socket), nil
}

func newClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}
	return &Client{&http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}, socket}
}

const systemSocket = "/var/run/docker.sock"

// socketOf returns the socket of the system's daemon, or else of a rootless daemon.
func socketOf(host, runtimeDir string) (string, error) {
	socket, isUnix := strings.CutPrefix(host, "unix://")
	switch {
	case host != "" && (!isUnix || !filepath.IsAbs(socket)):
		return "", fmt.Errorf("DOCKER_HOST is %q, but only unix:///SOCKET is supported: use docker save and docker load", host)
	case host != "":
		return socket, nil
	}
	if own := filepath.Join(runtimeDir, "docker.sock"); runtimeDir != "" && !isSocket(systemSocket) && isSocket(own) {
		return own, nil
	}
	return systemSocket, nil
}

func isSocket(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&os.ModeSocket != 0
}

// Runs reports whether the daemon's socket exists.
func (c *Client) Runs() bool { return isSocket(c.socket) }

// Ping checks that the daemon responds.
func (c *Client) Ping(ctx context.Context) error {
	answer, err := c.call(ctx, http.MethodGet, "/_ping", nil)
	if err != nil {
		return err
	}
	return answer.Close()
}

// ID returns the ID of an image. If the image does not exist, the error wraps fs.ErrNotExist.
func (c *Client) ID(ctx context.Context, name string) (string, error) {
	answer, err := c.call(ctx, http.MethodGet, "/images/"+name+"/json", nil)
	if err != nil {
		return "", err
	}
	defer answer.Close()
	var image struct{ ID string }
	if err := json.NewDecoder(io.LimitReader(answer, maxAnswer)).Decode(&image); err != nil {
		return "", fmt.Errorf("reading the Docker daemon's response for %q: %w", name, err)
	}
	if image.ID == "" {
		return "", fmt.Errorf("the Docker daemon reports no ID for %q", name)
	}
	return image.ID, nil
}

// Save returns a docker archive that contains the image.
func (c *Client) Save(ctx context.Context, name string) (io.ReadCloser, error) {
	return c.call(ctx, http.MethodGet, "/images/"+name+"/get", nil)
}

// Load loads the images in a docker archive into the daemon. When it returns nil, the images exist.
func (c *Client) Load(ctx context.Context, archive io.Reader) error {
	answer, err := c.call(ctx, http.MethodPost, "/images/load?quiet=1", archive)
	if err != nil {
		return err
	}
	defer answer.Close()
	return loaded(answer)
}

// loaded reads the messages in the response to a load. Any message can be an error.
func loaded(answer io.Reader) error {
	messages := json.NewDecoder(io.LimitReader(answer, maxAnswer))
	for {
		var m struct{ Error string }
		if err := messages.Decode(&m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading the Docker daemon's response: %w", err)
		}
		if m.Error != "" {
			return fmt.Errorf("the Docker daemon reports %q", m.Error)
		}
	}
}

// call sends a request and returns the body of the response.
func (c *Client) call(ctx context.Context, method, path string, body io.Reader) (io.ReadCloser, error) {
	at, query, _ := strings.Cut(path, "?")
	u := url.URL{Scheme: "http", Host: "docker", Path: at, RawQuery: query}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-tar")
	}
	answer, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	return nil, refused(answer)
}

// unreachable explains why a request failed without a response.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if wrapped, is := errors.AsType[*url.Error](err); is {
		err = wrapped.Err
	}
	if errors.Is(err, fs.ErrNotExist) { // the socket is missing, not an image
		return fmt.Errorf("no Docker daemon at %q: start it, or set DOCKER_HOST", c.socket)
	}
	return fmt.Errorf("calling the Docker daemon at %q: %w", c.socket, err)
}

// missingError means that the image does not exist.
type missingError struct{ text string }

func (e missingError) Error() string        { return e.text }
func (e missingError) Is(target error) bool { return target == fs.ErrNotExist }

// refused returns the error of an HTTP response.
func refused(answer *http.Response) error {
	var said struct{ Message string }
	data, _ := io.ReadAll(io.LimitReader(answer.Body, maxAnswer)) // if this fails, only the status is reported
	if json.Unmarshal(data, &said) != nil || said.Message == "" {
		said.Message = answer.Status
	}
	if answer.StatusCode == http.StatusNotFound {
		return missingError{fmt.Sprintf("the Docker daemon reports %q", said.Message)}
	}
	return fmt.Errorf("the Docker daemon reports %q", said.Message)
}
