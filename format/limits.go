package format

// The limits of a stream, checked before anything of that size is allocated.
// They are well above what a file system can hold, so that meeting one means a
// broken or hostile stream. SPEC.md lists them.
const (
	// MaxRecord bounds one encoded record, in bytes. The largest honest record is
	// a component or layer with a very long list.
	MaxRecord = 64 << 20
	// MaxPath bounds a path, in bytes. Linux bounds what one system call takes
	// (4096), not the depth of a tree; no client unpacks 16 times that, and since
	// each record has its path whole, 4,000 of the longest take gigabytes.
	MaxPath = 64 << 10
	// MaxDepth bounds the elements of a path: each costs a record in every layer
	// that has the file. One system call takes half as many (PATH_MAX).
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
	// MaxComponents bounds the component records of a stream: as many as one layer
	// can name. A stage keeps all of them, and a stream can hold no end of them in
	// few bytes.
	MaxComponents = MaxList
	// MaxInt bounds every integer in both directions: 2^53-1, the largest that
	// every JSON tool keeps (RFC 8259, section 6).
	MaxInt = 1<<53 - 1
)
