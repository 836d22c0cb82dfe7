// Manual writes manual pages and completions of bash, zsh and fish to a folder, as
// they lie below share: man/man1/chunkah.1 and so on. They are made of the
// definitions of the commands' options, and of format/SPEC.md, which it is to find
// in the folder that it runs in. The same definitions give the same bytes: the pages'
// date is that of SOURCE_DATE_EPOCH, and none where that is not set.
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
