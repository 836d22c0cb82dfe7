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

// errForeignLink is the error for a symlink that another user can have planted.
var errForeignLink = errors.New("a symlink of another user in a world-writable directory: use the path of its target")

// CheckLink refuses to follow the symlink at path, described by info, if the kernel would with
// fs.protected_symlinks. Code that follows links itself would otherwise bypass that protection. In
// a sticky world-writable directory, a link must belong to this user or to the directory's owner.
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

// Resolve follows the symlinks at path itself, so that their target is replaced and not the link.
// The target need not exist. opened is true if path is an open file of a process, such as
// /dev/stdout.
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
		if _, err := os.Stat(parent); err != nil { // by the kernel's rules, unlike EvalSymlinks
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
			link = dir + "/" + link // not cleaned: x in "x/.." can be a link
		}
		target = link
	}
	return "", false, fmt.Errorf("following %q: more than %d symlinks", path, maxLinks)
}
