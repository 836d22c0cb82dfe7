// Package image reads container images without unpacking them. It finds the image that a source
// refers to in a layout, an archive or a registry, and applies its layers to one tree. The tree
// implements rootfs.Tree, so the rest of chunkah reads an image like a directory.
//
// # What is verified
//
// All data is verified while it is read. This covers the digests and sizes of the manifest, config
// and layers, and the diffIDs of the decompressed layers. The numbers of layers and diffIDs must be
// equal. Input that is too large for an image is refused before it takes memory or disk space.
// limits.go lists the limits.
//
// # What flattening does
//
// It follows the OCI image specification. Where the specification is silent, it behaves like
// containers-storage:
//
//   - Layers are applied from the bottom up, and the entries of a layer are applied in their order.
//     If several entries have the same name, the last entry takes precedence.
//   - An entry replaces an existing file. A directory over a directory replaces only the metadata,
//     including xattrs, and keeps the files in it.
//   - Whiteouts (.wh.NAME, .wh..wh..opq) hide files in lower layers, never in their own layer,
//     whatever their position in the layer.
//   - A hard link adds a name to an existing inode, in this layer or a lower layer. The target can
//     be a name that this layer deletes. The inode gets the owner, mode, time and xattrs of the
//     link's entry. If the inode is a symlink, it gets only the owner.
//   - A directory without an entry keeps the metadata of the lower layer. If it is new, it gets
//     mode 0755, owner 0 and time 0.
//   - If a path leads through a symlink in the same layer, the symlink is followed, but only inside
//     the tree. A symlink from a lower layer is replaced with a directory, as in overlay storage.
//     Tree.Notes reports this, because runtimes disagree.
//   - Xattrs are the PAX records SCHILY.xattr.* with a value. Sparse files are expanded. Global PAX
//     headers are ignored.
//   - AUFS metadata (.wh..wh.NAME) is left out. A hard link to such an entry becomes the regular
//     file that the entry contains.
//   - Data after the end of a layer's tar is part of the diffID, but contains no files. Tree.Notes
//     reports such data.
//   - A ".." in a name removes the name before it, without resolving symlinks.
//
// The following entries are refused: names that lead out of the root, other names that begin with
// .wh., hard links to missing files or to directories, and file types that layers cannot contain.
//
// # Where contents are
//
// A plain layer of a layout, OCI archive or docker archive is read in place. Other layers are
// decompressed once to an unnamed temporary file. No other process can open this file, and it is
// removed when the process ends.
package image
