// Package compress compresses the bytes of a layer into a blob: unchanged, as gzip or as zstd.
//
// It has four guarantees:
//
//   - Same input, same bytes. The output of a [Writer] depends only on its input and its
//     [Settings]. The numbers of workers and cores, the sizes of writes, other work in the process
//     and the processor do not matter. [Settings.Key] identifies the output: equal keys and equal
//     input produce equal bytes.
//   - All cores work on one stream. The input is divided into blocks of a fixed size, the workers
//     of a [Pool] compress them, and the results are written in order. Several writers share the
//     workers, and the writer with the lowest rank comes first.
//   - Memory is limited (see [Pool]).
//   - No goroutine is left behind. Only a pool starts goroutines, and [Pool.Close] waits for them.
//
// # gzip
//
// The output is one member, with no name, no time and an unknown operating system in its header.
// Each block is compressed separately with the previous 32 KiB as a dictionary, and ends on a byte
// boundary (a deflate sync flush). An empty final block ends the stream. Any gzip reader accepts
// it. Levels 1 to 5 are those of github.com/klauspost/compress/flate, which are faster and produce
// slightly larger output than the same levels of zlib. Levels 6 to 9 are those of package deflate.
//
// # zstd
//
// The output is one frame, because some readers stop after the first frame. The library compresses
// each block separately, as a frame, and the blocks in these frames are joined. The window of the
// frame is as large as a block, at most 4 MiB. The frame contains no checksum and no content size,
// because layers have digests. Levels 1 to 22 are those of the zstd command, mapped to the four
// levels of the library.
package compress
