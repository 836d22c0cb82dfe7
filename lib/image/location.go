package image

import (
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Location is a transport together with the path and name that the transport needs, as users write
// them. A location is the source of a file system or the destination of an image.
type Location struct {
	*Transport
	Path string
	// Ref is an image's name, @DIGEST, or both. It can be empty if an archive or layout contains
	// only one image.
	Ref string
}

// String returns the location in the form in which users write it.
func (l Location) String() string {
	switch {
	case l.Syntax == RefOnly:
		return l.Prefix + l.Ref
	case l.Ref == "":
		return l.Prefix + l.Path
	}
	return l.Prefix + l.Path + ":" + l.Ref
}

// cutDigest splits NAME@DIGEST. Either part can be empty.
func cutDigest(ref string) (name string, d digest.Digest) {
	name, text, _ := strings.Cut(ref, "@")
	return name, digest.Digest(text)
}

// Pinned returns the location with a digest instead of a tag.
func (l Location) Pinned(d digest.Digest) Location {
	name := ""
	if l.Syntax == RefOnly {
		name, _ = cutDigest(l.Ref)
		if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
			name = name[:colon]
		}
	}
	l.Ref = name + "@" + d.String()
	return l
}

// Absolute returns the location with an absolute path, if it has a path.
func (l Location) Absolute() Location {
	abs, err := filepath.Abs(l.Path)
	if err == nil && l.Path != "" && (l.Syntax == PathOnly || !strings.Contains(abs, ":")) {
		l.Path = abs
	}
	return l
}

// InRegistry returns the reference of an image in a registry, or "" for any other location.
func (l Location) InRegistry() string {
	if !l.Network {
		return ""
	}
	return l.Ref
}
