package format

// The limits of a stream, which are checked before memory is allocated. They are well above what
// file systems support, so a stream that exceeds one is broken or hostile. SPEC.md lists them.
const (
	// MaxRecord bounds one encoded record, in bytes. The largest honest record is
	// a component or layer with a very long list.
	MaxRecord = 64 << 20
	// MaxPath bounds a path, in bytes. Linux bounds the path of a system call (4096), not the depth
	// of a tree. No client unpacks paths of 16 times that. Each record has its full path, so 4,000
	// of the longest need gigabytes.
	MaxPath = 64 << 10
	// MaxDepth bounds the elements of a path: each needs a record in every layer with the file. A
	// system call allows half as many (PATH_MAX).
	MaxDepth = 4096
	// MaxName bounds one element of a path, in bytes: NAME_MAX of Linux.
	MaxName = 255
	// MaxTarget bounds a symlink's target, in bytes: PATH_MAX of Linux.
	MaxTarget = 4096
	// MaxXattrName bounds the name of an extended attribute, in bytes:
	// XATTR_NAME_MAX of Linux.
	MaxXattrName = 255
	// MaxXattrValue bounds the value of an extended attribute, in bytes:
	// XATTR_SIZE_MAX of Linux.
	MaxXattrValue = 64 << 10
	// MaxXattrs bounds the number of extended attributes of one file.
	MaxXattrs = 4096
	// MaxText bounds a component's name, a stage's name, a fingerprint and a stamp, in
	// bytes.
	MaxText = 64 << 10
	// MaxList bounds a list of names, fingerprints or times, in elements.
	MaxList = 1 << 20
	// MaxComponents bounds the component records of a stream: as many as one layer can name. A
	// stage keeps all of them in memory, and a small stream could have any number.
	MaxComponents = MaxList
	// MaxInt bounds every integer in both directions: 2^53-1, the largest that every JSON tool
	// supports (RFC 8259, section 6).
	MaxInt = 1<<53 - 1
)
