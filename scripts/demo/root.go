package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// databasePlace is where a Fedora of that time keeps its package database.
const databasePlace = "var/lib/rpm/rpmdb.sqlite"

// maxFile bounds the size of a made-up file, in bytes: a sample root of some
// 100 MB shows as much as a large one.
const maxFile = 2 << 20

// A file is one that a package lists and that was installed.
type file struct {
	path   string // absolute in the root
	mode   uint16 // as in stat, with the type
	size   int64  // in bytes
	target string // of a symlink
	built  int64  // when its package was built, in unix seconds
}

// makeRoot makes the files that the database lists, in dir, with the database
// itself among them. If rebuilt is not empty, that package was rebuilt.
func makeRoot(dir, database, rebuilt string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// Nothing that the database lists can lead out of the root.
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := copyDatabase(root, database); err != nil {
		return err
	}
	copied := filepath.Join(dir, databasePlace)
	if rebuilt != "" {
		if err := rebuild(copied, rebuilt); err != nil {
			return fmt.Errorf("rebuilding %q in %q: %w", rebuilt, copied, err)
		}
	}
	files, err := readFiles(copied)
	if err != nil {
		return fmt.Errorf("reading %q: %w", copied, err)
	}
	// An application that no package has.
	files = append(files, file{path: "/opt/hello/hello", mode: 0o100755, size: 300_000, built: files[0].built})
	// Directories and links come before what is in them, whichever package lists
	// what first; a short path is never below a longer one.
	sort.SliceStable(files, func(i, j int) bool { return files[i].rank() < files[j].rank() })
	var newest int64
	for _, f := range files {
		if err := f.create(root); err != nil {
			return err
		}
		newest = max(newest, f.built)
	}
	// The database was written after the newest package was built.
	written := time.Unix(newest+3600, 0)
	return root.Chtimes(databasePlace, written, written)
}

// rank orders files: directories, then symlinks, then the rest, each by length.
func (f file) rank() int {
	kind := 2
	switch f.mode & typeMask {
	case typeDir:
		kind = 0
	case typeSymlink:
		kind = 1
	}
	return kind<<20 + len(f.path)
}

// The type bits of a mode, as in stat.
const (
	typeMask    = 0o170000
	typeDir     = 0o040000
	typeSymlink = 0o120000
)

// create makes one file. Ownership needs root and is left alone.
func (f file) create(root *os.Root) error {
	name := strings.TrimPrefix(f.path, "/")
	if name == "" {
		return nil
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	switch f.mode & typeMask {
	case typeDir:
		return root.MkdirAll(name, 0o755)
	case typeSymlink:
		if err := root.Symlink(f.target, name); !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	}
	out, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil // listed by two packages
	}
	if err != nil {
		return err
	}
	// Another build has other bytes.
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], uint64(f.built))
	copy(seed[8:], path.Base(name))
	_, err = io.CopyN(out, rand.NewChaCha8(seed), min(f.size, maxFile))
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	// Some files can be read only by root, and this root has no such owner.
	if err := root.Chmod(name, fs.FileMode(f.mode&0o777|0o400)); err != nil {
		return err
	}
	built := time.Unix(f.built, 0)
	return root.Chtimes(name, built, built)
}

// copyDatabase copies the package database to its place in the root.
func copyDatabase(root *os.Root, database string) error {
	data, err := os.ReadFile(database)
	if err != nil {
		return err
	}
	if err := root.MkdirAll(path.Dir(databasePlace), 0o755); err != nil {
		return err
	}
	return root.WriteFile(databasePlace, data, 0o644)
}
