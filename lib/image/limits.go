package image

import "chunkah/lib/oci"

// Limits of an image. An image that exceeds one is broken or hostile. Only the limit that depends
// on the machine is configurable, in Options.
const (
	// maxDocument bounds a manifest, index or config, in bytes. Registries accept no larger
	// manifest, podman and skopeo no larger config.
	maxDocument = oci.MaxDocument
	// maxCommas bounds the commas in a document, and so the elements of its lists. In memory these
	// can be a hundred times as large as in the file. Commas in strings count too.
	maxCommas = 1 << 18
	// maxLayers bounds the layers of all images of one tree. No client supports as many in one
	// image, and each needs an open file. It fits in 16 bits.
	maxLayers = 1000
	// maxIndexDepth bounds nested indexes. maxManifests bounds the manifests in all of them: one
	// per platform, plus one attestation for each.
	maxIndexDepth = 4
	maxManifests  = 1024
	// maxArchiveFiles bounds the files in an archive of images. Each layer has at most three.
	maxArchiveFiles = 1 << 16
	// maxArchiveNames bounds the memory for their names, in bytes: a kilobyte per name, ten times
	// as long as a digest with its directory.
	maxArchiveNames = maxArchiveFiles << 10
	// maxMetadata bounds the memory for names, xattrs and other metadata of all entries, in bytes,
	// with a fixed cost per entry. It is enough for two million files with long names.
	maxMetadata = 1 << 30
	// entryCost is the fixed cost of an entry, for its node in the tree. recordCost is that of a
	// PAX record, which can become an xattr.
	entryCost  = 256
	recordCost = 64
	// defaultMaxBytes bounds the decompressed size of all layers. It is several times the size of
	// the largest images, which contain models and drivers.
	defaultMaxBytes = 256 << 30
	// A layer or an archive can decompress to freeBytes plus maxRatio times its size. Deflate
	// cannot exceed this ratio (its limit is 1032). Zstd exceeds it for this long only in hostile
	// data.
	freeBytes = 4 << 30
	maxRatio  = 1100
	// The sparse files of a layer can take freeSparse bytes plus maxRatio times its size. Holes
	// take no space in the layer, but each file is written to an image in full.
	freeSparse = 1 << 30
	// The names of a tree, each with its path, target and xattrs, can take freeNames bytes plus
	// maxRatio times the size of its layers. A hard link repeats the xattrs of its inode, and a
	// symlink can lead an entry to a deep directory.
	freeNames = 128 << 20
	// Resolving symlinks can take freeDetours names, plus entryDetours per entry. Usual symlinks
	// like /lib take a few.
	freeDetours  = 1 << 20
	entryDetours = 64
	// maxDrain bounds the bytes read from a damaged layer to compute its digest.
	maxDrain = 1 << 30
	// maxWindow bounds the memory of a zstd or xz decoder, in bytes. It is the default of the zstd
	// command and twice the need of xz -9.
	maxWindow = 128 << 20
	// maxLinks bounds the symlinks in one path resolution, as in Linux.
	maxLinks = 40
)

// MaxUnpacked returns the maximum decompressed size of a layer whose blob has that size.
func MaxUnpacked(blob int64) int64 { return times(freeBytes, blob) }
