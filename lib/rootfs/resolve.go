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
	at, isDir := "/", true // what is resolved so far
	links := 0
	for rest := path; rest != ""; {
		name, tail, _ := strings.Cut(rest, "/")
		rest = tail
		switch {
		case name == "":
			continue
		case !isDir:
			return "", fs.ErrNotExist
		case name == ".":
			continue
		case name == "..":
			at, _ = split(at)
			continue
		}
		kind, target, err := r.peek(at, name)
		if err != nil {
			return "", err
		}
		if kind != unix.S_IFLNK {
			at, isDir = join(at, name), kind == unix.S_IFDIR
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

// peek returns the type (unix.S_IFMT) of name in the physical directory at, and
// the target of a symlink.
func (r *Root) peek(at, name string) (kind uint32, target string, err error) {
	d, err := r.OpenDir(at)
	if err != nil {
		if errors.Is(err, unix.ENOTDIR) {
			return 0, "", fs.ErrNotExist
		}
		return 0, "", err
	}
	defer d.Close()
	st, err := d.Lstat(name)
	if err != nil {
		return 0, "", err
	}
	kind = st.Mode & unix.S_IFMT
	if kind == unix.S_IFLNK {
		target, err = d.Readlink(name)
	}
	return kind, target, err
}

func join(dir, name string) string {
	if dir == "/" {
		return "/" + name
	}
	return dir + "/" + name
}
