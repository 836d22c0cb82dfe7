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

// input reads the stream on standard input.
func (e *Env) input(ctx context.Context) (*format.Reader, error) {
	if isTerminal(e.Stdin) {
		return nil, usagef("standard input is a terminal: the stream of the stage before is expected there, as in chunkah-scan ROOT | chunkah-assign | chunkah-pack | chunkah-write")
	}
	return format.NewReader(interrupt.NewStream(ctx, e.Stdin), "stdin"), nil
}

// output writes the stream on standard output.
func (e *Env) output(ctx context.Context, enc format.Encoding) (*format.Writer, error) {
	if isClosed(e.Stdout) {
		return nil, &usageError{errClosed}
	}
	if enc == format.Msgpack && isTerminal(e.Stdout) {
		return nil, usagef("standard output is a terminal: msgpack is not for reading, use --format json")
	}
	return format.NewWriter(e.writer(ctx), enc), nil
}

// isClosed tells whether standard output was closed by whoever started the command.
// The Go runtime then opens /dev/null in its place, for reading and writing, where
// what is written would be lost and nobody told; >/dev/null is for writing alone.
func isClosed(f *os.File) bool {
	var st unix.Stat_t
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_ACCMODE != unix.O_RDWR || unix.Fstat(int(f.Fd()), &st) != nil {
		return false
	}
	return st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == unix.Mkdev(1, 3) // which every Linux has for /dev/null
}

var errClosed = errors.New("standard output is closed, or /dev/null for reading and writing: redirect it")

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// isFile matches what a scan meets with a file that is known by now, so that
// output is never part of its own input.
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

// stdoutInfo describes standard output where that is a regular file.
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

// maxInput bounds a config or map, in bytes: a device may have no end.
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
		err = fmt.Errorf("it has more than %d bytes", maxInput)
	}
	return data, err
}

// errStdinTaken refuses "-" where the stream is.
var errStdinTaken = errors.New("standard input holds the stream")
