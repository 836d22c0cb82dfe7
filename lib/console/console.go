// Package console is what a command says on standard error: lines for people, or an object each for
// programs, and on a terminal how far it is. Whoever speaks, a line comes in one piece, and above
// what is drawn.
package console

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"sync"

	"github.com/vbauerster/mpb/v8"

	"chunkah/lib/quote"
)

// Console is one standard error. Its methods may be called from any goroutine.
type Console struct {
	name string
	json *slog.Logger // nil for lines of text

	mu  sync.Mutex
	out io.Writer
	bar *mpb.Progress // what is drawn; nil for nothing
}

// New makes the console of a command of that name.
func New(out io.Writer, name string) *Console { return &Console{out: out, name: name} }

// JSON has every message be an object from now on: time, level, msg, command, and what else belongs
// to it.
func (c *Console) JSON() {
	c.json = slog.New(slog.NewJSONHandler(lineWriter{c}, &slog.HandlerOptions{Level: slog.LevelDebug})).With("command", c.name)
}

// Print prints a message of one or more lines. As text the name is in front of each line that is
// not indented: those belong to the one above. The attributes are for programs.
//
// Nothing in a line ends it or reaches the terminal as a control.
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

// object prints a message as an object.
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

// Answer prints lines that are no message, without a name in front; a program gets them as one.
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

// write writes whole lines. What cannot be written to standard error cannot be told anywhere.
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

// lineWriter takes what slog writes: a line at a time.
type lineWriter struct{ c *Console }

func (w lineWriter) Write(line []byte) (int, error) {
	w.c.write(quote.JSON(line))
	return len(line), nil
}

// longestLine bounds what is kept of another program's line, in bytes.
const longestLine = 64 << 10

// Of is the standard error of a program that this one runs in a stage's place. Its lines stay as
// they are, or are messages of the stage.
func (c *Console) Of(stage string) *Lines { return &Lines{c: c, stage: stage} }

// Lines takes what another program says, line by line.
type Lines struct {
	c     *Console
	stage string
	rest  []byte // of a line that has not ended
}

// Write passes on whole lines, and what is too long for one.
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

// Flush passes on a last line without an end.
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
