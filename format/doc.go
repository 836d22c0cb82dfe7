// Package format reads and writes the stream that chunkah's stages exchange.
//
// A stream is a sequence of records (header, file, component, layer, end) in one of two encodings,
// JSON Lines or concatenated msgpack maps. SPEC.md in this directory is the specification. The test
// vectors in testdata check every implementation, including this one.
//
// The package does not depend on file systems, packages or images. It checks each record by itself
// (names, ranges, kinds) and the order of records from the header to the end. The stages check the
// relations between records.
package format
