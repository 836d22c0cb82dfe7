package format

import (
	"fmt"
	"io"
	"iter"
)

// Version is the stream version that this package reads and writes.
const Version = 1

// Record is one record of a stream: *Header, *File, *Component, *Layer or End.
type Record interface {
	// Validate returns the record's fault, or nil if it is valid. It checks only the record itself.
	Validate() error
	kind() kind
}

// The stages that can be named in a header.
const (
	StageScan   = "scan"
	StageAssign = "assign"
	StagePack   = "pack"
)

// Header opens every stream.
type Header struct {
	// Version is the stream version. It differs from the constant Version only in later versions.
	Version int64
	// Stage is the name of the stage that wrote the stream. It is empty if a script wrote the
	// stream without setting it.
	Stage string
	// Root is the absolute path of the directory from which contents are read. It can contain any
	// bytes, not only valid UTF-8.
	Root string
	// Sources are the images and directories from which contents are read. It is empty if the only
	// source is a directory. Each source has the form that chunkah-scan accepts, and each image
	// includes its digest. Later sources are applied on top of earlier ones.
	Sources []string
	// KeepLayers is the number of layers that the image keeps from the last source. The records
	// describe the differences from those layers.
	KeepLayers int64
	// Previous is the image that contains the layers whose records contain a DiffID. It has the
	// form that chunkah-scan accepts, with the image's digest. It is empty if no record contains a
	// DiffID.
	Previous string
	// SourceDate is the upper bound of every mtime, in unix seconds. It is valid only if
	// HasSourceDate is set.
	SourceDate    int64
	HasSourceDate bool
	// NewestMtime is the mtime of the newest regular file, in unix seconds. Pack sets it and uses
	// it instead of the current time. It is valid only if HasNewestMtime is set.
	NewestMtime    int64
	HasNewestMtime bool
}

// Type is a file's type. The zero value is not a valid type.
type Type uint8

// The file types, the most frequent ones first. Sockets have no type, because a tar cannot contain
// them.
const (
	TypeFile Type = iota + 1
	TypeDir
	TypeSymlink
	TypeFifo
	TypeChar
	TypeBlock
	// TypeWhiteout is not a file. It deletes the path in the layers below.
	TypeWhiteout
	// TypeEnd is larger than all types.
	TypeEnd
)

// typeNames are the types as they are spelled in the stream.
var typeNames = [TypeEnd]string{
	TypeFile: "file", TypeDir: "dir", TypeSymlink: "symlink", TypeFifo: "fifo", TypeChar: "char",
	TypeBlock: "block", TypeWhiteout: "whiteout",
}

// String returns the type as it is spelled in the stream.
func (t Type) String() string {
	if t.valid() {
		return typeNames[t]
	}
	return fmt.Sprintf("type %d", uint8(t))
}

func (t Type) valid() bool { return t > 0 && t < TypeEnd }

// SizeUnknown is the Size of a regular file whose record contains no size. The source's size is
// used instead.
const SizeUnknown = -1

// File is a path in the tree. Strings can contain any bytes that a file system allows, and both
// encodings keep them exactly.
//
// A build keeps the records of all files in memory. So the small fields are next to each other,
// which avoids padding.
type File struct {
	// Path is absolute and clean. The root directory's path is "/".
	Path string
	Type Type
	// Implied marks a directory that pack adds to a layer as the parent of other entries.
	Implied bool
	// Mode contains the permission bits and setuid, setgid and sticky. It is between 0 and 07777.
	Mode     uint16
	UID, GID uint32
	// MTimeNsec contains the nanoseconds of MTime, from 0 to 999999999.
	MTimeNsec int32
	// Size is in bytes. It is 0 for everything except regular files. For regular files it can be
	// SizeUnknown.
	Size int64
	// MTime is in unix seconds.
	MTime int64
	// Stamp shows whether a regular file in the source was later replaced or changed. It is empty
	// if the source is not checked. Stamps are only compared for equality.
	Stamp string
	// Digest is the digest of a regular file's contents.
	Digest Digest
	// Target is a symlink's target.
	Target string
	// Hardlink is the number of the group of paths that share one inode. It is 0 for a file without
	// hard links.
	Hardlink int64
	// DevMajor and DevMinor are the device numbers of a character or block device.
	DevMajor, DevMinor uint32
	// Xattrs are sorted by name. Each name occurs once.
	Xattrs []Xattr
	// Components are the file's components. Only a directory can belong to several components.
	// Other files belong to the first one.
	Components []string
}

