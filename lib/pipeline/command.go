package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"time"

	"chunkah/format"
)

// graceTime is how long a command has to end by itself once it was told to.
const graceTime = 5 * time.Second

// plainCommand is a command line that needs no shell: a path alone.
var plainCommand = regexp.MustCompile(`^[A-Za-z0-9_./+-]+$`)

// Command makes a stage of a command: it gets the stream on its standard input, in the encoding
// given, and writes its own, in either one, to its standard output. A line with anything but a path
// is the shell's. When the stage is stopped the command is, with all that it started.
func Command(stage, line string, enc format.Encoding, stderr io.Writer) Stage {
	return Stage{Name: stage, Run: func(ctx context.Context, in format.Source, out format.Sink) error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		c, err := start(ctx, line, stderr)
		if err != nil {
			return fmt.Errorf("running %q: %w", line, err)
		}
		return c.pass(ctx, cancel, enc, in, out)
	}}
}

// command is a command that runs.
type command struct {
	line   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout io.ReadCloser
	killer *time.Timer // set by stop
}

func start(ctx context.Context, line string, stderr io.Writer) (*command, error) {
	args := []string{"sh", "-c", line}
	if plainCommand.MatchString(line) {
		args = []string{line}
	}
	c := &command{line: line, cmd: exec.CommandContext(ctx, args[0], args[1:]...)}
	// A shell's children are in its process group, and end with it.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.cmd.Cancel = c.stop
	c.cmd.WaitDelay = graceTime
	c.cmd.Stderr = stderr
	var err error
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if c.stdout, err = c.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	return c, c.cmd.Start()
}

// stop asks the command to end, and makes it end where it does not: then nothing waits for what
// still holds its pipes.
func (c *command) stop() error {
	group := -c.cmd.Process.Pid
	c.killer = time.AfterFunc(graceTime, func() {
		_ = syscall.Kill(group, syscall.SIGKILL) // it may be gone
		_ = c.stdin.Close()                      // the command's end of it counts
		_ = c.stdout.Close()
	})
	return syscall.Kill(group, syscall.SIGTERM)
}

// pass passes the stream through the command. Of several errors the one counts that the others come
// from; one in what the command is to be fed with ends it.
func (c *command) pass(ctx context.Context, cancel context.CancelCauseFunc, enc format.Encoding, in format.Source, out format.Sink) error {
	var feeder sync.WaitGroup
	feeder.Go(func() {
		if err := feed(in, c.stdin, enc); err != nil {
			cancel(fmt.Errorf("feeding %q: %w", c.line, err))
		}
	})
	read := drain(format.NewReader(c.stdout, c.line), out)
	if read != nil && !errors.Is(read, format.ErrTruncated) {
		// What it says further is nothing to us, and ends it if it goes on for long.
		_, _ = io.CopyN(io.Discard, c.stdout, 1<<20)
		_ = c.stdout.Close()
	}
	feeder.Wait()
	ended := c.cmd.Wait()
	if c.killer != nil {
		c.killer.Stop() // the group's number may become another's now
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case ended != nil && !isBrokenPipe(ended):
		return fmt.Errorf("running %q: %w", c.line, ended)
	case read != nil:
		return read
	case ended != nil:
		return fmt.Errorf("running %q: %w", c.line, ended)
	}
	return out.Finish()
}

// isBrokenPipe reports whether a command ended for writing what nobody read.
func isBrokenPipe(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGPIPE ||
		exit.ExitCode() == 128+int(syscall.SIGPIPE) // as a shell tells it
}

// feed writes a stream to a command. One that stops reading may have all it needs: what it writes
// and how it ends tells. So any error is the stream's.
func feed(in format.Source, stdin io.WriteCloser, enc format.Encoding) error {
	w := format.NewWriter(stdin, enc)
	err := drain(in, w)
	if err == nil {
		err = w.Finish()
	}
	if cerr := stdin.Close(); err == nil {
		err = cerr
	}
	if errors.Is(err, os.ErrClosed) || errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return err
}

// drain hands on all records of a stream but its end.
func drain(in format.Source, out format.Sink) error {
	for {
		rec, err := in.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := out.Write(rec); err != nil {
			return err
		}
	}
}
