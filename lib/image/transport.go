package image

import (
	"context"
	"io"

	"chunkah/lib/oci"
	"chunkah/lib/registry"
)

// Transport is a kind of location for images, for example OCI archives. All differences between
// transports are in these fields. Package transport lists all of them.
type Transport struct {
	// Prefix is the beginning of every name for this transport, for example "oci-archive:" or
	// "docker://".
	Prefix string
	// Form is the syntax of a name, as shown to users, for example "oci-archive:FILE[:REF]".
	Form string
	// Purpose describes the transport as a destination in the help, for example "for a registry".
	Purpose string
	// Syntax is the form of the part after the prefix.
	Syntax Syntax
	// File is set if PATH is a file with one image, or with one root file system if Open is nil.
	// "-" is standard input or output. If File is not set, PATH is a directory.
	File bool
	// Network is set if images are on another machine. Layers are then fetched only when they are
	// needed, and are compressed by default. A read error does not mean that the image is missing.
	Network bool
	// ByConfig is set if images are for one platform and are identified by the digest of the
	// config.
	ByConfig bool
	// DockerFormat is set if images use the format of docker save, without annotations and without
	// zstd layers.
	DockerFormat bool
	// OwnNames is set if Create receives the names of the image. Otherwise the index contains them.
	OwnNames bool
	// ManyNames is a warning for images with several names. It is empty if no warning is needed.
	ManyNames string

	// Open opens a store from which images are read. It is nil for root file systems, which are not
	// images.
	Open func(ctx context.Context, src Location, opt Options) (Fetcher, error)
	// Create starts writing an image. It is nil if chunkah cannot write images there.
	Create func(ctx context.Context, to Location, opt CreateOptions) (oci.Destination, error)
	// CheckRef checks the REF of a destination. It also checks the REF of a source that consists
	// only of a REF.
	CheckRef func(ref string) error
	// CheckName checks the REF of a destination after CheckRef. It is nil if no further check is
	// needed.
	CheckName func(ref string) error
	// Dir returns the directory of a store. The files in it must not become part of an image. Dir
	// is nil, or returns "", if there is no such directory.
	Dir func(ref string) string
	// Tag returns the additional tag of the image REF for a NAME that the user specifies. If it is
	// nil, images can have any names.
	Tag func(ref, name string) (string, error)
}

// Syntax is the form of the part after the prefix.
type Syntax int

// These are the forms.
const (
	PathOnly Syntax = iota // PATH
	PathRef                // PATH[:REF]
	RefOnly                // REF
)

// CreateOptions are the options for writing an image.
type CreateOptions struct {
	oci.Options
	// Also lists the additional names of the image, as returned by Tag.
	Also []string
	// Convert writes the image with a manifest in Docker's format if the destination refuses an OCI
	// manifest.
	Convert bool
	// Warn is called with warnings. If it is nil, warnings are dropped.
	Warn func(text string)
	// Stdout is the output if PATH is "-".
	Stdout io.Writer
	// Registry returns the options of a registry client. It can be nil.
	Registry func() (registry.Options, error)
}

// IsImage reports whether the transport is a source of images.
func (t *Transport) IsImage() bool { return t.Open != nil }

// IsDirectory reports whether the transport is a directory with a root file system.
func (t *Transport) IsDirectory() bool { return !t.IsImage() && !t.IsDestination() && !t.File }

// IsDestination reports whether images can be written to the transport.
func (t *Transport) IsDestination() bool { return t.Create != nil }

// IsSource reports whether file systems can be read from the transport.
func (t *Transport) IsSource() bool { return t.IsImage() || !t.IsDestination() }

// IsStdout reports whether a destination is standard output.
func (l Location) IsStdout() bool { return l.File && l.Path == "-" }

// IsLocalPath reports whether Path is the path of a file or directory.
func (l Location) IsLocalPath() bool { return l.Path != "" && !l.IsStdout() }
