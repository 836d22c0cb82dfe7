package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"chunkah/format"
)

// collect returns a final stage that stores the stream as text.
func collect(text *bytes.Buffer) Stage {
	return Stage{Name: "write", Run: func(_ context.Context, in format.Source, _ format.Sink) error {
		w := format.NewWriter(text, format.JSON)
		if err := drain(in, w); err != nil {
			return err
		}
		return w.Finish()
	}}
}

// throughCommand runs a command as a stage between a scan and a final stage that stores the stream.
func throughCommand(t *testing.T, ctx context.Context, files int, line string, enc format.Encoding) (stream, stderr string, err error) {
	t.Helper()
	var text, said bytes.Buffer
	err = runInTime(t, ctx, scan(files), Command("assign", line, enc, &said), collect(&text))
	return text.String(), said.String(), err
}

const whole = `{"header":{"version":1,"stage":"assign"}}
{"file":{"path":"/x","type":"file"}}
{"end":{}}
`

func TestCommand(t *testing.T) {
	want, _, err := throughCommand(t, context.Background(), 1000, "cat", format.JSON)
	if err != nil || strings.Count(want, "\n") != 1002 {
		t.Fatalf("%v: %d lines", err, strings.Count(want, "\n"))
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "pass-on")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexec cat\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	if err := os.WriteFile(out, []byte(whole), 0o644); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, line string
		enc        format.Encoding
		want       string
	}{
		{"msgpack", "cat", format.Msgpack, want},
		{"shell", "cat | cat", format.JSON, want},
		{"path", path, format.JSON, want},
		{"another encoding", "cat >/dev/null; cat '" + out + "'", format.Msgpack, ""},
		{"input not read", "cat '" + out + "'", format.JSON, ""},
		{"input not read to its end", "head -c 10 >/dev/null; cat '" + out + "'", format.JSON, ""},
		{"input closed", "exec <&-; sleep 0.1; cat '" + out + "'", format.JSON, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := 1000
			if tt.want == "" {
				files = 20_000 // more than pipes and buffers can hold
			}
			got, _, err := throughCommand(t, context.Background(), files, tt.line, tt.enc)
			if err != nil || tt.want != "" && got != tt.want || tt.want == "" && !strings.Contains(got, `"/x"`) {
				t.Errorf("%v: %d bytes, want %d", err, len(got), len(tt.want))
			}
		})
	}
}