// Xattr is an extended attribute.
type Xattr struct {
	Name  string
	Value []byte
}

// Component contains a component's data for grouping. Only the name is required.
type Component struct {
	Name string
	// Updates are the known times of the component's updates, in unix seconds, in any order.
	Updates []int64
	// IntervalDays is the expected number of days between updates. It is 0 if unknown.
	IntervalDays int64
	// MtimeClamp is the upper bound of the mtimes of the component's files, in unix seconds. It is
	// valid only if HasMtimeClamp is set.
	MtimeClamp    int64
	HasMtimeClamp bool
	// Fingerprint represents the component's contents. Fingerprints are only compared for equality.
	Fingerprint string
}

// Layer begins a layer. The file records up to the next layer are its entries.
type Layer struct {
	// Index is the layer's number, starting at 0.
	Index int64
	// Components are the names of the layer's components, sorted.
	Components []string
	// Fingerprints are the components' fingerprints in the order of Components. The list can be
	// empty.
	Fingerprints []string
	// Times are the upper bounds of the components' mtimes, in unix seconds, in the order of
	// Components. The list can be empty.
	Times []int64
	// Contents represent everything in the components except times. They are only compared for
	// equality. An empty element means unknown. They are in the order of Components, and the list
	// can be empty.
	Contents []string
	// Updated are the days of the components' newest known updates, counted from 1970, or 0 for a
	// component without a known update. They are in the order of Components, and the list can be
	// empty.
	Updated []int64
	// Surprises show in which of the previous images each component changed without an update. They
	// contain one bit per image, with bit 0 for the latest (SPEC.md, section 14). They are in the
	// order of Components, and the list can be empty.
	Surprises []int64
	// DiffID is set if the layer is kept. It identifies the layer in Header.Previous. The file
	// records then show the entries of that layer, which are not read from the source.
	DiffID string
	// Entries is the digest of the layer's entries (SPEC.md, section 13). It is empty if unknown.
	Entries string
	// Rewritten are the diffIDs of layers of the previous image that were not kept, although some
	// of their files are still visible in the image. Reasons explains why each was not kept, in the
	// order of Rewritten. Only the lowest new layer has these lists.
	Rewritten, Reasons []string
	// StabilityPPM is the chance that the layer stays unchanged for a week, in parts per million.
	StabilityPPM int64
}

// End ends a stream. A stream without an end record is incomplete.
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

// Source returns the records of one stream. Next returns io.EOF only after the stream's end record.
// If the stream stops before its end record, Next returns ErrTruncated.
type Source interface {
	Next() (Record, error)
}

// All iterates over the records of a source up to its end. An error is returned in the last pair.
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

// Sink receives the records of one stream. Finish writes the end record. Without it, the stream is
// incomplete. A record belongs to the sink after Write.
type Sink interface {
	Write(Record) error
	Finish() error
}

// Names of components that do not come from a repo.
const (
	// Unclaimed is the component of files that have no other component. Each application directory
	// gets its own component below it, for example chunkah/unclaimed/opt/x.
	Unclaimed = "chunkah/unclaimed"
	// EmptyDirectories is the component of empty directories that have no other component. As soon
	// as a directory contains a file, it leaves this component. The component is separate so that
	// this does not change a large layer.
	EmptyDirectories = "chunkah/empty-directories"
	// Deletions is the component of whiteouts.
	Deletions = "chunkah/deletions"
)
