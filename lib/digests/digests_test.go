package digests

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"chunkah/format"
)

// list is a sink that keeps its records.
type list struct {
	files    []*format.File
	finished bool
}

func (l *list) Write(rec format.Record) error {
	if f, ok := rec.(*format.File); ok {
		l.files = append(l.files, f)
	}
	return nil
}

func (l *list) Finish() error { l.finished = true; return nil }

// reader provides the contents of files. Each file contains its own path, repeated up to its size.
type reader struct{ broken string }

var errBroken = errors.New("broken")

func text(f *format.File) string { return strings.Repeat(f.Path+" ", int(f.Size))[:f.Size] }

func (r reader) WriteFile(_ context.Context, w io.Writer, f *format.File) (int64, error) {
	if f.Path == r.broken {
		return 0, errBroken
	}
	n, err := io.WriteString(w, text(f))
	return int64(n), err
}

func (r reader) Close() error { return nil }

func records() (files []*format.File) {
	for i := range 3000 {
		f := &format.File{Path: fmt.Sprintf("/%04d", i), Type: format.TypeFile, Size: int64(i % 50)}
		switch {
		case i%100 == 1 || i%100 == 3:
			f.Size, f.Hardlink = 10, int64(i/100+1)
		case i%100 == 5:
			f.Type, f.Size = format.TypeDir, 0
		case i%100 == 7:
			f.Digest = format.NewDigest([32]byte{1})
		}
		files = append(files, f)
	}
	return files
}

// Records keep their order, and regular files get their digests. All names of an inode get the same
// digest.
func TestSink(t *testing.T) {
	out := &list{}
	s := NewSink(t.Context(), out, func() Reader { return reader{} })
	defer s.Close()
	for _, f := range records() {
		if err := s.Write(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Finish(); err != nil || !out.finished {
		t.Fatal(err)
	}
	firsts := make(map[int64]*format.File)
	for i, f := range records() {
		got := out.files[i]
		want := format.NewDigest(sha256.Sum256([]byte(text(f))))
		switch {
		case f.Type == format.TypeDir:
			want = format.Digest{}
		case f.Digest.Known():
			want = f.Digest
		case f.Hardlink != 0 && firsts[f.Hardlink] != nil:
			want = format.NewDigest(sha256.Sum256([]byte(text(firsts[f.Hardlink]))))
		case f.Hardlink != 0:
			firsts[f.Hardlink] = f
		}
		if got.Path != f.Path || got.Digest != want {
			t.Fatalf("record %d: got %s of %q, want %s of %q", i, got.Digest, got.Path, want, f.Path)
		}
	}
}

// An error from a reader, a cancelled context and Close stop reading. In these cases the stream is
// not finished.
func TestSinkFails(t *testing.T) {
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stopped)
	for want, s := range map[error]*Sink{
		errBroken: NewSink(t.Context(), &list{}, func() Reader { return reader{"/0042"} }),
		stopped:   NewSink(ctx, &list{}, func() Reader { return reader{} }),
	} {
		var err error
		for _, f := range records() {
			if err = s.Write(f); err != nil {
				break
			}
		}
		if err == nil {
			err = s.Finish()
		}
		if !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
		s.Close()
	}
	out := &list{}
	s := NewSink(t.Context(), out, func() Reader { return reader{} })
	if err := s.Write(records()[2]); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if out.finished {
		t.Error("the stream was finished")
	}
}
