package cli

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
)

// A signal must end a command whose output is not being read.
func TestAnswersAreInterruptible(t *testing.T) {
	unread, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer unread.Close()
	defer stdout.Close()
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(&signalError{syscall.SIGTERM})
	for _, args := range [][]string{
		{"--version"}, {"completion", "bash"}, {"build", "--rootfs", "root", "-o", "out", "-n"},
	} {
		env := &Env{Name: wrapper, Stdin: os.Stdin, Stdout: stdout, Stderr: os.Stderr}
		cmd, err := parse(env, args)
		if err != nil {
			t.Fatal(err)
		}
		var stopped *signalError
		if err := cmd.run(ctx, env); !errors.As(err, &stopped) {
			t.Errorf("%s: got %v", args, err)
		}
	}
}
