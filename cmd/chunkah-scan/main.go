//go:build linux

// Chunkah-scan lists the files of a root file system as a stream of records
// (format/SPEC.md). See chunkah-scan --help.
package main

import (
	"os"

	"chunkah/lib/cli"
)

func main() { os.Exit(cli.Main("chunkah-scan")) }
