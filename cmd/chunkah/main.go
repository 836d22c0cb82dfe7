//go:build linux

// Chunkah makes OCI images whose layers follow the content of a root file system. Its subcommand
// build runs the four stages in one process. The subcommands scan, assign, pack and write each run
// one stage. See chunkah --help.
//
// If it is called by the name of a stage, for example through a symlink, it runs that stage. The
// container image relies on this, because it contains only one binary.
package main

import (
	"os"
	"path/filepath"

	"chunkah/lib/cli"
)

func main() {
	name := "chunkah"
	switch called := filepath.Base(os.Args[0]); called {
	case "chunkah-scan", "chunkah-assign", "chunkah-pack", "chunkah-write":
		name = called
	}
	os.Exit(cli.Main(name))
}
