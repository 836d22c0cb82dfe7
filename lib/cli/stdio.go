package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/interrupt"
	"chunkah/lib/rootfs"
)

// input opens the stream on standard input.
func (e *Env) input(ctx context.Context) (*format.Reader, error) {
	if isTerminal(e.Stdin) {
		return nil, usagef("standard input is a terminal: expected the stream of the previous stage, for example from chunkah-scan ROOT | chunkah-assign | chunkah-pack | chunkah-write")
	}
	return format.NewReader(interrupt.NewStream(ctx, e.Stdin), "stdin"), nil
}

// output opens the stream on standard output.
func (e *Env) output(ctx context.Context, enc format.Encoding) (*format.Writer, error) {
	if isClosed(e.Stdout) {
		return nil, &usageError{errClosed}
	}
	if enc == format.Msgpack && isTerminal(e.Stdout) {
		return nil, usagef("standard output is a terminal: msgpack is a binary format, use --format json")
	}
	return format.NewWriter(e.writer(ctx), enc), nil
}

// isClosed reports whether the command was started with standard output closed. The Go runtime then
// opens /dev/null for reading and writing, so the output would be silently lost. A shell opens
// >/dev/null only for writing.
func isClosed(f *os.File) bool {
	var st unix.Stat_t
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_ACCMODE != unix.O_RDWR || unix.Fstat(int(f.Fd()), &st) != nil {
		return false
	}
	return st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == unix.Mkdev(1, 3) // the device number of /dev/null on Linux
}

var errClosed = errors.New("standard output is closed, or is /dev/null opened for reading and writing: redirect standard output")

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// isFile returns a function that matches the given files in a scan, so that an output is never part
// of its own input.
func isFile(infos ...os.FileInfo) func(rootfs.Stat) bool {
	return func(st rootfs.Stat) bool {
		for _, info := range infos {
			if sys, ok := info.Sys().(*syscall.Stat_t); ok && sys.Dev == st.Dev && sys.Ino == st.Ino {
				return true
			}
		}
		return false
	}
}

// stdoutInfo returns standard output if it is a regular file.
func (e *Env) stdoutInfo() []os.FileInfo {
	if info, err := e.Stdout.Stat(); err == nil && info.Mode().IsRegular() {
		return []os.FileInfo{info}
	}
	return nil
}

// readAll reads a file, or standard input for "-".
func (e *Env) readAll(ctx context.Context, path string) ([]byte, error) {
	if path != "-" {
		return interrupt.Open(ctx, path, readFile)
	}
	return readBounded(interrupt.NewStream(ctx, e.Stdin))
}

// maxInput is the largest size of a config or map, in bytes. It is needed because a device can
// supply endless data.
const maxInput = 64 << 20

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readBounded(f)
}

func readBounded(in io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err == nil && len(data) > maxInput {
		err = fmt.Errorf("is larger than the limit of %d bytes", maxInput)
	}
	return data, err
}

// errStdinTaken is the error for "-" if the stream is read from standard input.
var errStdinTaken = errors.New("standard input is used for the stream")
