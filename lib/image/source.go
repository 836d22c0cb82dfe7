package image

import (
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Source is a place that a file system is taken from, or that an image is written to, as a user names it.
type Source struct {
	*Transport
	Path string
	// Ref is an image's name, @DIGEST, or both; empty for the only image there is.
	Ref string
}

// String is the name that reads as this source.
func (s Source) String() string {
	switch {
	case s.Syntax == RefOnly:
		return s.Prefix + s.Ref
	case s.Ref == "":
		return s.Prefix + s.Path
	}
	return s.Prefix + s.Path + ":" + s.Ref
}

// cutDigest splits NAME@DIGEST; either may be empty.
func cutDigest(ref string) (name string, d digest.Digest) {
	name, text, _ := strings.Cut(ref, "@")
	return name, digest.Digest(text)
}

// pinned is the source with a digest in place of whatever chose the image.
func (s Source) pinned(d digest.Digest) Source {
	name := ""
	if s.Syntax == RefOnly {
		name, _ = cutDigest(s.Ref)
		if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
			name = name[:colon]
		}
	}
	s.Ref = name + "@" + d.String()
	return s
}

// Absolute is the source with an absolute path, if its name can have that.
func (s Source) Absolute() Source {
	abs, err := filepath.Abs(s.Path)
	if err == nil && s.Path != "" && (s.Syntax == PathOnly || !strings.Contains(abs, ":")) {
		s.Path = abs
	}
	return s
}

// InRegistry is the reference of an image that lies in a registry; empty for any other.
func (s Source) InRegistry() string {
	if !s.Network {
		return ""
	}
	return s.Ref
}
