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

// graceTime is how long a command can take to end after SIGTERM.
const graceTime = 5 * time.Second

// plainCommand matches a command line that needs no shell: only a path.
var plainCommand = regexp.MustCompile(`^[A-Za-z0-9_./+-]+$`)

// Command returns a stage that runs a command. The command receives the stream on standard input in
// the given encoding, and writes its own stream to standard output in any encoding. A command line
// that is more than a path is run by a shell. If the stage is stopped, the command and all its
// child processes are stopped too.
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

// command is a running command.
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
	// A shell's children are in its process group and are killed with it.
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

// stop sends SIGTERM to the command, and SIGKILL if it does not end. Afterwards, processes that
// still hold its pipes open do not block anything.
func (c *command) stop() error {
	group := -c.cmd.Process.Pid
	c.killer = time.AfterFunc(graceTime, func() {
		_ = syscall.Kill(group, syscall.SIGKILL) // the process may have ended already
		_ = c.stdin.Close()                      // only the command's exit status matters
		_ = c.stdout.Close()
	})
	return syscall.Kill(group, syscall.SIGTERM)
}

// pass sends the stream through the command. If there are several errors, it returns the one that
// caused the others. An error in the input stream stops the command.
func (c *command) pass(ctx context.Context, cancel context.CancelCauseFunc, enc format.Encoding, in format.Source, out format.Sink) error {
	var feeder sync.WaitGroup
	feeder.Go(func() {
		if err := feed(in, c.stdin, enc); err != nil {
			cancel(fmt.Errorf("feeding %q: %w", c.line, err))
		}
	})
	read := drain(format.NewReader(c.stdout, c.line), out)
	if read != nil && !errors.Is(read, format.ErrTruncated) {
		// Further output is ignored. If there is much more, the command ends with a broken pipe.
		_, _ = io.CopyN(io.Discard, c.stdout, 1<<20)
		_ = c.stdout.Close()
	}
	feeder.Wait()
	ended := c.cmd.Wait()
	if c.killer != nil {
		c.killer.Stop() // from here on, the kernel can reuse the number of the process group
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

// isBrokenPipe reports whether a command ended because nobody read its output.
func isBrokenPipe(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGPIPE ||
		exit.ExitCode() == 128+int(syscall.SIGPIPE) // as reported by a shell
}

// feed writes a stream to a command. A command can stop reading early. Its output and exit status
// show whether that is an error, so feed returns only errors in the stream.
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

// drain passes on all records of a stream, but not its end.
func drain(in format.Source, out format.Sink) error {
	for rec, err := range format.All(in) {
		if err != nil {
			return err
		}
		if err := out.Write(rec); err != nil {
			return err
		}
	}
	return nil
}
