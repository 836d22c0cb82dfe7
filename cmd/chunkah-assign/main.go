//go:build linux

// Chunkah-assign tags the files of a stream with the components they belong to.
// See chunkah-assign --help.
package main

import (
	"os"

	"chunkah/lib/cli"
)

func main() { os.Exit(cli.Main("chunkah-assign")) }
