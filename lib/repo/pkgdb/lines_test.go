package pkgdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"chunkah/lib/rootfs"
	"chunkah/tests/bound"
)

// readAll returns the lines of a file, formatted as one string.
func readAll(l *Lines, r io.Reader, limit int64) string {
	l.Reset(r, limit)
	var out strings.Builder
	for l.Next() {
		fmt.Fprintf(&out, "%d:%.40s", l.Number(), l.Text())
		if l.Fault() != "" {
			fmt.Fprintf(&out, "(%s)", l.Fault())
		}
		out.WriteByte('\n')
	}
	fmt.Fprintf(&out, "ended=%t err=%v", l.Ended(), l.Err())
	return out.String()
}

func TestLines(t *testing.T) {
	l := NewLines()
	long := strings.Repeat("x", maxLine)
	for text, want := range map[string]string{
		"":                       "ended=true err=<nil>",
		"a\nb\n":                 "1:a\n2:b\nended=true err=<nil>",
		"a\r\n\r\nb\r\n":         "1:a\n2:\n3:b\nended=true err=<nil>",
		"a\nb":                   "1:a\n2:b\nended=false err=<nil>",
		"\n\n":                   "1:\n2:\nended=true err=<nil>",
		"a\x00b\nc\n":            "1:(contains a NUL)\n2:c\nended=true err=<nil>",
		long + "\nc\n":           "1:(is longer than 262144 bytes)\n2:c\nended=true err=<nil>",
		long + long + "y\nc":     "1:(is longer than 262144 bytes)\n2:c\nended=false err=<nil>",
		long:                     "1:(is longer than 262144 bytes)\nended=false err=<nil>",
		"a\n" + long[:maxLine-1]: "1:a\n2:xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\nended=false err=<nil>",
	} {
		if got := readAll(l, strings.NewReader(text), maxFile); got != want {
			t.Errorf("%.40q: got %q, want %q", text, got, want)
		}
	}
	if got := readAll(l, strings.NewReader("aaaa\nbbbb\ncccc\n"), 9); got != "1:aaaa\nended=true err=has more than 9 bytes" {
		t.Errorf("got %q", got)
	}
}

// endless is a line without an end.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	e.read += int64(len(p))
	return len(p), nil
}

// TestEndlessLine reads a line of one GiB, and further texts up to the limit for all texts, without
// keeping them in memory.
func TestEndlessLine(t *testing.T) {
	l := NewLines()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	src := &endless{}
	if got := readAll(l, src, maxFile); !strings.HasSuffix(got, "err=has more than 268435456 bytes") {
		t.Errorf("got %q", got)
	}
	for range 2 {
		readAll(l, src, maxFile)
	}
	if got := readAll(l, src, maxFile); !strings.HasSuffix(got, "err=the database has more than 536870912 bytes") {
		t.Errorf("got %q", got)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("took %d bytes", grown)
	}
	if src.read > maxTotal+4*maxLine {
		t.Errorf("read %d bytes", src.read)
	}
}

func openRoot(t testing.TB, files map[string]string) *rootfs.Root {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func zipped(t testing.TB, text string) string {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func TestRead(t *testing.T) {
	packed := zipped(t, "a\nb\n")
	root := openRoot(t, map[string]string{"plain": "a\nb\n", "packed": packed, "cut": packed[:len(packed)-6]})
	l := NewLines()
	count := func(lines *Lines) error {
		for lines.Next() {
		}
		if lines.Number() != 2 {
			return fmt.Errorf("got %d lines", lines.Number())
		}
		return nil
	}
	ctx := context.Background()
	stopped, stop := context.WithCancel(ctx)
	stop()
	wrong := errors.New("wrong")
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"plain":   {l.Read(ctx, root, "/plain", count), ""},
		"packed":  {l.ReadGzip(ctx, root, "/packed", count), ""},
		"cut":     {l.ReadGzip(ctx, root, "/cut", count), `reading "/cut": unexpected EOF`},
		"no gzip": {l.ReadGzip(ctx, root, "/plain", count), `reading "/plain": `},
		"absent":  {l.Read(ctx, root, "/absent", count), `"/absent"`},
		"parser":  {l.Read(ctx, root, "/plain", func(*Lines) error { return wrong }), `reading "/plain": wrong`},
		"stopped": {l.Read(stopped, root, "/plain", count), "context canceled"},
		"changed": {l.Read(ctx, root, "/plain", func(*Lines) error {
			return os.Chtimes(filepath.Join(root.Path(), "plain"), time.Unix(1, 0), time.Unix(1, 0))
		}), `reading "/plain": changed while it was being read`},
	} {
		switch {
		case c.want == "" && c.err == nil:
		case c.err == nil || c.want == "" || !strings.Contains(c.err.Error(), c.want):
			t.Errorf("%s: got %v, want %q", name, c.err, c.want)
		}
	}
}

func FuzzLines(f *testing.F) {
	for _, seed := range []string{"", "a\r\nb", "a\x00\n\n", strings.Repeat("x", maxLine) + "\ny"} {
		f.Add([]byte(seed))
	}
	l := NewLines()
	f.Fuzz(func(t *testing.T, raw []byte) {
		bound.Input(t, len(raw))
		l.total = maxTotal
		l.Reset(bytes.NewReader(raw), maxFile)
		lines := bytes.Split(raw, []byte("\n"))
		if len(lines[len(lines)-1]) == 0 {
			lines = lines[:len(lines)-1]
		}
		for l.Next() {
			want := bytes.TrimSuffix(lines[l.Number()-1], []byte("\r"))
			if l.Fault() == "" && !bytes.Equal(l.Text(), want) {
				t.Fatalf("line %d is %q, not %q", l.Number(), l.Text(), want)
			}
		}
		if l.Err() != nil || l.Number() != len(lines) {
			t.Fatalf("got %d of %d lines, %v", l.Number(), len(lines), l.Err())
		}
	})
}
