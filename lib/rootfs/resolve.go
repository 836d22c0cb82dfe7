package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks bounds the symlinks of one resolution, as Linux does (MAXSYMLINKS).
const maxLinks = 40

// Resolve returns the physical path of path, an absolute path in the tree:
// every symlink, the last name's too, is followed inside the tree, where the
// root is its own parent. It is an error wrapping fs.ErrNotExist where a name is
// not there.
func (r *Root) Resolve(path string) (string, error) {
	physical, err := r.resolve(path)
	if err != nil {
		return "", fmt.Errorf("resolving %q: %w", path, err)
	}
	return physical, nil
}

func (r *Root) resolve(path string) (string, error) {
	at := "/"
	links := 0
	for rest := path; rest != ""; {
		name, tail, _ := strings.Cut(rest, "/")
		rest = tail
		switch name {
		case "", ".":
			continue
		case "..":
			at, _ = split(at)
			continue
		}
		target, isLink, err := r.readlink(at, name)
		if err != nil {
			return "", err
		}
		if !isLink {
			at = join(at, name)
			continue
		}
		if links++; links > maxLinks {
			return "", unix.ELOOP
		}
		if strings.HasPrefix(target, "/") {
			at = "/"
		}
		rest = target + "/" + rest
	}
	return at, nil
}

// readlink returns the target of name in the physical directory at, if it is a
// symlink.
func (r *Root) readlink(at, name string) (target string, isLink bool, err error) {
	d, err := r.OpenDir(at)
	if err != nil {
		if errors.Is(err, unix.ENOTDIR) {
			return "", false, fs.ErrNotExist
		}
		return "", false, err
	}
	defer d.Close()
	st, err := d.Lstat(name)
	if err != nil {
		return "", false, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		return "", false, nil
	}
	target, err = d.Readlink(name)
	return target, true, err
}

func join(dir, name string) string {
	if dir == "/" {
		return "/" + name
	}
	return dir + "/" + name
}
