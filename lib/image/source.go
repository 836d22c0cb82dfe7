package image

import (
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Source is a location in the form in which a user writes it. A file system is read from it, or an
// image is written to it.
type Source struct {
	*Transport
	Path string
	// Ref is an image's name, @DIGEST, or both. It can be empty if an archive or layout contains
	// only one image.
	Ref string
}

// String returns the name of the source in the form in which users write it.
func (s Source) String() string {
	switch {
	case s.Syntax == RefOnly:
		return s.Prefix + s.Ref
	case s.Ref == "":
		return s.Prefix + s.Path
	}
	return s.Prefix + s.Path + ":" + s.Ref
}

// cutDigest splits NAME@DIGEST. Either part can be empty.
func cutDigest(ref string) (name string, d digest.Digest) {
	name, text, _ := strings.Cut(ref, "@")
	return name, digest.Digest(text)
}

// Pinned returns the source with a digest instead of a tag.
func (s Source) Pinned(d digest.Digest) Source {
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

// Absolute returns the source with an absolute path, if it has a path.
func (s Source) Absolute() Source {
	abs, err := filepath.Abs(s.Path)
	if err == nil && s.Path != "" && (s.Syntax == PathOnly || !strings.Contains(abs, ":")) {
		s.Path = abs
	}
	return s
}

// InRegistry returns the reference of an image in a registry, or "" for any other source.
func (s Source) InRegistry() string {
	if !s.Network {
		return ""
	}
	return s.Ref
}
