package oci

import (
	"os"

	"golang.org/x/sys/unix"
)

// writebackStep is the number of bytes that are written to disk at a time. This is large enough to
// need few system calls, and small enough to leave little data for the final sync.
const writebackStep = 8 << 20

// writeback asks the kernel to start writing a growing file to disk early, so that little is left
// for the sync at the end.
type writeback struct {
	file *os.File
	from int64 // writing everything before this offset was already requested
}

// reached is called when the file has been written up to an offset.
func (b *writeback) reached(at int64) {
	if at-b.from >= writebackStep {
		b.complete(at)
	}
}

// complete asks the kernel to write everything before the offset. It ignores errors, because the
// sync at the end reports them.
func (b *writeback) complete(at int64) {
	_ = unix.SyncFileRange(int(b.file.Fd()), b.from, at-b.from, unix.SYNC_FILE_RANGE_WRITE)
	b.from = at
}
