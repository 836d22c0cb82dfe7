//go:build !cgo || exclude_graphdriver_btrfs

package storage

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Other programs usually hold a lock only briefly. While they unpack a layer, for example, they
// hold it longer.
const (
	lockPauses = 20
	lockPause  = 50 * time.Millisecond
)

// lock returns the path of the store's lock file for layers or images.
func (w *Writer) lock(of string) string {
	driver := w.store.GraphDriverName()
	return filepath.Join(w.store.GraphRoot(), driver+"-"+of, of+".lock")
}

// wait waits until no other process holds a lock. The library would wait too, but without a
// message, and signals would not interrupt it. This process must not hold the lock itself, because
// closing the file would release it.
func (w *Writer) wait(path string) error {
	return w.retry(filepath.Dir(path), func() (bool, error) { return isFree(path) })
}

// retry repeats try until it returns true, with a message about dir if this takes long.
func (w *Writer) retry(dir string, try func() (bool, error)) error {
	for n := 0; ; n++ {
		done, err := try()
		switch {
		case done || err != nil:
			return err
		case n < lockPauses:
			time.Sleep(lockPause)
		case w.opt.Busy == nil:
			return errors.New("another process is using the storage")
		default:
			if err := w.opt.Busy(dir); err != nil {
				return err
			}
		}
	}
}

// isFree reports whether no other process holds the lock on a file.
func isFree(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock); err != nil {
		return false, &os.PathError{Op: "locking", Path: path, Err: err}
	}
	return lock.Type == unix.F_UNLCK, nil
}

// guard locks the graph root against other runs of chunkah, and returns a function that unlocks it.
// The library's own locks cannot be used for this, because its functions take them, too.
func (w *Writer) guard() (unlock func(), err error) {
	dir, err := os.OpenFile(w.store.GraphRoot(), os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	err = w.retry(w.store.GraphRoot(), func() (bool, error) {
		err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		// If the file system does not support locks, as on some network file systems, runs are not
		// protected from each other.
		return !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR), nil
	})
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return func() { _ = dir.Close() }, nil // it was only locked
}
