package console

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

// several is an error with several lines.
type several []string

func (s several) Lines() []string { return s }
func (s several) Error() string   { return strings.Join(s, "\n") }

// Only errors with a method Lines have several lines.
func TestErrorLines(t *testing.T) {
	forged := errors.New("a\nb")
	list := several{"2 faults", "  one\nforged", "  two"}
	for _, tt := range []struct {
		err  error
		want []string
	}{
		{errors.New("plain"), []string{"plain"}},
		{errors.New("a\nchunkah: all is well\x1b[2J"), []string{`a\nchunkah: all is well\x1b[2J`}},
		{&fs.PathError{Op: "open", Path: "/a\nb", Err: fs.ErrNotExist}, []string{`open /a\nb: file does not exist`}},
		{list, []string{"2 faults", `  one\nforged`, "  two"}},
		{fmt.Errorf("reading %q: %w: planning without the previous layout", "x\n", list), []string{`reading "x\n": 2 faults`, `  one\nforged`, "  two: planning without the previous layout"}},
		{fmt.Errorf("%w in %w", forged, list), []string{`a\nb in 2 faults`, `  one\nforged`, "  two"}},
		{fmt.Errorf("x: %w", errors.Join(forged, list)), []string{`x: a\nb`, "2 faults", `  one\nforged`, "  two"}},
	} {
		if got := errorLines(tt.err); !slices.Equal(got, tt.want) {
			t.Errorf("%q: got %q, want %q", tt.err, got, tt.want)
		}
	}
}
