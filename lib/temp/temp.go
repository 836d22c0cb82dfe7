// Package temp creates unfinished files and directories. They have recognisable names and are
// locked until they are finished. The kernel releases the locks of a killed process, so its
// leftovers can be distinguished from files that another process is writing.
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

	"chunkah/lib/interrupt"

	"golang.org/x/sys/unix"
)

const (
	prefix = ".chunkah-"
	suffix = ".tmp"
)

// Is reports whether name is the name of an unfinished file or directory.
func Is(name string) bool {
	return strings.HasPrefix(name, prefix) && strings.HasSuffix(name, suffix)
}

// Memory is the last directory that Dir tries. Containers provide it even if their root is
// read-only. It is in memory, and its size is limited (by default to 64 MB, see --shm-size).
const Memory = "/dev/shm"

// Dir returns the absolute path of the directory for temporary files: TMPDIR, else the first
// writable directory of dirs and Memory, else the first of them.
func Dir(dirs ...string) string {
	if dir := os.Getenv("TMPDIR"); dir != "" {
		if abs, err := filepath.Abs(dir); err == nil {
			return abs
		}
		return dir
	}
	for _, dir := range append(dirs, Memory) {
		if Writable(dir) {
			return dir
		}
	}
	return dirs[0]
}

// Writable reports whether this process can create files in a directory.
func Writable(dir string) bool { return unix.Access(dir, unix.W_OK|unix.X_OK) == nil }

// path returns a new name in dir.
func path(dir string) string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return filepath.Join(dir, prefix+hex.EncodeToString(b[:])+suffix)
}

// Create creates a file in dir for reading and writing. Keep it open until it is renamed or
// removed, because a closed file is treated as a leftover.
func Create(dir string, perm os.FileMode) (*os.File, error) {
	f, err := os.OpenFile(path(dir), os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
	if err == nil {
		lockNew(f)
	}
	return f, err
}

// Mkdir creates a directory in dir and opens it. Keep it open like a file from Create.
func Mkdir(dir string, perm os.FileMode) (*os.File, error) {
	name := path(dir)
	if err := os.Mkdir(name, perm); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, errors.Join(err, os.Remove(name))
	}
	lockNew(f)
	return f, nil
}

// lockNew locks a new file or directory. A process that looks for leftovers can hold the lock for a
// moment.
func lockNew(f *os.File) {
	_ = lock(f, unix.LOCK_EX) // if the file system does not support locks, its files are never treated as leftovers
}

func lock(f *os.File, how int) error {
	return interrupt.Retry(func() error { return unix.Flock(int(f.Fd()), how) })
}

// namesAtOnce limits how many names of a directory are read at a time.
const namesAtOnce = 1024

// lockDelay is the longest expected time between creating and locking a file, which are two system
// calls. It is ten times as long as these calls take on a loaded machine.
const lockDelay = 100 * time.Millisecond

// Left returns the sorted paths of files that killed processes left in dir. A missing dir is not an
// error.
func Left(dir string) ([]string, error) {
	left, err := unlocked(dir)
	if len(left) > 0 {
		time.Sleep(lockDelay)
		left = slices.DeleteFunc(left, func(path string) bool { return !isLeft(path) })
	}
	slices.Sort(left)
	return left, err
}

// unlocked returns the paths of unfinished files in dir that no process has locked.
func unlocked(dir string) (paths []string, err error) {
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

// isLeft reports whether path is an unfinished file that no process has locked. It returns false
// for files that belong to other users or cannot be locked.
func isLeft(path string) bool {
	was, err := os.Lstat(path)
	if err != nil {
		return false
	}
	flags := os.O_RDWR // network file systems require write access for a lock
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
	// The file may have been renamed in the meantime. Then the lock is on a finished file.
	locked, err := f.Stat()
	if err != nil {
		return false
	}
	now, err := os.Lstat(path)
	return err == nil && os.SameFile(locked, now)
}
