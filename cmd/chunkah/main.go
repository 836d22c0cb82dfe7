// Chunkah makes OCI images whose layers follow the content of a root file
// system. Its subcommand build joins the four stages in one process; scan,
// assign, pack and write are the stages themselves. See chunkah --help.
package main

import (
	"os"

	"chunkah/lib/cli"
)

func main() { os.Exit(cli.Main("chunkah")) }
