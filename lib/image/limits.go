package image

import "chunkah/lib/oci"

// What an image may take. Whoever meets one of these has a broken or hostile
// image before him; Options moves the one that depends on the machine.
const (
	// maxDocument bounds a manifest, an index and a config, in bytes: registries
	// take no larger manifest, podman and skopeo no larger config.
	maxDocument = oci.MaxDocument
	// maxCommas bounds the commas in one of them, and so the elements of its lists:
	// in memory they are up to a hundred times as large as on disk. Texts have some
	// too.
	maxCommas = 1 << 18
	// maxLayers bounds the layers of all images of one tree. No storage of any
	// client takes as many of one image, and each costs an open file. It fits 16
	// bits.
	maxLayers = 1000
	// maxIndexDepth bounds indexes in indexes, maxManifests what all of them list:
	// there is one for each platform, and one more about it.
	maxIndexDepth = 4
	maxManifests  = 1024
	// maxArchiveFiles bounds the files of an archive that holds images; each
	// layer has three at most.
	maxArchiveFiles = 1 << 16
	// maxArchiveNames bounds what their names take in memory, in bytes: a kilobyte
	// each, where a digest with its folder takes a tenth of that.
	maxArchiveNames = maxArchiveFiles << 10
	// maxMetadata bounds what the names, xattrs and other metadata of all entries
	// may take in memory, in bytes, where each entry counts for itself too. It is
	// enough for two million files with long names.
	maxMetadata = 1 << 30
	// entryCost is what an entry counts for beside its texts, in bytes: its part of
	// the tree. recordCost is that of a PAX record, which may become an xattr.
	entryCost  = 256
	recordCost = 64
	// defaultMaxBytes bounds what all layers decompress to: several times the
	// largest images there are, which hold models and drivers.
	defaultMaxBytes = 256 << 30
	// A layer, or an archive, may decompress to freeBytes and to maxRatio times its size. Deflate
	// cannot reach that ratio (1032 at most); of zstd only what is made to harm
	// does for so long.
	freeBytes = 4 << 30
	maxRatio  = 1100
	// The sparse files of a layer may take freeSparse, in bytes, and maxRatio times its
	// size: holes cost it nothing, and each file in an image is written out whole.
	freeSparse = 1 << 30
	// All names of a tree may take freeNames, in bytes, and maxRatio times the size of
	// its layers, each with its path, target and xattrs: a hard link repeats the xattrs
	// of its inode, and an entry may lead far down through a symlink.
	freeNames = 128 << 20
	// Symlinks may lead an image's entries over freeDetours names, and entryDetours
	// for each entry: /lib and its like take a few.
	freeDetours  = 1 << 20
	entryDetours = 64
	// maxDrain bounds how much is read of a damaged layer to know its digest, in
	// bytes.
	maxDrain = 1 << 30
	// maxWindow bounds the memory of a zstd or xz decoder, in bytes: what the zstd
	// command takes by default, and twice what xz -9 needs.
	maxWindow = 128 << 20
	// maxLinks bounds the symlinks of one resolution, as Linux does.
	maxLinks = 40
)
