package pkgdb

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"chunkah/lib/rootfs"
)

// Resolve follows a path inside the tree. found is false if nothing exists at the path or at the
// target of a link.
func Resolve(root *rootfs.Root, path string) (physical string, found bool, err error) {
	physical, err = root.Resolve(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENOTDIR):
		return "", false, nil
	case err != nil:
		return "", false, err
	}
	return physical, true, nil
}

// File resolves the path of a regular file. Any other type is an error.
func File(root *rootfs.Root, path string) (physical string, found bool, err error) {
	physical, kind, err := look(root, path)
	if err == nil && kind != 0 && kind != unix.S_IFREG {
		err = fmt.Errorf("reading %q: %w", physical, rootfs.ErrNotRegular)
	}
	return physical, kind != 0 && err == nil, err
}

// Dir resolves the path of a directory and lists it, sorted. found is false for any other type.
func Dir(root *rootfs.Root, path string) (physical string, names []string, found bool, err error) {
	physical, kind, err := look(root, path)
	if err != nil || kind != unix.S_IFDIR {
		return "", nil, false, err
	}
	names, err = root.ReadDir(physical)
	return physical, names, err == nil, err
}

// look resolves a path and returns its type, or 0 if the path does not exist.
func look(root *rootfs.Root, path string) (string, uint32, error) {
	physical, found, err := Resolve(root, path)
	if err != nil || !found {
		return "", 0, err
	}
	st, err := root.Lstat(physical)
	return physical, st.Mode & unix.S_IFMT, err
}
