package format

import (
	"io"
	"iter"
)

// Version is the stream version that this package reads and writes.
const Version = 1

// Record is one record of a stream: *Header, *File, *Component, *Layer or End.
type Record interface {
	// Validate returns the record's fault, nil if there is none. It checks only the record itself.
	Validate() error
	kind() kind
}

// The stages that a header can name.
const (
	StageScan   = "scan"
	StageAssign = "assign"
	StagePack   = "pack"
)

// Header opens every stream.
type Header struct {
	// Version is the stream version. It differs from the constant Version only in later versions.
	Version int64
	// Stage names the stage that wrote the stream; empty if a script did not set it.
	Stage string
	// Root is the absolute path of the directory with the contents. Its bytes can be any, not only
	// UTF-8.
	Root string
	// Sources are the images and directories with the contents, if it is not only one directory:
	// references as for chunkah-scan, later ones on top, each image with its digest.
	Sources []string
	// KeepLayers is the number of layers of the last source that the image keeps. The records
	// describe the differences above them.
	KeepLayers int64
	// Previous is the image with the layers that have a DiffID: a reference as for chunkah-scan,
	// with its digest. Empty if there are none.
	Previous string
	// SourceDate is the upper bound of every mtime, in unix seconds. It is valid only if
	// HasSourceDate is set.
	SourceDate    int64
	HasSourceDate bool
	// NewestMtime is the mtime of the newest regular file, in unix seconds. Pack sets it instead of
	// using the current time. It is valid only if HasNewestMtime is set.
	NewestMtime    int64
	HasNewestMtime bool
}

// Type is a file's type, as in the stream.
type Type string

// The file types. There is none for sockets, which a tar cannot contain.
const (
	TypeFile    Type = "file"
	TypeDir     Type = "dir"
	TypeSymlink Type = "symlink"
	TypeFifo    Type = "fifo"
	TypeChar    Type = "char"
	TypeBlock   Type = "block"
	// TypeWhiteout is not a file: it deletes the path in the layers below.
	TypeWhiteout Type = "whiteout"
)

// SizeUnknown is the Size of a regular file without one in its record. The source's size is used.
const SizeUnknown = -1

// types are the file types, the most frequent ones first.
var types = [...]Type{TypeFile, TypeDir, TypeSymlink, TypeFifo, TypeChar, TypeBlock, TypeWhiteout}

// File is a path in the tree. Strings can contain any bytes that a file system allows, and the
// encodings keep them exactly.
type File struct {
	// Path is absolute and clean; the root's path is "/".
	Path string
	Type Type
	// Mode has the permission bits and setuid, setgid and sticky: 0 to 07777.
	Mode     uint32
	UID, GID uint32
	// Size is in bytes. It is 0 except for regular files, and can be SizeUnknown for those.
	Size int64
	// MTime is in unix seconds and MTimeNsec in nanoseconds, 0 to 999999999.
	MTime     int64
	MTimeNsec int32
	// Stamp shows whether a regular file in the source was replaced or changed later; empty if the
	// source is not checked. Only equality matters.
	Stamp string
	// Digest is that of a regular file's contents, as "sha256:HEX"; empty if unknown.
	Digest string
	// Target is a symlink's target.
	Target string
	// Hardlink numbers the group of names that share one inode: 0 for none.
	Hardlink int64
	// DevMajor and DevMinor are the numbers of a character or block device.
	DevMajor, DevMinor uint32
	// Xattrs are sorted by name, each name once.
	Xattrs []Xattr
	// Components are the file's components. Only a directory belongs to all of them; other files
	// belong to the first.
	Components []string
	// Implied marks a directory that pack adds to a layer as the parent of other entries.
	Implied bool
}

// Xattr is one extended attribute.
type Xattr struct {
	Name  string
	Value []byte
}

// Component has a component's data for grouping. Only the name is required.
type Component struct {
	Name string
	// Updates are the known times of updates, in unix seconds, in any order.
	Updates []int64
	// IntervalDays is the expected number of days between updates; 0 if unknown.
	IntervalDays int64
	// MtimeClamp is the upper bound of the mtimes of the component's files, in unix seconds. It is
	// valid only if HasMtimeClamp is set.
	MtimeClamp    int64
	HasMtimeClamp bool
	// Fingerprint represents the component's contents: only equality matters.
	Fingerprint string
}

// Layer begins a layer: the file records up to the next layer are its entries.
type Layer struct {
	// Index counts from 0.
	Index int64
	// Components are the names of the layer's components, sorted.
	Components []string
	// Fingerprints are the components' fingerprints in the same order, or empty.
	Fingerprints []string
	// Times are the upper bounds of the components' mtimes, in unix seconds, in the same order, or
	// empty.
	Times []int64
	// Contents represent everything in the components except times: only equality matters, and an
	// empty one is unknown. They are in the same order, or empty.
	Contents []string
	// Updated are the days of the components' newest known updates, counted from 1970, 0 for
	// none, in the same order, or empty.
	Updated []int64
	// Surprises show the last images in which each component changed without an update: one bit
	// per image, bit 0 the latest (SPEC.md, section 14). They are in the same order, or empty.
	Surprises []int64
	// DiffID is set if the layer is kept: it is the one with this diffID in Header.Previous.
	// Its file records show its entries; they are not read from the source.
	DiffID string
	// Entries is the digest of the layer's entries (SPEC.md, section 13); empty if unknown.
	Entries string
	// StabilityPPM is the chance that the layer stays unchanged for a week, in parts per million.
	StabilityPPM int64
}

// End ends a stream. A stream without it is incomplete.
type End struct{}

// A kind identifies the kind of a record.
type kind uint8

const (
	kindNone kind = iota
	kindHeader
	kindComponent
	kindFile
	kindLayer
	kindEnd
)

var kindNames = [...]string{"", "header", "component", "file", "layer", "end"}

func (k kind) String() string { return kindNames[k] }

func (*Header) kind() kind    { return kindHeader }
func (*File) kind() kind      { return kindFile }
func (*Component) kind() kind { return kindComponent }
func (*Layer) kind() kind     { return kindLayer }
func (End) kind() kind        { return kindEnd }

// Source returns the records of one stream. Next returns io.EOF only after the stream's end record;
// a stream that stops without it gives ErrTruncated.
type Source interface {
	Next() (Record, error)
}

// All iterates over the records of a source up to its end; an error is the last pair.
func All(in Source) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for {
			rec, err := in.Next()
			if err == io.EOF {
				return
			}
			if !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

// Sink receives the records of one stream. Finish writes the end record; without it, the stream is
// incomplete. A record belongs to the sink after Write.
type Sink interface {
	Write(Record) error
	Finish() error
}

// Names of components that do not come from a repo.
const (
	// Unclaimed is the component of files without any other. Files in an application directory have
	// one below it, for example chunkah/unclaimed/opt/x.
	Unclaimed = "chunkah/unclaimed"
	// EmptyDirectories is the component of empty directories without any other. A directory leaves
	// it with its first file, which must not change a large layer.
	EmptyDirectories = "chunkah/empty-directories"
	// Deletions is the component of whiteouts.
	Deletions = "chunkah/deletions"
)
