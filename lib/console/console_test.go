package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"chunkah/lib/metrics"
)

func TestPrint(t *testing.T) {
	var out bytes.Buffer
	c := New(&out, "tool")
	c.Print(slog.LevelError, []string{"one", "  more of it", "two"}, slog.Int("n", 1))
	c.Answer([]string{"an answer"})
	if got, want := out.String(), "tool: one\n  more of it\ntool: two\nan answer\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// In JSON form, every line is an object, whatever wrote it.
func TestJSON(t *testing.T) {
	var out bytes.Buffer
	c := New(&out, "tool")
	c.JSON()
	c.Print(slog.LevelWarn, []string{"one", "  \"more\""}, slog.String("stage", "scan"), slog.Int64("files", 3))
	c.Answer([]string{"an", "answer"})
	program := c.Of("assign")
	fmt.Fprint(program, "its line\nand no e")
	fmt.Fprint(program, "nd")
	program.Flush()
	var got []string
	for line := range strings.Lines(out.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if _, err := time.Parse(time.RFC3339Nano, m["time"].(string)); err != nil || m["command"] != "tool" {
			t.Errorf("%q: %v", line, err)
		}
		got = append(got, fmt.Sprint(m["level"], " ", m["stage"], " ", m["files"], " ", m["msg"]))
	}
	want := []string{
		"WARN scan 3 one\n  \"more\"", "INFO <nil> <nil> an\nanswer",
		"INFO assign <nil> its line", "INFO assign <nil> and no end",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Output from another program is passed on in whole lines, with limited memory.
func TestLines(t *testing.T) {
	var out bytes.Buffer
	c := New(&out, "tool")
	program := c.Of("assign")
	for range 2 * longestLine {
		if n, err := program.Write([]byte("x")); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if len(program.rest) > longestLine {
			t.Fatalf("%d bytes are buffered", len(program.rest))
		}
	}
	if out.Len() != 2*longestLine {
		t.Errorf("%d bytes", out.Len())
	}
}

// Lines from several goroutines are not interleaved.
func TestConcurrent(t *testing.T) {
	var out bytes.Buffer
	c := New(&out, "tool")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			program := c.Of("assign")
			for range 100 {
				c.Print(slog.LevelInfo, []string{"message"})
				fmt.Fprint(program, "li")
				fmt.Fprint(program, "ne\n")
			}
		})
	}
	all.Wait()
	if m, l := strings.Count(out.String(), "tool: message\n"), strings.Count(out.String(), "line\n"); m != 800 || l != 800 || out.Len() != 800*(len("tool: message\n")+len("line\n")) {
		t.Errorf("%d messages and %d lines in %d bytes", m, l, out.Len())
	}
}

func TestPace(t *testing.T) {
	clock := time.Unix(1000, 0)
	var s metrics.Status
	p := &pace{status: func() metrics.Status { return s }, now: func() time.Time { return clock }}
	show := func(after time.Duration, now metrics.Status) string {
		clock, s = clock.Add(after), now
		return p.left() + " | " + p.right()
	}
	tests := []struct {
		after time.Duration
		now   metrics.Status
		want  string
	}{
		{0, metrics.Status{Stage: "scan"}, "scan   0 files  0 bytes   | "},
		{2 * time.Second, metrics.Status{Stage: "scan", Files: 5000, Bytes: 3e6}, "scan   5000 files  3.0 MB   | 2500 files/s"},
		{time.Second, metrics.Status{Stage: "write", Files: 6000, Bytes: 4e6}, "write  6000 files  4.0 MB   | "},
		{time.Second, metrics.Status{Stage: "write", Files: 6000, Expected: 300e6}, "write    0%  | 6000 files  0 bytes of 300.0 MB"},
		{2 * time.Second, metrics.Status{Stage: "write", Files: 6000, Done: 100e6, Expected: 300e6}, "write   33%  | 6000 files  100.0 MB of 300.0 MB  50.0 MB/s  0:04 left"},
		{0, metrics.Status{Stage: "write", Files: 6000, Done: 1e6, Expected: 300e6}, "write    0%  | 6000 files  1.0 MB of 300.0 MB  500.0 kB/s  9:58 left"},
		{0, metrics.Status{Stage: "read"}, "read   0 files  0 bytes   | "},
		{2 * time.Second, metrics.Status{Stage: "read", Done: 30e6}, "read   30.0 MB   | 15.0 MB/s"},
		{time.Second, metrics.Status{Stage: "read", Done: 40e6, Expected: 80e6}, "read    50%  | 40.0 MB of 80.0 MB"},
		{0, metrics.Status{Stage: "write", Files: 6000, Done: 1e6, Expected: 300e6}, "write    0%  | 6000 files  1.0 MB of 300.0 MB"},
		{2 * time.Second, metrics.Status{Stage: "write", Files: 6000, Done: 300e6, Expected: 300e6}, "write  100%  | 6000 files  300.0 MB of 300.0 MB  150.0 MB/s  0:00 left"},
	}
	for i, tt := range tests {
		if got := show(tt.after, tt.now); got != tt.want {
			t.Errorf("%d: got %q, want %q", i, got, tt.want)
		}
	}
}
