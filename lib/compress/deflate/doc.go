// Package deflate compresses pieces of a deflate stream (RFC 1951).
//
// Layers are read far more often than they are written. So the encoder takes more time for a piece
// than those of github.com/klauspost/compress, which are made for speed, but less than zlib. Like
// both, it finds matches by hash chains, and looks one byte ahead before it uses one. It starts a
// new block where the statistics of the data change, not after a fixed size.
//
// The output depends only on input and level: all arithmetic is on integers, and no state is kept
// from one piece to the next.
package deflate
