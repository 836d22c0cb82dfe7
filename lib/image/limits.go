package image

// These are the limits of an image. An image that exceeds any of these limits is broken or hostile.
// Only the limit that depends on the machine can be configured, in Options.
const (
	// maxCommas is the largest number of commas in a document. It limits the number of list
	// elements, which can take a hundred times as much memory as space in the file. Commas in
	// strings count too.
	maxCommas = 1 << 18
	// maxLayers is the largest number of layers in all images of one tree. No client supports as
	// many layers in one image, and each layer needs an open file. The number fits into 16 bits.
	maxLayers = 1000
	// maxIndexDepth is the largest depth of nested indexes. maxManifests is the largest number of
	// manifests in all of them: one per platform, plus one attestation for each.
	maxIndexDepth = 4
	maxManifests  = 1024
	// maxArchiveFiles is the largest number of files in an archive of images. Each layer needs at
	// most three files.
	maxArchiveFiles = 1 << 16
	// maxArchiveNames is the largest size of the archive's file names in memory, in bytes. It
	// allows a kilobyte per name, ten times the length of a digest with its directory.
	maxArchiveNames = maxArchiveFiles << 10
	// maxMetadata is the largest size of names, xattrs and other metadata of all entries in memory,
	// in bytes, including a fixed cost per entry. It is enough for two million files with long
	// names.
	maxMetadata = 1 << 30
	// entryCost is the fixed cost of an entry, for its node in the tree. recordCost is the fixed
	// cost of a PAX record, which can become an xattr.
	entryCost  = 256
	recordCost = 64
	// defaultMaxBytes is the default limit for the decompressed size of all layers. It is several
	// times the size of the largest images, which contain models and drivers.
	defaultMaxBytes = 256 << 30
	// A layer or an archive can decompress to freeBytes plus maxRatio times its size. Deflate
	// cannot exceed this ratio (its limit is 1032). With zstd, only hostile data exceeds it over
	// more than freeBytes.
	freeBytes = 4 << 30
	maxRatio  = 1100
	// The sparse files in a layer can take freeSparse bytes plus maxRatio times the layer's size.
	// Holes take no space in the layer, but each file is written to an image in full.
	freeSparse = 1 << 30
	// The names of a tree, each with its path, target and xattrs, can take freeNames bytes plus
	// maxRatio times the size of its layers. A hard link repeats the xattrs of its inode, and a
	// symlink can lead an entry to a deep directory.
	freeNames = 128 << 20
	// Resolving symlinks can use freeDetours names, plus entryDetours per entry. Common symlinks
	// such as /lib use a few.
	freeDetours  = 1 << 20
	entryDetours = 64
	// maxDrain is the largest number of bytes that are read from a damaged layer to compute its
	// digest.
	maxDrain = 1 << 30
	// maxWindow is the largest memory of a zstd or xz decoder, in bytes. It is the default of the
	// zstd command, and twice as much as xz -9 needs.
	maxWindow = 128 << 20
	// maxLinks is the largest number of symlinks in one path resolution, as in Linux.
	maxLinks = 40
)

// MaxUnpacked returns the maximum decompressed size of a layer. blob is the size of the layer's
// blob.
func MaxUnpacked(blob int64) int64 { return times(freeBytes, blob) }
