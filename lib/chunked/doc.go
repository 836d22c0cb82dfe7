// Package chunked writes and checks layers in the format zstd:chunked. podman, buildah and CRI-O
// can fetch only the missing chunks of such layers.
//
// # The format
//
// A blob is an ordinary tar compressed with zstd. The headers of the tar have their own frames, and
// so has each chunk of each regular file. Three skippable frames follow, each with 8 bytes before
// its contents:
//
//   - the table of contents (TOC), compressed JSON: all entries with their metadata, digests, and
//     the positions of their chunks in the blob;
//   - tar-split, compressed JSON lines: all bytes of the tar except the contents of files, from
//     which clients rebuild the tar, to compare its digest with the config of the image;
//   - a footer with the positions of both.
//
// Three annotations of the layer have the same positions and the digest of the TOC. Clients that do
// not know them read the blob as ordinary zstd. The format is defined by the package chunked of
// go.podman.io/storage; its version 1 is written here.
//
// # Chunks
//
// A file of 128 KiB and more is cut where a rolling checksum says so, as in that package: every 64
// KiB on average. So a change in the middle of a file leaves other chunks as they are. Blocks of
// zeros are chunks too, which are not fetched. Smaller files are one chunk.
//
// # What clients lose
//
// Clients create files from the TOC. [Obstacle] finds layers whose files would then differ from
// those in the tar. Such layers must not be marked as zstd:chunked.
package chunked
