package regular

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// errForeignLink refuses a link that others may have put in the way.
var errForeignLink = errors.New("a symlink of another user in a folder that everybody may write to: name what it leads to")

// CheckLink refuses to follow the symlink at path, which info is of, where the kernel would
// with fs.protected_symlinks: whoever follows links by hand, to replace what they lead to,
// gets around it otherwise. In a sticky folder that everybody may write to, a link counts
// if it is this user's, or the folder's owner's.
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
