// Package deflate compresses pieces of a deflate stream (RFC 1951).
//
// Layers are read far more often than they are written, so a piece is worth more time than the
// encoders of github.com/klauspost/compress give it, which are made for speed; and less than zlib
// takes. Like both, it finds matches by hash chains and looks one byte ahead before it takes one.
// It starts a new block where the statistics of the data change, not after a fixed size.
//
// Output depends on input and level alone: all arithmetic is on integers, and nothing is kept from
// one piece to the next.
package deflate
