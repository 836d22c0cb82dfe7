// Package regular opens only regular files, in directories to which other users may be able to
// write. Opening a file never blocks on a FIFO and has no side effects on devices, and a symlink is
// followed only if the user named it.
package regular

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// ErrNot is the error for everything that is not a regular file.
var ErrNot = errors.New("is not a regular file")

// Open opens the regular file at path. A symlink there is followed.
func Open(path string) (*os.File, error) { return open(path, 0) }

// OpenOwn opens the regular file at path, without following a symlink.
func OpenOwn(path string) (*os.File, error) { return open(path, unix.O_NOFOLLOW) }

// ReadConfig reads a configuration file, up to most bytes. /dev/null reads as an empty file.
func ReadConfig(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if null, err := os.Stat(os.DevNull); err == nil && os.SameFile(info, null) {
		return nil, nil
	}
	if !info.Mode().IsRegular() || info.Size() > most {
		return nil, fmt.Errorf("%q is not a regular file, or is larger than the limit of %d bytes", path, most)
	}
	return os.ReadFile(path)
}

func open(path string, flags int) (*os.File, error) {
	// Do not change the access time, if the kernel allows that: it does so only for the file's
	// owner.
	flags |= unix.O_NONBLOCK | unix.O_NOCTTY
	f, err := os.OpenFile(path, flags|unix.O_NOATIME, 0)
	if errors.Is(err, unix.EPERM) {
		f, err = os.OpenFile(path, flags, 0)
	}
	switch {
	case errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV), flags&unix.O_NOFOLLOW != 0 && errors.Is(err, unix.ELOOP):
		err = notRegular(path) // a socket, a missing device or a symlink
	case err != nil:
	default:
		var info os.FileInfo
		if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
			err = notRegular(path)
		}
	}
	if err != nil && f != nil {
		f.Close()
		f = nil
	}
	return f, err
}

func notRegular(path string) error { return &fs.PathError{Op: "open", Path: path, Err: ErrNot} }
