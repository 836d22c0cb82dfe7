package registry

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"chunkah/lib/oci"
)

// formatCodes lists error codes of registries that do not accept a manifest's format. Registries
// that look for the tag in the manifest, as in Docker's first format, return TAG_INVALID.
var formatCodes = []string{"MANIFEST_INVALID", "TAG_INVALID"}

// refusesFormat reports whether an error can mean that the registry does not accept OCI manifests.
func refusesFormat(err error) bool {
	var status *statusError
	if !errors.As(err, &status) {
		return false
	}
	return status.code == http.StatusUnsupportedMediaType || status.code == http.StatusBadRequest &&
		slices.ContainsFunc(status.details, func(d string) bool {
			code, _, _ := strings.Cut(d, ":")
			return slices.Contains(formatCodes, code)
		})
}

// FormatError means that a registry refuses OCI manifests, and that Push.Convert is not set.
type FormatError struct{ err error }

func (e *FormatError) Error() string { return e.err.Error() }
func (e *FormatError) Unwrap() error { return e.err }

// orDocker pushes manifests, and pushes them again in Docker's format if the registry refuses the
// OCI format. If the registry refuses both formats, orDocker returns the first error, which is more
// useful.
func (p *Push) orDocker(push func() (what string, refused bool, err error)) error {
	what, refused, err := push()
	if refused && p.Convert && p.docker == nil {
		before, top := p.manifests, p.top
		if impossible := p.toDocker(); impossible != nil {
			return p.fail(what, fmt.Errorf("%w (%w)", err, impossible))
		}
		if _, _, again := push(); again == nil {
			p.repo.warn("%q refuses OCI manifests (%v): using Docker's format, as with --manifest-type docker, with the digest %s",
				p.repo.ref.Registry, err, p.top.Descriptor.Digest)
			return nil
		}
		p.manifests, p.top, p.docker = before, top, nil
	}
	if refused && !p.Convert && strings.HasPrefix(p.top.Descriptor.MediaType, "application/vnd.oci.") {
		err = &FormatError{err}
	}
	return p.fail(what, err)
}

// toDocker converts the manifests to Docker's format.
func (p *Push) toDocker() error {
	docs, err := oci.ToDocker(p.manifests)
	if err != nil {
		return err
	}
	top := p.top
	p.docker = map[digest.Digest]digest.Digest{}
	for i, doc := range p.manifests {
		p.docker[doc.Descriptor.Digest] = docs[i].Descriptor.Digest
		if doc.Descriptor.Digest == top.Descriptor.Digest {
			p.top = &docs[i]
		}
	}
	p.manifests = docs
	return nil
}

// Written implements oci.Destination.
func (p *Push) Written(d digest.Digest) []digest.Digest {
	if now, converted := p.docker[d]; converted {
		d = now
	}
	return []digest.Digest{d}
}
