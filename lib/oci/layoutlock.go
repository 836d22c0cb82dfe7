package oci

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/opencontainers/go-digest"
)

// lockDir prevents two runs from writing index.json, or removing blobs, at the same time.
func (l *Layout) lockDir() error {
	f, err := os.OpenFile(l.dir, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	l.lock = f
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil // some network file systems do not support locks: on these, users must not run two builds at the same time
		}
		if l.opt.Busy == nil {
			return errors.New("another process is writing to the layout")
		}
		if err := l.opt.Busy(l.path); err != nil {
			return err
		}
	}
}

// mergeInto adds the image to a layout that another process has created at the path in the
// meantime. It moves the blobs from the temporary directory into that layout.
func (l *Layout) mergeInto() error {
	there := &Layout{path: l.path, opt: l.opt, ref: l.ref, temps: map[*layoutBlob]bool{}}
	if err := there.open(); err != nil {
		return errors.Join(err, there.Discard())
	}
	blobs, err := os.ReadDir(filepath.Join(l.dir, blobsDir))
	for _, b := range blobs {
		if err == nil {
			err = there.moveBlob(filepath.Join(l.dir, blobsDir, b.Name()), digest.NewDigestFromEncoded(digest.SHA256, b.Name()))
		}
	}
	if err != nil {
		return errors.Join(err, there.Discard())
	}
	if _, err := there.Finish(l.index); err != nil {
		return err
	}
	if err := there.Commit(); err != nil {
		return err
	}
	if err := os.RemoveAll(l.dir); err != nil {
		return fmt.Errorf("removing the unfinished directory: %w", err)
	}
	l.dir = l.path
	return nil
}