func TestCommandFails(t *testing.T) {
	tests := []struct{ name, line, want string }{
		{"missing", "no-such-command", `assign: running "no-such-command": exec: "no-such-command": executable file not found in $PATH`},
		{"missing path", "/no/such/command", `assign: running "/no/such/command": fork/exec /no/such/command: no such file or directory`},
		{"missing in shell", "no-such-command x", `assign: running "no-such-command x": exit status 127`},
		{"status", "exit 3", `assign: running "exit 3": exit status 3`},
		{"status after the whole stream", "cat; exit 4", `assign: running "cat; exit 4": exit status 4`},
		{"status after a part of it", "head -n 5; exit 4", `assign: running "head -n 5; exit 4": exit status 4`},
		{"killed", "kill -9 $$", `assign: running "kill -9 $$": signal: killed`},
		{"no output", "cat >/dev/null; :", `stream ended without its end record`},
		{"truncated", "sed '$d'", `stream ended without its end record`},
		{"truncated inside a record", "head -c 100000; cat >/dev/null", `assign: head -c 100000; cat >/dev/null: after record 1136: stream ended`},
		{"garbage", "echo garbage", `assign: echo garbage: record 1: `},
		{"garbage without end", "yes garbage", `assign: yes garbage: record 1: `},
		{"garbage after the end", "cat; echo x", `assign: cat; echo x: record 10003: `},
		{"input not read and no output", "sleep 0.1", `stream ended without its end record`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := throughCommand(t, context.Background(), 10_000, tt.line, format.JSON)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Count(err.Error(), "assign: ") != 1 {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestCommandsStderr(t *testing.T) {
	_, said, err := throughCommand(t, context.Background(), 10, "echo a word >&2; cat", format.JSON)
	if err != nil || said != "a word\n" {
		t.Errorf("%v: %q", err, said)
	}
}

// If a stage before or after a command fails, its error is returned and the command has ended.
func TestOtherStageFails(t *testing.T) {
	for _, line := range []string{"cat", "cat >/dev/null; sleep 1000", "sleep 1000 | sleep 1000"} {
		stages := []Stage{broken("scan", 5000), Command("assign", line, format.JSON, io.Discard), collect(&bytes.Buffer{})}
		if err := runInTime(t, context.Background(), stages...); err == nil || err.Error() != "scan: cause" {
			t.Errorf("%q after a failure: %v", line, err)
		}
		stages = []Stage{scan(5000), Command("assign", "cat; sleep 1000", format.JSON, io.Discard), broken("write", 10)}
		if err := runInTime(t, context.Background(), stages...); err == nil || err.Error() != "write: cause" {
			t.Errorf("%q before a failure: %v", line, err)
		}
	}
}

// Cancelling ends a command and all its child processes.
func TestCommandCancelled(t *testing.T) {
	tests := []struct {
		name, line string
		processes  int // running when the command is cancelled
	}{
		{"working", "echo $$ >PIDS; exec cat", 1},
		{"ignoring its input", "echo $$ >PIDS; exec sleep 1000", 1},
		{"with children", "sleep 1000 & echo $! >PIDS; sleep 1000 & echo $! >>PIDS; wait", 2},
		{"ignoring SIGTERM", "trap '' TERM; sleep 1000 & echo $! >PIDS; echo $$ >>PIDS; wait; sleep 1000", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if testing.Short() && tt.name == "ignoring SIGTERM" {
				t.Skip("waits for graceTime")
			}
			pids := filepath.Join(t.TempDir(), "pids")
			ctx, cancel := context.WithCancelCause(context.Background())
			line := strings.ReplaceAll(tt.line, "PIDS", "'"+pids+"'")
			endless := Stage{Name: "scan", Run: func(ctx context.Context, _ format.Source, _ format.Sink) error {
				for len(processes(pids)) < tt.processes && ctx.Err() == nil {
					time.Sleep(time.Millisecond)
				}
				cancel(errCause)
				<-ctx.Done()
				return context.Cause(ctx)
			}}
			err := runInTime(t, ctx, endless, Command("assign", line, format.JSON, os.Stderr), collect(&bytes.Buffer{}))
			if err == nil || err.Error() != "cause" {
				t.Errorf("got %v", err)
			}
			for _, pid := range processes(pids) {
				gone(t, pid)
			}
		})
	}
}

// processes returns the process IDs that a command has written to a file.
func processes(file string) []string {
	data, _ := os.ReadFile(file) // missing at first
	return strings.Fields(string(data))
}

// gone waits until a process has ended or is a zombie.
func gone(t *testing.T, pid string) {
	t.Helper()
	for range 100 {
		data, err := os.ReadFile("/proc/" + pid + "/stat")
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			return
		}
		if state := data[bytes.LastIndexByte(data, ')')+1:]; strings.HasPrefix(strings.TrimSpace(string(state)), "Z") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %s is still there", pid)
}

// A record that cannot be encoded is an error of the stream, not of the command.
func TestCommandFedInvalidRecord(t *testing.T) {
	bad := Stage{Name: "scan", Run: func(_ context.Context, _ format.Source, out format.Sink) error {
		err := errors.Join(out.Write(&format.Header{Version: format.Version}), out.Write(&format.File{Path: "relative", Type: format.TypeFile}))
		return errors.Join(err, out.Finish())
	}}
	err := runInTime(t, context.Background(), bad, Command("assign", "cat", format.JSON, io.Discard), collect(&bytes.Buffer{}))
	if err == nil || !strings.HasPrefix(err.Error(), `assign: feeding "cat": `) || !strings.Contains(err.Error(), `"relative"`) {
		t.Errorf("got %v", err)
	}
}

func ExampleCommand() {
	var text bytes.Buffer
	err := Run(context.Background(), scan(1), Command("assign", "sed s/00000000/name/", format.JSON, os.Stderr), collect(&text))
	fmt.Println(err, strings.Contains(text.String(), `"path":"/name"`))
	// Output: <nil> true
}
