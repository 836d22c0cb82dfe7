package image

import (
	"context"
	"io"

	"chunkah/lib/oci"
	"chunkah/lib/registry"
)

// Transport is a kind of place for images, such as OCI archives. Whatever chunkah does differently by transport depends on
// these fields alone. Package transport lists all of them.
type Transport struct {
	// Prefix begins every name of the transport: "oci-archive:", "docker://".
	Prefix string
	// Form shows people what a name looks like: "oci-archive:FILE[:REF]".
	Form string
	// Purpose says in help what the transport is for as a destination: "for a registry".
	Purpose string
	// Syntax is what follows the prefix.
	Syntax Syntax
	// File is set if PATH is a file, which holds one image, or one root file system if Open is nil; "-" is standard input
	// or output. Otherwise it is a folder.
	File bool
	// Network is set if images are not on this machine. Their layers are fetched only where they are needed, layers are
	// compressed unless the user says otherwise, and what cannot be read is an error and not a missing image.
	Network bool
	// DockerFormat is set if images are as docker save writes them: each is for one platform, is identified by the digest
	// of its config, and has neither annotations nor layers compressed with zstd.
	DockerFormat bool
	// ManyNames is a warning for who writes an image with several names; empty for none.
	ManyNames string

	// Open opens a place to read images from; nil for root file systems, which are not images.
	Open func(ctx context.Context, src Source, opt Options) (Fetcher, error)
	// Create begins to write an image; nil if chunkah does not write images there.
	Create func(ctx context.Context, to Source, opt CreateOptions) (oci.Destination, error)
	// CheckRef checks the REF of a destination, and that of a source that is a REF alone.
	CheckRef func(ref string) error
	// Tag returns the further tag of the image REF that a user gives as NAME. Nil: images can have any names.
	Tag func(ref, name string) (string, error)
}

// Syntax is what follows the prefix of a transport.
type Syntax int

// The kinds of syntax.
const (
	PathOnly Syntax = iota // PATH
	PathRef                // PATH[:REF]
	RefOnly                // REF
)

// CreateOptions say how an image is written.
type CreateOptions struct {
	oci.Options
	// Also are the further names of the image that Tag has returned.
	Also []string
	// Stdout is written to if PATH is "-".
	Stdout io.Writer
	// Registry are the options of a registry client; nil for none.
	Registry func() (registry.Options, error)
}

// IsImage reports whether images are read from the transport, and not directories of root file systems.
func (t *Transport) IsImage() bool { return t.Open != nil }

// IsDirectory reports whether a root file system is read from a directory.
func (t *Transport) IsDirectory() bool { return !t.IsImage() && !t.IsDestination() && !t.File }

// IsDestination reports whether images are written to the transport.
func (t *Transport) IsDestination() bool { return t.Create != nil }

// IsSource reports whether file systems are read from the transport.
func (t *Transport) IsSource() bool { return t.IsImage() || !t.IsDestination() }

// IsStdout reports whether a destination is standard output.
func (s Source) IsStdout() bool { return s.File && s.Path == "-" }

// IsLocalPath reports whether Path names a file or folder.
func (s Source) IsLocalPath() bool { return s.Path != "" && !s.IsStdout() }
