//go:build linux

// Chunkah-write writes the layers of a stream as an OCI image. See chunkah-write
// --help.
package main

import (
	"os"

	"chunkah/lib/cli"
)

func main() { os.Exit(cli.Main("chunkah-write")) }
