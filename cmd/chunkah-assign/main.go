//go:build linux

// Chunkah-assign tags the files of a stream with the components to which they belong. See
// chunkah-assign --help.
package main

import (
	"os"

	"chunkah/lib/cli"
)

func main() { os.Exit(cli.Main("chunkah-assign")) }
