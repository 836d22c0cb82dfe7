// Demo makes the sample root that `make demo` turns into an image, and shows the
// image's layers. It needs nothing but Go: the package database is one of those
// that the module go-rpmdb carries for its tests, from a Fedora container, and
// the files are those which it lists, filled with made-up bytes.
//
//	demo root DATABASE DIR    makes the root DIR
//	demo layers ARCHIVE       shows the layers of an OCI archive
package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	syscall.Umask(0o022) // the same sample for everybody
	switch {
	case len(args) == 3 && args[0] == "root":
		return makeRoot(args[1], args[2])
	case len(args) == 2 && args[0] == "layers":
		return showLayers(os.Stdout, args[1])
	}
	return errors.New("usage: demo root DATABASE DIR, or demo layers ARCHIVE")
}
