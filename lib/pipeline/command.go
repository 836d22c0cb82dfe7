package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"time"

	"chunkah/format"
)

// graceTime is how long a command has to end by itself once it was interrupted.
const graceTime = 5 * time.Second

// plainCommand is a command line that needs no shell: a path alone.
var plainCommand = regexp.MustCompile(`^[A-Za-z0-9_./+-]+$`)

// Command makes a stage of a command: it gets the stream on its standard input,
// in the encoding given, and writes its own, in either one, to its standard
// output. A line with anything but a path is the shell's.
func Command(stage, line string, enc format.Encoding, stderr io.Writer) Stage {
	return Stage{Name: stage, Run: func(ctx context.Context, in format.Source, out format.Sink) error {
		return runCommand(ctx, line, enc, stderr, in, out)
	}}
}

func runCommand(ctx context.Context, line string, enc format.Encoding, stderr io.Writer, in format.Source, out format.Sink) error {
	args := []string{"sh", "-c", line}
	if plainCommand.MatchString(line) {
		args = []string{line}
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = graceTime
	cmd.Stderr = stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("running %q: %w", line, err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("running %q: %w", line, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("running %q: %w", line, err)
	}
	fed := make(chan error, 1)
	go func() { fed <- feed(in, stdin, enc) }()
	read := drain(format.NewReader(stdout, line), out)
	if read != nil {
		io.Copy(io.Discard, stdout) // so that the command ends for its own reason
	}
	feeding := <-fed
	ended := cmd.Wait()
	switch {
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	case ended != nil:
		return fmt.Errorf("running %q: %w", line, ended)
	case read != nil:
		return read
	case feeding != nil:
		return fmt.Errorf("feeding %q: %w", line, feeding)
	}
	return out.Finish()
}

// feed writes a stream to a command. One that stops reading may have all it
// needs: what it writes and how it ends tells.
func feed(in format.Source, stdin io.WriteCloser, enc format.Encoding) error {
	w := format.NewWriter(stdin, enc)
	err := drain(in, w)
	if err == nil {
		err = w.Finish()
	}
	if cerr := stdin.Close(); err == nil {
		err = cerr
	}
	if errors.Is(err, os.ErrClosed) {
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
