// Package regular opens regular files and nothing else, for whatever was put somewhere by others: a
// FIFO there is not waited for, a device is not acted on, and a symlink is followed only where a
// user has named it.
package regular

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// ErrNot says that something other than a regular file is there.
var ErrNot = errors.New("is not a regular file")

// Open opens the regular file at path, or the one that a symlink there leads to.
func Open(path string) (*os.File, error) { return open(path, 0) }

// OpenOwn opens the regular file at path, in a folder where there are no symlinks.
func OpenOwn(path string) (*os.File, error) { return open(path, unix.O_NOFOLLOW) }

func open(path string, flags int) (*os.File, error) {
	// Access times stay as they are where the kernel allows that: to the owner alone.
	flags |= unix.O_NONBLOCK | unix.O_NOCTTY
	f, err := os.OpenFile(path, flags|unix.O_NOATIME, 0)
	if errors.Is(err, unix.EPERM) {
		f, err = os.OpenFile(path, flags, 0)
	}
	switch {
	case errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV), flags&unix.O_NOFOLLOW != 0 && errors.Is(err, unix.ELOOP):
		err = not(path) // a socket, a device that is not there, a symlink
	case err != nil:
	default:
		var info os.FileInfo
		if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
			err = not(path)
		}
	}
	if err != nil && f != nil {
		f.Close()
		f = nil
	}
	return f, err
}

func not(path string) error { return &fs.PathError{Op: "open", Path: path, Err: ErrNot} }
