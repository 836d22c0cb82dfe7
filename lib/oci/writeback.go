package oci

import (
	"os"

	"golang.org/x/sys/unix"
)

// writebackStep is how many bytes are written to the disk at a time: few calls, and little remains
// for the end.
const writebackStep = 8 << 20

// writeback asks the kernel to start writing a growing file to the disk. So most is done when the
// sync at the end starts, while nothing else is left to do.
type writeback struct {
	file *os.File
	from int64 // bytes before it were requested
}

// reached says that the file is written up to an offset.
func (b *writeback) reached(at int64) {
	if at-b.from >= writebackStep {
		b.complete(at)
	}
}

// complete says that nothing follows an offset for now. It is only a hint, since the sync reports
// errors.
func (b *writeback) complete(at int64) {
	_ = unix.SyncFileRange(int(b.file.Fd()), b.from, at-b.from, unix.SYNC_FILE_RANGE_WRITE)
	b.from = at
}
