// Package console writes to standard error: lines of text for users or JSON objects for programs,
// and progress on a terminal. Lines from different goroutines are never interleaved, and appear
// above the progress bar.
package console

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"

	"github.com/vbauerster/mpb/v8"

	"chunkah/lib/quote"
)

// Console writes to a single standard error stream. Its methods can be called from any goroutine.
type Console struct {
	// Verbose is -1 to print only errors, 1 to print milestones too, 2 for details, otherwise 0.
	Verbose int

	name string
	json *slog.Logger // nil for lines of text

	mu  sync.Mutex
	out io.Writer
	bar *mpb.Progress // the progress bar, or nil
}

// New returns the console for the command with the given name.
func New(out io.Writer, name string) *Console { return &Console{out: out, name: name} }

// JSON switches all further messages to JSON objects that contain time, level, msg, command and
// attributes.
func (c *Console) JSON() {
	c.json = slog.New(slog.NewJSONHandler(lineWriter{c}, &slog.HandlerOptions{Level: slog.LevelDebug})).With("command", c.name)
}

// IsJSON reports whether messages are JSON objects.
func (c *Console) IsJSON() bool { return c.json != nil }

// Warn prints a warning, unless only errors are printed.
func (c *Console) Warn(format string, args ...any) {
	if c.Verbose >= 0 {
		c.Say(slog.LevelWarn, format, args...)
	}
}

// WarnLines prints a warning with several lines. Lines after the first are indented.
func (c *Console) WarnLines(lines []string) {
	if c.Verbose >= 0 {
		c.Print(slog.LevelWarn, lines)
	}
}

// Info prints a milestone if Verbose is at least 1.
func (c *Console) Info(format string, args ...any) {
	if c.Verbose >= 1 {
		c.Say(slog.LevelInfo, format, args...)
	}
}

// Debug prints a detail if Verbose is at least 2.
func (c *Console) Debug(format string, args ...any) {
	if c.Verbose >= 2 {
		c.Say(slog.LevelDebug, format, args...)
	}
}

// Say prints a message. An error with several lines is formatted with %w.
func (c *Console) Say(level slog.Level, format string, args ...any) {
	c.Print(level, errorLines(fmt.Errorf(format, args...)))
}

// Print prints a message of one or more lines. In text form, the command's name precedes each line
// that is not indented. Indented lines belong to the line above. Attributes appear only in JSON.
//
// Newlines and control characters inside a line are escaped.
func (c *Console) Print(level slog.Level, lines []string, attributes ...slog.Attr) {
	if c.json != nil {
		c.object(level, strings.Join(lines, "\n"), attributes)
		return
	}
	var b strings.Builder
	for _, line := range lines {
		if !strings.HasPrefix(line, " ") {
			b.WriteString(c.name + ": ")
		}
		b.WriteString(quote.Line(line) + "\n")
	}
	c.write([]byte(b.String()))
}

// object prints a message as a JSON object.
func (c *Console) object(level slog.Level, text string, attributes []slog.Attr) {
	args := make([]any, len(attributes))
	for i, a := range attributes {
		args[i] = a
	}
	switch {
	case level >= slog.LevelError:
		c.json.Error(text, args...)
	case level >= slog.LevelWarn:
		c.json.Warn(text, args...)
	case level >= slog.LevelInfo:
		c.json.Info(text, args...)
	default:
		c.json.Debug(text, args...)
	}
}

// Answer prints lines without the command's name. In JSON form, they become one message.
func (c *Console) Answer(lines []string) {
	if c.json != nil {
		c.Print(slog.LevelInfo, lines)
		return
	}
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(quote.Line(line) + "\n")
	}
	c.write([]byte(b.String()))
}

// write writes whole lines. It ignores errors, because standard error is the only place to report
// them.
func (c *Console) write(lines []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bar != nil {
		if _, err := c.bar.Write(lines); err == nil {
			return
		}
	}
	_, _ = c.out.Write(lines)
}

// lineWriter receives the lines of slog, one per call.
type lineWriter struct{ c *Console }

func (w lineWriter) Write(line []byte) (int, error) {
	w.c.write(quote.JSON(line))
	return len(line), nil
}

// longestLine is the maximum number of bytes of another program's line that are buffered.
const longestLine = 64 << 10

// Of returns a writer for the standard error of a program that runs as a stage. In text form, the
// program's lines remain unchanged. In JSON form, they become messages from the stage.
func (c *Console) Of(stage string) *Lines { return &Lines{c: c, stage: stage} }

// Lines receives the output of another program, line by line.
type Lines struct {
	c     *Console
	stage string
	rest  []byte // the beginning of an unfinished line
}

// Write passes on whole lines. Overlong lines are passed on in pieces.
func (f *Lines) Write(p []byte) (int, error) {
	f.rest = append(f.rest, p...)
	for {
		end := bytes.IndexByte(f.rest, '\n')
		if end < 0 && len(f.rest) < longestLine {
			return len(p), nil
		}
		if end < 0 {
			end = len(f.rest) - 1
		}
		f.line(f.rest[:end+1])
		f.rest = append(f.rest[:0], f.rest[end+1:]...)
	}
}

// Flush passes on a final line that has no newline.
func (f *Lines) Flush() {
	if len(f.rest) > 0 {
		f.line(append(f.rest, '\n'))
		f.rest = nil
	}
}

func (f *Lines) line(line []byte) {
	if f.c.json != nil {
		f.c.Print(slog.LevelInfo, []string{strings.TrimRight(string(line), "\n")}, slog.String("stage", f.stage))
		return
	}
	f.c.write(line)
}
