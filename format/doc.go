// Package format reads and writes the stream that chunkah's stages exchange.
//
// A stream is a sequence of records (header, file, component, layer, end) in
// one of two encodings, JSON Lines or concatenated msgpack maps. SPEC.md beside
// this file is the contract; the test vectors under testdata hold every
// implementation to it, this one included.
//
// The package knows nothing of file systems, packages or images: it checks what
// one record can show by itself (names, ranges, kinds) and that records come in
// an order that is allowed, from the header to the end. What they mean to each
// other is checked by the stages.
package format
