package regular

import (
	"io/fs"
	"os"
	"syscall"
	"time"
)

// Unchanged reports whether two descriptions are of the same file, with the same size, mtime and
// ctime. The kernel sets the ctime on every change, and only root can choose it, by setting the
// clock. A write through a shared mapping can be noticed late.
func Unchanged(before, after fs.FileInfo) bool {
	a, ok := before.Sys().(*syscall.Stat_t)
	b, ok2 := after.Sys().(*syscall.Stat_t)
	return ok && ok2 && os.SameFile(before, after) && a.Size == b.Size && a.Mtim == b.Mtim && a.Ctim == b.Ctim
}

// settled is how old a file's ctime must be so that the next change gets another ctime, even if the
// file system stores whole seconds.
const settled = 2 * time.Second

// Settled reports whether Unchanged will notice all changes to a file after the given time.
func Settled(info fs.FileInfo, at time.Time) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && at.Sub(time.Unix(st.Ctim.Unix())) > settled
}
