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
	// maxMessage bounds what is shown of a registry's own words, in bytes.
	maxMessage = 300
	// maxDetails bounds how many errors of one answer are shown.
	maxDetails = 3
)

// statusError is an answer that refuses a request.
type statusError struct {
	code    int
	details []string // what the registry says of it
	place   string   // "logging in at ...: " where that is what was refused
}

func (e *statusError) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s%d %s", e.place, e.code, http.StatusText(e.code))
	for _, d := range e.details {
		fmt.Fprintf(&text, ": %.*q", maxMessage, d)
	}
	return text.String()
}

// expect returns an error unless an answer has one of those statuses, or any that is a success where none is given.
func expect(resp *http.Response, want ...int) error {
	if slices.Contains(want, resp.StatusCode) || len(want) == 0 && resp.StatusCode/100 == 2 {
		return nil
	}
	return readStatus(resp)
}

// readStatus reads an answer that refuses a request.
func readStatus(resp *http.Response) *statusError {
	e := &statusError{code: resp.StatusCode}
	data, _ := io.ReadAll(io.LimitReader(resp.Body, maxNotice)) // what there is of it
	var body struct {
		Errors []struct{ Code, Message string }
	}
	if json.Unmarshal(data, &body) != nil {
		return e // of a proxy, in HTML
	}
	for _, d := range body.Errors[:min(len(body.Errors), maxDetails)] {
		e.details = append(e.details, redact(d.Code+": "+d.Message))
	}
	return e
}

// refuses tells whether err is an answer with a status that another try does not change.
func refuses(err error) bool {
	var status *statusError
	var temporary *temporaryError
	return errors.As(err, &status) && !errors.As(err, &temporary)
}

// queries finds those of URLs, which may be signatures.
var queries = regexp.MustCompile(`(?i)(https?://[^\s"'<>?]*)\?[^\s"'<>]*`)

// redact leaves the queries of URLs out of a server's words.
func redact(text string) string { return queries.ReplaceAllString(text, "${1}?...") }

// redactedError is an error whose text holds no signatures.
type redactedError struct {
	text  string
	cause error
}

func (e *redactedError) Error() string { return e.text }
func (e *redactedError) Unwrap() error { return e.cause }

// explain puts an error into words that say what to do, without the queries of URLs.
func (r *Repository) explain(err error) error {
	err = r.advise(err)
	if text := err.Error(); redact(text) != text {
		return &redactedError{redact(text), err}
	}
	return err
}

func (r *Repository) advise(err error) error {
	cause := err
	if temporary, ok := cause.(*temporaryError); ok { //nolint:errorlint // the outermost alone: words around others stay
		cause = temporary.cause
	}
	var certificate *tls.CertificateVerificationError
	var status *statusError
	switch {
	case errors.As(cause, &certificate): // before any answer, which may be to plain HTTP
		return fmt.Errorf("%w: put the certificate of its authority into /etc/containers/certs.d/%s/ca.crt", certificate, r.ref.Registry)
	case errors.As(cause, &status):
		text := status.Error() + r.hint(status.code)
		if status.code == http.StatusNotFound {
			return absentError(text)
		}
		return errors.New(text)
	case isPlain(cause) && !r.plain(r.ref.Registry):
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

// hint says what to do about a status.
func (r *Repository) hint(status int) string {
	source := r.credentialsFrom()
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
