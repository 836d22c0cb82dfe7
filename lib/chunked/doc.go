// Package chunked writes and checks layers in the format zstd:chunked. podman, buildah and CRI-O
// can fetch only the missing chunks of such layers.
//
// # The format
//
// A blob is an ordinary tar compressed with zstd. The tar headers are in separate frames, and so is
// each chunk of each regular file. Three skippable frames follow, each with 8 bytes before its
// contents:
//
//   - the table of contents (TOC), compressed JSON: all entries with their metadata, digests, and
//     the positions of their chunks in the blob;
//   - tar-split, compressed JSON lines: all bytes of the tar except the contents of files, from
//     which clients rebuild the tar, to compare its digest with the config of the image;
//   - a footer with the positions of both.
//
// Three annotations of the layer contain the same positions and the digest of the TOC. Clients that
// do not support these annotations read the blob as ordinary zstd. The format is defined by the
// package chunked in go.podman.io/storage. This package writes version 1.
//
// # Chunks
//
// A file of 128 KiB or more is cut at positions that a rolling checksum selects, as in that
// package. The average distance is 64 KiB. So a change in the middle of a file does not change
// other chunks. Blocks of zeros are chunks too, but they are not fetched. A smaller file is one
// chunk.
//
// # Unsuitable layers
//
// Clients create files from the TOC. [Obstacle] finds layers whose files would then differ from
// those in the tar. Such layers must not be marked as zstd:chunked.
package chunked
