package format

// Names in the tars of layers. They never occur in records, but packages that write or read layers
// need them.
const (
	// WhiteoutPrefix begins the last path element of a tar entry that deletes a file in the layers
	// below. OpaqueWhiteout is the last path element of an entry that empties its directory (OCI
	// image specification, layer, "Whiteouts").
	WhiteoutPrefix = ".wh."
	OpaqueWhiteout = ".wh..wh..opq"
	// XattrKey is the prefix of extended attributes in the keys of pax records. It was introduced
	// by star, and all tar programs use it.
	XattrKey = "SCHILY.xattr."
)
