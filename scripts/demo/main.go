// Demo makes the two roots of `make demo`: a sample, and the same sample after one of its packages
// was rebuilt. It needs only Go, because the package database, from a Fedora container, is test
// data in the module go-rpmdb. The roots contain the files that the database lists, filled with
// made-up bytes.
//
//	demo [-full] DATABASE DIR PACKAGE    makes DIR/root, and DIR/updated with PACKAGE rebuilt
//
// With -full, which is intended for measurements, large files have their real size and the bytes
// can be compressed. PACKAGE can be a comma-separated list, because the packages of one source are
// rebuilt together.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	made := sample
	if len(args) > 0 && args[0] == "-full" {
		made, args = full, args[1:]
	}
	if len(args) != 3 {
		return errors.New("usage: demo [-full] DATABASE DIR PACKAGE")
	}
	database, dir, name := args[0], args[1], args[2]
	syscall.Umask(0o022) // make the same sample for everybody
	if err := makeRoot(filepath.Join(dir, "root"), database, "", made); err != nil {
		return err
	}
	if err := makeRoot(filepath.Join(dir, "updated"), database, name, made); err != nil {
		return err
	}
	fmt.Printf("made %s/root, the files of a Fedora container, and %s/updated, with %s rebuilt\n", dir, dir, name)
	return nil
}
