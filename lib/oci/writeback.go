package oci

import (
	"os"

	"golang.org/x/sys/unix"
)

// writebackStep is how much of a file is handed to the disk at a time, in bytes: few calls, and little left for the end.
const writebackStep = 8 << 20

// writeback asks the kernel to begin writing a growing part of a file to the disk, so that the sync at the end, where
// nothing else is left to do, finds most of it done.
type writeback struct {
	file *os.File
	from int64 // what comes before has been asked for
}

// reached notes that the file is written up to an offset.
func (b *writeback) reached(at int64) {
	if at-b.from >= writebackStep {
		b.complete(at)
	}
}

// complete notes that nothing comes behind an offset for now. It is a hint: the sync hears of errors.
func (b *writeback) complete(at int64) {
	_ = unix.SyncFileRange(int(b.file.Fd()), b.from, at-b.from, unix.SYNC_FILE_RANGE_WRITE)
	b.from = at
}
