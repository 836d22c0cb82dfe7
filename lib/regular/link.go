package regular

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// errForeignLink is the error for a symlink that another user may have planted.
var errForeignLink = errors.New("a symlink of another user in a world-writable directory: use the path of its target")

// CheckLink refuses to follow the symlink at path, described by info, if the kernel would refuse it
// with fs.protected_symlinks. Code that follows symlinks itself would otherwise bypass that
// protection. In a sticky world-writable directory, a symlink must belong to this user or to the
// directory's owner.
func CheckLink(path string, info fs.FileInfo) error {
	dir, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	if dir.Mode()&fs.ModeSticky == 0 || dir.Mode()&0o002 == 0 {
		return nil
	}
	link, ok := info.Sys().(*syscall.Stat_t)
	parent, ok2 := dir.Sys().(*syscall.Stat_t)
	if ok && ok2 && (int(link.Uid) == os.Geteuid() || link.Uid == parent.Uid) {
		return nil
	}
	return fmt.Errorf("%q is %w", path, errForeignLink)
}

const maxLinks = 40 // in a row, as in the kernel

// Resolve follows the symlinks at path, so that a write replaces their target and not the symlink.
// The target need not exist. opened is true if path refers to an open file of a process, for
// example /dev/stdout.
func Resolve(path string) (target string, opened bool, err error) {
	target = path
	for range maxLinks {
		info, err := os.Lstat(target)
		if errors.Is(err, fs.ErrNotExist) {
			return target, false, nil
		}
		if err != nil {
			return "", false, err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			return target, false, nil
		}
		if err := CheckLink(target, info); err != nil {
			return "", false, err
		}
		parent := filepath.Dir(target)
		if _, err := os.Stat(parent); err != nil { // follows the kernel's rules, unlike EvalSymlinks
			return "", false, err
		}
		dir, err := filepath.EvalSymlinks(parent)
		if err != nil {
			return "", false, err
		}
		if strings.HasPrefix(dir, "/proc/") {
			return target, true, nil
		}
		link, err := os.Readlink(target)
		if err != nil {
			return "", false, err
		}
		if !filepath.IsAbs(link) {
			link = dir + "/" + link // not cleaned, because x in "x/.." can be a symlink
		}
		target = link
	}
	return "", false, fmt.Errorf("following %q: more than %d symlinks", path, maxLinks)
}
