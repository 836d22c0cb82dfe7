package registry

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/opencontainers/go-digest"

	"chunkah/lib/oci"
)

const (
	dockerHub   = "docker.io"       // the default registry
	dockerIndex = "index.docker.io" // another name for docker.io, and the host of its API
)

// Ref names an image in a registry.
type Ref struct {
	Registry string        // host, and port if given: registry.example:5000
	Name     string        // repository in the registry: team/app
	Tag      string        // empty only if there is a digest
	Digest   digest.Digest // takes precedence over the tag; empty if there is no digest
}

// ParseRef parses a reference as podman and skopeo parse the part after docker://, which is
// [HOST[:PORT]/]NAME[:TAG][@DIGEST]. The first part is a host if it contains a dot or a port or is
// localhost. If there is no host, the registry is docker.io, and a name with one part is in
// library/. If there is neither a tag nor a digest, the tag is latest. A host without a name is
// refused, because docker would interpret localhost:5000 as an image in docker.io.
func ParseRef(s string) (Ref, error) {
	if strings.Contains(s, "://") {
		return Ref{}, fmt.Errorf("image reference %q has a scheme: expected a name such as registry.example/app:1", s)
	}
	var ref Ref
	image, sum, hashed := strings.Cut(s, "@")
	if hashed {
		ref.Digest = digest.Digest(sum)
		if err := ref.Digest.Validate(); err != nil || ref.Digest.Algorithm() != digest.SHA256 {
			return Ref{}, fmt.Errorf("image reference %q has the digest %q: expected sha256: and 64 hexadecimal digits", s, sum)
		}
	}
	if err := oci.CheckTag(image); err != nil {
		return Ref{}, err
	}
	if colon := strings.LastIndexByte(image, ':'); colon > strings.LastIndexByte(image, '/') {
		image, ref.Tag = image[:colon], image[colon+1:]
	} else if !hashed {
		ref.Tag = "latest"
	}
	host, rest, ok := strings.Cut(image, "/")
	isHost := isHost(host)
	switch {
	case !ok && isHost:
		return Ref{}, fmt.Errorf("image reference %q contains a registry but no image name: use %s/NAME", s, strings.TrimSuffix(s, "/"))
	case isHost && host != dockerIndex:
		if checkHost(host) != nil {
			return Ref{}, fmt.Errorf("image reference %q has the registry %q, which is not a host", s, host)
		}
		ref.Registry, ref.Name = host, rest
	case isHost:
		ref.Registry, ref.Name = dockerHub, rest
	default:
		ref.Registry, ref.Name = dockerHub, image
	}
	if ref.Registry == dockerHub && !strings.Contains(ref.Name, "/") {
		ref.Name = "library/" + ref.Name
	}
	return ref, nil
}

// isHost reports whether the first part of a reference is the host of a registry.
func isHost(part string) bool { return part == "localhost" || strings.ContainsAny(part, ".:") }

// IsShort reports whether a reference names no registry. ParseRef then uses docker.io.
func IsShort(s string) bool {
	image, _, _ := strings.Cut(s, "@")
	host, _, ok := strings.Cut(image, "/")
	return !ok || !isHost(host)
}

// String returns the full reference.
func (r Ref) String() string {
	s := r.repository()
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest.String()
	}
	return s
}

// Identifier returns the argument for Repository.Manifest: the digest, or else the tag.
func (r Ref) Identifier() string {
	if r.Digest != "" {
		return r.Digest.String()
	}
	return r.Tag
}

// repository returns the repository's full name.
func (r Ref) repository() string { return r.Registry + "/" + r.Name }

// checkHost refuses everything except HOST and HOST:PORT.
func checkHost(host string) error {
	u, err := url.Parse("https://" + host)
	if err != nil || u.Host != host || u.Hostname() == "" {
		return errors.New("must be a host, with or without a port")
	}
	return nil
}
