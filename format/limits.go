package format

// The limits of a stream. They are checked before memory is allocated. They are well above the
// limits of file systems, so a stream that exceeds them is broken or hostile. SPEC.md lists them.
const (
	// MaxRecord is the largest size of an encoded record, in bytes. The largest records in valid
	// streams are components or layers with very long lists.
	MaxRecord = 64 << 20
	// MaxPath is the largest size of a path, in bytes. Linux limits the path in a system call
	// (4,096 bytes), not the depth of a tree. No client can unpack a path of 16 times that length.
	// Each record contains its full path, so 4,000 of the longest paths need 250 MiB.
	MaxPath = 64 << 10
	// MaxDepth is the largest number of elements in a path. Each layer with the file needs a record
	// for each of these elements. A system call allows half as many (PATH_MAX).
	MaxDepth = 4096
	// MaxName is the largest size of one path element, in bytes. It equals Linux's NAME_MAX.
	MaxName = 255
	// MaxTarget is the largest size of a symlink's target, in bytes. It equals Linux's PATH_MAX.
	MaxTarget = 4096
	// MaxXattrName is the largest size of an extended attribute's name, in bytes. It equals Linux's
	// XATTR_NAME_MAX.
	MaxXattrName = 255
	// MaxXattrValue is the largest size of an extended attribute's value, in bytes. It equals
	// Linux's XATTR_SIZE_MAX.
	MaxXattrValue = 64 << 10
	// MaxXattrs is the largest number of extended attributes per file.
	MaxXattrs = 4096
	// MaxText is the largest size, in bytes, of a component's name, a stage's name, a fingerprint
	// or a stamp.
	MaxText = 64 << 10
	// MaxList is the largest number of elements in a list of names, fingerprints or times.
	MaxList = 1 << 20
	// MaxComponents is the largest number of component records in a stream. One layer can list the
	// same number. Stages keep all component records in memory, and without this limit a small
	// stream could contain very many.
	MaxComponents = MaxList
	// MaxInt limits every integer in both directions. It is 2^53-1, the largest integer that every
	// JSON tool supports (RFC 8259, section 6).
	MaxInt = 1<<53 - 1
)
