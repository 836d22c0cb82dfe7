// Package compress turns the bytes of one layer into the bytes of one blob: unchanged, as gzip or
// as zstd.
//
// It promises four things.
//
//   - Same input, same bytes: what a [Writer] emits depends on its input and its [Settings] and on nothing else, not on
//     the number of workers, the number of cores, the sizes of the writes, what else the process compresses, or the
//     processor. [Settings.Key] names those bytes: equal keys and equal input give equal output.
//   - All cores work on one stream: the input is cut in blocks of a fixed size, the workers of a [Pool] compress them,
//     and the results are put back in order. Several writers share the workers: the lowest rank comes first.
//   - Memory is bounded: see [Pool] for the sum.
//   - Nothing is left behind: only a pool has goroutines, and [Pool.Close] waits for them. A writer has none.
//
// # gzip
//
// One member, with no name, no time and an unknown operating system in its header. Each block is
// compressed on its own with the 32 KiB before it as a dictionary, and ends on a byte boundary (a
// deflate sync flush); an empty last block closes the stream. Any gzip reader takes it for an
// ordinary file. Levels 1 to 5 are those of github.com/klauspost/compress/flate, which are faster
// and a little larger than zlib's of the same number; levels 6 to 9 are those of package deflate.
//
// # zstd
//
// One frame, because some readers stop behind the first. Each block is compressed on its own as a
// frame by the library, and the blocks of these frames are joined. The frame's window is that of a
// block, 4 MiB at most, and it has no checksum and no size of its content: layers are known by
// their digests. Levels 1 to 22 are accepted as the zstd command knows them, and fall into the four
// that the library has.
package compress
