package format

// Names in the tars of layers. Records never have them; they are here for packages that write or
// read layers.
const (
	// WhiteoutPrefix starts the last name of an entry that deletes a file below, and
	// OpaqueWhiteout is the last name of one that empties its directory (OCI image specification,
	// layer, "Whiteouts").
	WhiteoutPrefix = ".wh."
	OpaqueWhiteout = ".wh..wh..opq"
	// XattrKey is the prefix of extended attributes in the keys of pax records. It comes from
	// star, and all tars use it.
	XattrKey = "SCHILY.xattr."
)
