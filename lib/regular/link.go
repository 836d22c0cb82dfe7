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

// errForeignLink refuses a link that others may have put in the way.
var errForeignLink = errors.New("a symlink of another user in a folder that everybody may write to: name what it leads to")

// CheckLink refuses to follow the symlink at path, which info is of, where the kernel would with
// fs.protected_symlinks: whoever follows links by hand, to replace what they lead to, gets around
// it otherwise. In a sticky folder that everybody may write to, a link counts if it is this user's,
// or the folder's owner's.
func CheckLink(path string, info fs.FileInfo) error {
	dir, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	if dir.Mode()&fs.ModeSticky == 0 || dir.Mode()&0o002 == 0 {
		return nil
	}
	link, ok := info.Sys().(*syscall.Stat_t)
	folder, ok2 := dir.Sys().(*syscall.Stat_t)
	if ok && ok2 && (int(link.Uid) == os.Geteuid() || link.Uid == folder.Uid) {
		return nil
	}
	return fmt.Errorf("%q is %w", path, errForeignLink)
}

const maxLinks = 40 // in a row, as the kernel has it

// Resolve follows the symlinks that path itself is, so that what a link leads to is replaced and
// not the link. The last one may lead to nothing yet. opened is true where path names a file that a
// process has open, as /dev/stdout does.
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
		if _, err := os.Stat(parent); err != nil { // by the kernel's rules, not by those of EvalSymlinks
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
			link = dir + "/" + link // not joined: that would take "x/.." for nothing, where x may be a link
		}
		target = link
	}
	return "", false, fmt.Errorf("following %q: more than %d symlinks", path, maxLinks)
}
