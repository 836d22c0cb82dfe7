package interrupt

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Retry repeats a system call that a signal interrupted. Any call can be interrupted on a network
// file system or FUSE.
func Retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
