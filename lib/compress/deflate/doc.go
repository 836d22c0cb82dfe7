// Package deflate compresses pieces of a deflate stream (RFC 1951).
//
// Layers are read far more often than they are written. So the encoder takes more time per piece
// than the encoders in github.com/klauspost/compress, which are designed for speed, but less time
// than zlib. Like those encoders and zlib, it finds matches with hash chains. Before it uses a
// match, it also searches at the next byte. It starts a new block where the statistics of the data
// change, not after a fixed size.
//
// The output depends only on the input and the level. All arithmetic uses integers, and no state is
// kept from one piece to the next.
package deflate
