// Manual writes manual pages, and completions for bash, zsh and fish, to a directory. The paths in
// the directory are the same as in a share directory: man/man1/chunkah.1 and so on. The pages and
// completions are generated from the definitions of the commands' options, and from format/SPEC.md
// in the working directory. The same definitions always produce the same bytes. The date of the
// pages is SOURCE_DATE_EPOCH. If it is not set, the pages contain no date.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"chunkah/lib/cli"
	"chunkah/lib/manual"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "manual:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: manual FOLDER VERSION")
	}
	edition := manual.Edition{Version: args[1]}
	if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil {
			return fmt.Errorf("SOURCE_DATE_EPOCH %q is not a number of seconds", epoch)
		}
		edition.Date = time.Unix(seconds, 0).UTC().Format(time.DateOnly)
	}
	spec, err := os.ReadFile("format/SPEC.md")
	if err != nil {
		return err
	}
	files := cli.Manual(edition)
	files["man/man5/chunkah-stream.5"] = manual.ManPageOf("chunkah-stream", 5, string(spec), edition)
	for name, text := range files {
		name = filepath.Join(args[0], name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
