// Package image reads container images without unpacking them: it finds the image
// that a source names, in a layout, an archive or a registry, and lays its layers
// over each other to one tree, which implements rootfs.Source, so that the rest of
// chunkah reads an image as it reads a directory.
//
// # What is verified
//
// Everything, while it is read: digests and sizes of manifest, config and layers,
// the diffIDs of what layers unpack to, and that there are as many of one as of the
// other. What is larger than an image can be is refused before it takes memory or
// disk; limits.go has the bounds.
//
// # What flattening does
//
// It does what the OCI image specification asks of those who apply layers, and what
// container storage does where that says nothing:
//
//   - Layers are applied from the bottom up, and the entries of a layer in their
//     order. So of entries of one name the last one counts.
//   - An entry replaces what is there, except that a directory over a directory
//     gives it new metadata, xattrs too, and keeps what is in it.
//   - Whiteouts (.wh.NAME, .wh..wh..opq) hide what layers below have, never what
//     their own layer has, wherever in it they stand.
//   - A hard link is one more name of an inode that is there by then, in this layer
//     or in one below, a name that this very layer deletes included. The inode takes
//     the owner, mode, time and xattrs of the link's entry; a symlink only the owner.
//   - A directory that has no entry of its own keeps the metadata of the layer
//     below, or else gets mode 0755, owner 0 and time 0.
//   - A name that leads over a symlink of its own layer follows it, inside the tree.
//     One of a layer below becomes a directory, as in overlay storage, and
//     Tree.Notes says so, since not all runtimes agree.
//   - The xattrs are those of the PAX records SCHILY.xattr.*, if they have a value.
//     Sparse files are expanded. Global PAX headers are passed over.
//   - What AUFS kept for itself (.wh..wh.NAME) is left out. A hard link into it gets
//     the file there.
//   - What follows the end of a layer's tar belongs to its diffID and to no file.
//     Tree.Notes says so.
//   - A name with ".." is taken for what it says, without a look at the tree.
//
// Names that lead out of the root, other names that begin with .wh., links to what
// is not there or to directories, and types that no layer has are refused.
//
// # Where contents are
//
// A plain layer of a layout, OCI archive or docker archive is read in place. Others
// are decompressed once, into a file without a name that nobody else can open and
// that is gone with the process.
package image
