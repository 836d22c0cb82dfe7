// Package temp makes what is not finished yet: files and folders whose names tell
// it, and which are locked until they are finished. The kernel drops the lock of a
// process that is killed, so that what it has left can be told from what another
// process is at.
package temp

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	prefix = ".chunkah-"
	suffix = ".tmp"
)

// Is tells whether name, of a file or folder, says that it is unfinished.
func Is(name string) bool {
	return strings.HasPrefix(name, prefix) && strings.HasSuffix(name, suffix)
}

// Memory is the last folder that Dir tries. Containers have it even if their root is
// read-only. It is memory, bounded by its mount (64 MB unless --shm-size is given).
const Memory = "/dev/shm"

// Dir is where temporary files go: TMPDIR, or the first of some folders and Memory where
// files can be made, or the first of all. It is an absolute path.
func Dir(folders ...string) string {
	if dir := os.Getenv("TMPDIR"); dir != "" {
		if abs, err := filepath.Abs(dir); err == nil {
			return abs
		}
		return dir
	}
	for _, dir := range append(folders, Memory) {
		if Takes(dir) {
			return dir
		}
	}
	return folders[0]
}

// Takes reports whether this process can make files in a folder.
func Takes(dir string) bool { return unix.Access(dir, unix.W_OK|unix.X_OK) == nil }

// path is a new name in dir.
func path(dir string) string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return filepath.Join(dir, prefix+hex.EncodeToString(b[:])+suffix)
}

// Create makes a file in dir, for reading and writing. To be told from a leftover
// it has to stay open until it has another name, or none.
func Create(dir string, perm os.FileMode) (*os.File, error) {
	f, err := os.OpenFile(path(dir), os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
	if err == nil {
		hold(f)
	}
	return f, err
}

// Mkdir makes a folder in dir and returns it open, for its name and, as Create
// does, to be held.
func Mkdir(dir string, perm os.FileMode) (*os.File, error) {
	name := path(dir)
	if err := os.Mkdir(name, perm); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, errors.Join(err, os.Remove(name))
	}
	hold(f)
	return f, nil
}

// hold locks what was made. Another process that looks at it has it for a moment.
func hold(f *os.File) {
	_ = lock(f, unix.LOCK_EX) // where a file system cannot lock, nothing there is taken for a leftover
}

func lock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); err != unix.EINTR {
			return err
		}
	}
}

// namesAtOnce bounds how many names of a folder are in memory.
const namesAtOnce = 1024

// settle is how long a process may take from creating something to locking it, two
// system calls: ten times what a loaded machine needs.
const settle = 100 * time.Millisecond

// Left returns the paths in dir of what killed processes have left there, sorted.
// A folder that is not there holds none.
func Left(dir string) ([]string, error) {
	left, err := unheld(dir)
	if len(left) > 0 {
		time.Sleep(settle)
		left = slices.DeleteFunc(left, func(path string) bool { return !isLeft(path) })
	}
	slices.Sort(left)
	return left, err
}

// unheld lists what nobody holds at the moment.
func unheld(dir string) (paths []string, err error) {
	d, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY, 0) // a FIFO would wait for a writer
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(namesAtOnce)
		for _, name := range names {
			if path := filepath.Join(dir, name); Is(name) && isLeft(path) {
				paths = append(paths, path)
			}
		}
		if err == io.EOF {
			return paths, nil
		}
		if err != nil {
			return paths, err
		}
	}
}

// isLeft reports whether nobody holds what is there. What belongs to others, or
// cannot be locked, is none of ours.
func isLeft(path string) bool {
	was, err := os.Lstat(path)
	if err != nil {
		return false
	}
	flags := os.O_RDWR // which a network file system wants for a lock
	switch {
	case was.IsDir():
		flags = os.O_RDONLY
	case !was.Mode().IsRegular():
		return false
	}
	f, err := os.OpenFile(path, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	if lock(f, unix.LOCK_EX|unix.LOCK_NB) != nil {
		return false
	}
	// It may have been finished since, and is now what the lock is on.
	locked, err := f.Stat()
	if err != nil {
		return false
	}
	now, err := os.Lstat(path)
	return err == nil && os.SameFile(locked, now)
}
