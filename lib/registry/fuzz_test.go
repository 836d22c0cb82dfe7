package registry

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"chunkah/lib/oci"
	"chunkah/tests/bound"
)

// script answers each request with the next raw bytes. It checks that no credentials are sent in
// plain text, and that no token is sent to another host.
type script struct {
	t        *testing.T
	answers  [][]byte
	requests int
}

// between separates the responses of a script.
const between = "\n%%\n"

func (s *script) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_, _ = io.Copy(io.Discard, req.Body) // errors do not matter here
		_ = req.Body.Close()
	}
	if req.URL.Scheme != "https" {
		s.t.Errorf("a request goes to %q", req.URL)
	}
	if auth := req.Header.Get("Authorization"); strings.HasPrefix(auth, "Bearer ") && req.URL.Host != "registry.example" {
		s.t.Errorf("a token of registry.example goes to %q", req.URL.Host)
	}
	if s.requests++; s.requests > 1000 {
		s.t.Fatalf("%d requests", s.requests)
	}
	if len(s.answers) == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	answer := s.answers[0]
	s.answers = s.answers[1:]
	return http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), req)
}

// FuzzAnswers checks that reads and pushes end, regardless of the registry's responses. Data that
// was read matches its digest, and errors name the registry.
func FuzzAnswers(f *testing.F) {
	layer := []byte("text")
	sum := digest.FromBytes(layer)
	add := func(task byte, answers ...string) { f.Add(task, []byte(strings.Join(answers, between))) }
	const ping = "HTTP/1.1 200 OK\r\n\r\n"
	add(0, ping, "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.oci.image.index.v1+json\r\nContent-Length: 2\r\n\r\n{}")
	add(0, "HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm=\"https://tokens.example/t?x=1\",service=\"registry.example\",scope=\"a:b:c\"\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\n{\"token\":\"abc\",\"expires_in\":60}",
		"HTTP/1.1 307 Go\r\nLocation: https://cdn.example/x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\n\r\n{}")
	add(1, "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\r\n", "HTTP/1.1 404 No\r\n\r\n{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"no\"}]}")
	add(1, ping, "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntext\r\n0\r\n\r\n")
	add(2, ping, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntext")
	add(2, ping, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nte", "HTTP/1.1 206 Part\r\nContent-Range: bytes 2-3/4\r\nContent-Length: 2\r\n\r\nxt")
	add(2, ping, "HTTP/1.1 503 Later\r\nRetry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\nDate: Wed, 21 Oct 2015 07:27:00 GMT\r\n\r\n", "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\n\r\n")
	opened := "HTTP/1.1 202 OK\r\nLocation: /v2/team/app/blobs/uploads/1?a=b\r\n\r\n"
	created := "HTTP/1.1 201 OK\r\nDocker-Content-Digest: " + sum.String() + "\r\n\r\n"
	add(3, ping, opened, "HTTP/1.1 204 OK\r\n\r\n", "HTTP/1.1 404 No\r\n\r\n", opened, created, "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 404 No\r\n\r\n", "HTTP/1.1 201 OK\r\n\r\n")
	add(3, ping, opened, "HTTP/1.1 204 OK\r\n\r\n", "HTTP/1.1 404 No\r\n\r\n", opened, "HTTP/1.1 405 No\r\n\r\n", opened, opened, created, "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nDocker-Content-Digest: x\r\n\r\n", "HTTP/1.1 204 OK\r\n\r\n")
	add(3, ping, opened, "HTTP/1.1 404 No\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 202 OK\r\nLocation: http://other.example/\r\n\r\n")

	credentialsIn(f, `{"auths":{"registry.example":{"auth":"dXNlcjpwYXNz"}}}`)
	ref, err := ParseRef("registry.example/team/app:1")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, task byte, answers []byte) {
		bound.Input(t, len(answers))
		s := &script{t: t, answers: bytes.Split(answers, []byte(between))}
		repo, err := Open(ref, (&clock{}).options())
		if err != nil {
			t.Fatal(err)
		}
		repo.inner = s
		var data []byte
		switch task % 4 {
		case 0, 1:
			name := []string{"1", sum.String()}[task%4]
			if data, _, err = repo.Manifest(t.Context(), name); err == nil && (len(data) > oci.MaxDocument || task%4 == 1 && digest.FromBytes(data) != sum) {
				t.Errorf("manifest %q has %d bytes: %.100q", name, len(data), data)
			}
		case 2:
			if data, err = readBlob(t.Context(), repo, layer); err == nil && !bytes.Equal(data, layer) {
				t.Errorf("the blob is %q", data)
			}
		case 3:
			err = newImage(t, layer).push(t.Context(), repo)
		}
		if err != nil && !strings.Contains(err.Error(), "registry.example/team/app") {
			t.Errorf("the error does not name the repository: %v", err)
		}
		if err != nil && len(err.Error()) > 4000 {
			t.Errorf("an error of %d bytes: %.200q", len(err.Error()), err)
		}
	})
}

func readBlob(ctx context.Context, repo *Repository, blob []byte) ([]byte, error) {
	in, err := repo.Blob(ctx, descriptor(blob))
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(in)
	return data, errors.Join(err, in.Close())
}

// FuzzCredentials checks that a credential file results in the same credentials each time, or in an
// error that names the file.
func FuzzCredentials(f *testing.F) {
	for _, s := range []string{
		`{"auths":{"registry.example":{"auth":"dXNlcjpwYXNz"},"registry.example/team":{"username":"u","password":"p"}}}`,
		`{"auths":{"https://registry.example/v1/":{"identitytoken":"t"},"http://registry.example":{"auth":"!"}},"credsStore":"x"}`,
		`{"auths":{"https://index.docker.io/v1/":{"auth":"OnBhc3M="}},"credHelpers":{"registry.example":"../x","docker.io":"y"}}`,
		`{"auths":null}`, " ", `{"auths":[]}`,
	} {
		f.Add([]byte(s), "registry.example/team/app")
		f.Add([]byte(s), "app")
	}
	path := credentialsIn(f, "")
	f.Setenv("PATH", f.TempDir()) // no helpers are installed
	f.Fuzz(func(t *testing.T, data []byte, image string) {
		bound.Input(t, len(data)+len(image))
		ref, err := ParseRef(image)
		if err != nil {
			return
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		found, err := findCredentials(t.Context(), ref, nil)
		again, againErr := findCredentials(t.Context(), ref, nil)
		if found != again || fmt.Sprint(err) != fmt.Sprint(againErr) {
			t.Errorf("found %+v, %v, and then %+v, %v", found, err, again, againErr)
		}
		if err != nil && !strings.Contains(err.Error(), path) {
			t.Errorf("the error does not name the file: %v", err)
		}
		if err == nil && (found.source == "") != found.none() {
			t.Errorf("found %+v", found)
		}
	})
}

// credentialsIn writes a credential file and makes it the file to read.
func credentialsIn(f *testing.F, text string) string {
	f.Helper()
	path := filepath.Join(f.TempDir(), "auth.json")
	f.Setenv("REGISTRY_AUTH_FILE", path)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		f.Fatal(err)
	}
	return path
}
