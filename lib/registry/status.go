package registry

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

const (
	// maxMessage is the largest part of a registry's text that a message shows, in bytes.
	maxMessage = 300
	// maxDetails is the largest number of errors from one response that a message shows.
	maxDetails = 3
)

// statusError is a response with an error status.
type statusError struct {
	code    int
	details []string // the errors in the registry's response
	place   string   // "logging in at ...: " if the server refused a login
}

func (e *statusError) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s%d %s", e.place, e.code, http.StatusText(e.code))
	for _, d := range e.details {
		fmt.Fprintf(&text, ": %.*q", maxMessage, d)
	}
	return text.String()
}

// expect returns an error unless the response's status is in want, or any success if want is empty.
func expect(resp *http.Response, want ...int) error {
	if slices.Contains(want, resp.StatusCode) || len(want) == 0 && resp.StatusCode/100 == 2 {
		return nil
	}
	return readStatus(resp)
}

// readStatus reads a response with an error status.
func readStatus(resp *http.Response) *statusError {
	e := &statusError{code: resp.StatusCode}
	data, _ := io.ReadAll(io.LimitReader(resp.Body, maxNotice)) // as much as arrives
	var body struct {
		Errors []struct{ Code, Message string }
	}
	if json.Unmarshal(data, &body) != nil {
		return e // not JSON, for example HTML from a proxy
	}
	for _, d := range body.Errors[:min(len(body.Errors), maxDetails)] {
		e.details = append(e.details, redact(d.Code+": "+d.Message))
	}
	return e
}

// refuses reports whether err is a response with a permanent error status.
func refuses(err error) bool {
	var status *statusError
	var temporary *temporaryError
	return errors.As(err, &status) && !errors.As(err, &temporary)
}

// queries matches the queries of URLs, which can contain signatures.
var queries = regexp.MustCompile(`(?i)(https?://[^\s"'<>?]*)\?[^\s"'<>]*`)

// redact removes the queries of URLs from a server's text.
func redact(text string) string { return queries.ReplaceAllString(text, "${1}?...") }

// redactedError is an error without signatures in its text.
type redactedError struct {
	text  string
	cause error
}

func (e *redactedError) Error() string { return e.text }
func (e *redactedError) Unwrap() error { return e.cause }

// explain adds advice to an error and removes the queries of URLs.
func (r *Repository) explain(err error) error {
	err = r.advise(err)
	if text := err.Error(); redact(text) != text {
		return &redactedError{redact(text), err}
	}
	return err
}

func (r *Repository) advise(err error) error {
	cause := err
	if temporary, ok := cause.(*temporaryError); ok { //nolint:errorlint // only the outermost error, so that messages around inner errors remain
		cause = temporary.cause
	}
	var certificate *tls.CertificateVerificationError
	var status *statusError
	switch {
	case errors.As(cause, &certificate): // checked first, because plain HTTP can cause this error too
		return fmt.Errorf("%w: put the certificate of its authority into /etc/containers/certs.d/%s/ca.crt", certificate, r.ref.Registry)
	case errors.As(cause, &status):
		text := status.Error() + r.hint(status.code)
		if status.code == http.StatusNotFound {
			return absentError(text)
		}
		return errors.New(text)
	case isPlain(cause) && !r.plain(r.ref.Registry):
		return fmt.Errorf("%w: the server uses plain HTTP: allow it with --insecure", cause)
	case errors.Is(cause, io.EOF): // net/http returns it if the server closes the connection
		return errors.New("the connection was closed before the response")
	}
	return cause
}

// absentError means that the registry does not have what was requested. It is an fs.ErrNotExist.
type absentError string

func (e absentError) Error() string { return string(e) }

func (e absentError) Is(target error) bool { return target == fs.ErrNotExist }

// hint returns advice about a status.
func (r *Repository) hint(status int) string {
	source := r.credentialsFrom()
	switch {
	case status == http.StatusUnauthorized && source == "":
		return fmt.Sprintf(": no credentials found: podman login %s", r.ref.Registry)
	case status == http.StatusUnauthorized:
		return fmt.Sprintf(": the credentials from %q are not accepted: podman login %s", source, r.ref.Registry)
	case status == http.StatusForbidden && source == "":
		return fmt.Sprintf(": credentials are required: podman login %s", r.ref.Registry)
	case status == http.StatusForbidden:
		return fmt.Sprintf(": the user of the credentials from %q is not permitted to do this", source)
	case status == http.StatusNotFound:
		return ": the registry has no repository or image with this name, or hides it"
	case status == http.StatusRequestEntityTooLarge:
		return ": the registry, or a proxy in front of it, rejects requests of this size"
	}
	return ""
}
