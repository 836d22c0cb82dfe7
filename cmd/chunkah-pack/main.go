//go:build linux

// Chunkah-pack groups the components of a stream into layers. See chunkah-pack
// --help.
package main

import (
	"os"

	"chunkah/lib/cli"
)

func main() { os.Exit(cli.Main("chunkah-pack")) }
