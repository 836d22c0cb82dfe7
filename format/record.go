package format

// Version is the stream version that this package reads and writes.
const Version = 1

// Record is one record of a stream: *Header, *File, *Component, *Layer or End.
type Record interface {
	// Validate says what is wrong with the record by itself, nil for nothing.
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
	// Version is the stream version, Version unless a later one is read.
	Version int64
	// Stage names the stage that wrote the stream, empty where a script did not
	// say.
	Stage string
	// Root is the absolute path of the directory that contents are read from.
	// It holds the bytes of the path, UTF-8 or not.
	Root string
	// Sources are the images, and directories, that contents are read from where
	// that is not one directory: references as chunkah-scan takes them, later ones
	// over earlier ones, each image with its digest.
	Sources []string
	// KeepLayers is the number of layers of the last source that the image keeps
	// as they are; the records say what is different above them.
	KeepLayers int64
	// SourceDate is the upper bound of every mtime, in unix seconds. It counts
	// only where HasSourceDate is set.
	SourceDate    int64
	HasSourceDate bool
	// NewestMtime is the mtime of the newest regular file, in unix seconds. Pack
	// sets it for whoever needs a "now"; it counts only where HasNewestMtime is
	// set.
	NewestMtime    int64
	HasNewestMtime bool
}

// Type is a file's type, spelled as in the stream.
type Type string

// The file types. Sockets have none: a tar cannot hold them.
const (
	TypeFile    Type = "file"
	TypeDir     Type = "dir"
	TypeSymlink Type = "symlink"
	TypeFifo    Type = "fifo"
	TypeChar    Type = "char"
	TypeBlock   Type = "block"
	// TypeWhiteout is no file: it takes away what a layer below has at the path.
	TypeWhiteout Type = "whiteout"
)

// SizeUnknown is the Size of a regular file whose record has no size: what is
// found in the source counts.
const SizeUnknown = -1

// types are the file types, the most frequent ones first.
var types = [...]Type{TypeFile, TypeDir, TypeSymlink, TypeFifo, TypeChar, TypeBlock, TypeWhiteout}

// File is one name in the tree. Strings hold bytes: they may be anything that
// a file system allows, and the encodings keep them exactly.
type File struct {
	// Path is absolute and clean; the root's own is "/".
	Path string
	Type Type
	// Mode holds the permission bits and setuid, setgid and sticky: 0 to 07777.
	Mode     uint32
	UID, GID uint32
	// Size is in bytes; it is 0 for all but regular files, and may be
	// SizeUnknown for those.
	Size int64
	// MTime is in unix seconds and MTimeNsec in nanoseconds, 0 to 999999999.
	MTime     int64
	MTimeNsec int32
	// Stamp tells a regular file in the source from one that has taken its place or was
	// changed since; empty where the source is not asked. Only equality counts.
	Stamp string
	// Target is a symlink's target.
	Target string
	// Hardlink numbers the group of names that share one inode: 0 for none.
	Hardlink int64
	// DevMajor and DevMinor are a char or block device's numbers.
	DevMajor, DevMinor uint32
	// Xattrs are sorted by name, each name once.
	Xattrs []Xattr
	// Components names what the file belongs to. The first counts for anything
	// but a directory, which belongs to all of them.
	Components []string
	// Implied marks a directory that pack repeats in a layer because something
	// below it is there.
	Implied bool
}

// Xattr is one extended attribute.
type Xattr struct {
	Name  string
	Value []byte
}

// Component carries what grouping may know of a component. All but the name is
// optional.
type Component struct {
	Name string
	// Updates are the known times of updates, in unix seconds, in any order.
	Updates []int64
	// IntervalDays is the expected number of days between updates; 0 is unknown.
	IntervalDays int64
	// MtimeClamp is the newest mtime that a file of the component may have, in
	// unix seconds. It counts only where HasMtimeClamp is set.
	MtimeClamp    int64
	HasMtimeClamp bool
	// Fingerprint stands for the component's contents: only equality counts.
	Fingerprint string
}

// Layer opens a layer: the file records up to the next layer are its entries.
type Layer struct {
	// Index counts from 0.
	Index int64
	// Components are the names of what the layer holds, sorted.
	Components []string
	// Fingerprints are theirs, in the same order, or none at all.
	Fingerprints []string
	// Times are the newest mtimes that their files may have, in unix seconds, in the same
	// order, or none at all.
	Times []int64
	// Contents stand for all of them but times: only equality counts, and one that is empty
	// is not known. They are in the same order, or none at all.
	Contents []string
	// StabilityPPM is the chance that the layer stays as it is for a week, in
	// parts per million.
	StabilityPPM int64
}

// End closes a stream. Without it a stream is not whole.
type End struct{}

// A kind numbers the record kinds.
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

// Source hands out the records of one stream. Next returns io.EOF after the
// stream's end was seen, and only then: a stream that stops without it gives
// ErrTruncated.
type Source interface {
	Next() (Record, error)
}

// Sink takes the records of one stream and is sealed by Finish, which writes
// the end record. A Sink that was not finished is a stream that failed. A record
// belongs to the sink once it was written.
type Sink interface {
	Write(Record) error
	Finish() error
}

// Names of components that no repo gives.
const (
	// Unclaimed is the component of files that no other component has. Those in an application
	// directory have one below it, such as chunkah/unclaimed/opt/x.
	Unclaimed = "chunkah/unclaimed"
	// EmptyDirectories is the component of empty directories that no other component has. A
	// directory leaves it with its first file, which must not change a large layer.
	EmptyDirectories = "chunkah/empty-directories"
)
