package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// databasePlace is the path of the package database in this version of Fedora.
const databasePlace = "var/lib/rpm/rpmdb.sqlite"

// contents describes made-up files.
type contents struct {
	maxFile int64 // bytes
	random  int   // number of incompressible bytes in each block
	data    bool  // files below /usr/share do not change when a package is rebuilt
}

const block = 4096 // bytes

// A sample root of about 100 MB demonstrates as much as a large root. Gzip compresses the files in
// a Fedora container to about 45 % of their size.
var (
	sample = contents{maxFile: 2 << 20, random: block}
	full   = contents{maxFile: math.MaxInt64, random: block * 45 / 100, data: true}
)

// A file is an installed file of a package.
type file struct {
	path   string // absolute in the root
	mode   uint16 // as in stat, with the type
	size   int64  // in bytes
	target string // target of a symlink
	built  int64  // build time of its package, in unix seconds
}

// makeRoot makes, in dir, the database and the files that it lists. If rebuilt is not empty, it is
// the name of a package that was rebuilt.
func makeRoot(dir, database, rebuilt string, made contents) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// No path in the database can lead out of the root.
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
		for name := range strings.SplitSeq(rebuilt, ",") {
			if err := rebuild(copied, name); err != nil {
				return fmt.Errorf("rebuilding %q in %q: %w", name, copied, err)
			}
		}
	}
	files, err := readFiles(copied)
	if err != nil {
		return fmt.Errorf("reading %q: %w", copied, err)
	}
	// Add an application that no package owns.
	files = append(files, file{path: "/opt/hello/hello", mode: 0o100755, size: 300_000, built: files[0].built})
	// Directories and links come before the files below them, regardless of the order of packages,
	// because a short path is never below a longer path.
	sort.SliceStable(files, func(i, j int) bool { return files[i].rank() < files[j].rank() })
	var newest int64
	for _, f := range files {
		if err := f.create(root, made); err != nil {
			return err
		}
		newest = max(newest, f.built)
	}
	// The database was written after the newest package was built.
	written := time.Unix(newest+3600, 0)
	return root.Chtimes(databasePlace, written, written)
}

// rank returns a key that sorts directories first, then symlinks, then the rest, each by path
// length.
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

// create makes one file. It does not set the owner, because that needs root privileges.
func (f file) create(root *os.Root, made contents) error {
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
	var seed [32]byte
	if !made.data || !strings.HasPrefix(f.path, "/usr/share/") {
		binary.BigEndian.PutUint64(seed[:], uint64(f.built)) // so that another build of the package contains different bytes
	}
	copy(seed[8:], path.Base(name))
	_, err = io.CopyN(out, &filler{random: rand.NewChaCha8(seed), made: made}, min(f.size, made.maxFile))
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	// Make every file readable by its owner. Some files are readable only by root, who does not own
	// the files in this demo.
	if err := root.Chmod(name, fs.FileMode(f.mode&0o777|0o400)); err != nil {
		return err
	}
	built := time.Unix(f.built, 0)
	return root.Chtimes(name, built, built)
}

// A filler yields blocks that begin with random bytes and end with zeros.
type filler struct {
	random *rand.ChaCha8
	made   contents
	at     int // in the block
}

func (f *filler) Read(p []byte) (int, error) {
	if f.at < f.made.random {
		n := min(len(p), f.made.random-f.at)
		f.at = (f.at + n) % block
		return f.random.Read(p[:n])
	}
	n := min(len(p), block-f.at)
	f.at = (f.at + n) % block
	clear(p[:n])
	return n, nil
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
