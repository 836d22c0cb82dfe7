package oci

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
)

// TestTailsAndBlobsMakeTheSameArchive: blobs whose sizes were not known have the bytes of those whose sizes were, also
// where one follows the other.
func TestTailsAndBlobsMakeTheSameArchive(t *testing.T) {
	blobs := [][]byte{bytes.Repeat([]byte("a"), 1000), bytes.Repeat([]byte("b"), 1024), {}, []byte("c")}
	index, manifest, config := smallIndex(t)
	write := func(a *Archive, known func(i int) bool) {
		for i, b := range blobs {
			if known(i) {
				put(t, a, b)
				continue
			}
			tail, err := a.Append(1024)
			if err != nil || tail == nil {
				t.Fatalf("got %v and %v, want a tail", tail, err)
			}
			if _, err := tail.Write(b[:len(b)/2]); err != nil {
				t.Fatal(err)
			}
			if n, err := io.Copy(tail, bytes.NewReader(b[len(b)/2:])); n != int64(len(b)-len(b)/2) || err != nil {
				t.Fatalf("copied %d bytes and %v", n, err)
			}
			if err := tail.Commit(digest.FromBytes(b), int64(len(b))); err != nil {
				t.Fatal(err)
			}
		}
		put(t, a, manifest)
		put(t, a, config)
		if err := a.Commit(index); err != nil {
			t.Fatal(err)
		}
	}
	var inOrder bytes.Buffer
	write(NewArchive(&inOrder, Options{}), func(int) bool { return true })
	for name, known := range map[string]func(int) bool{
		"all tails": func(int) bool { return false },
		"by turns":  func(i int) bool { return i%2 == 0 },
	} {
		path := filepath.Join(t.TempDir(), "out.ociarchive")
		a, err := CreateArchive(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		write(a, known)
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, inOrder.Bytes()) {
			t.Errorf("%s: %d bytes differ from %d written in order", name, len(got), inOrder.Len())
		}
	}
}

// TestTailHoldsItsBound: its header has been given its size already.
func TestTailHoldsItsBound(t *testing.T) {
	for name, write := range map[string]func(*Tail) error{
		"written": func(tail *Tail) error { _, err := tail.Write([]byte("1234")); return err },
		"copied":  func(tail *Tail) error { _, err := tail.ReadFrom(bytes.NewReader([]byte("1234"))); return err },
	} {
		path := filepath.Join(t.TempDir(), "out")
		a, err := CreateArchive(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		tail, err := a.Append(3)
		if err != nil {
			t.Fatal(err)
		}
		if err := write(tail); err == nil {
			t.Errorf("%s: no error", name)
		}
		if err := a.Abort(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s: a file is left", name)
		}
	}
}

// TestTailOfAnotherSize: what has not all arrived is no blob.
func TestTailOfAnotherSize(t *testing.T) {
	a, err := CreateArchive(filepath.Join(t.TempDir(), "out"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Abort()
	tail, err := a.Append(10)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tail.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	if err := tail.Commit(digest.FromString("abcd"), 4); err == nil {
		t.Error("three bytes of four: no error")
	}
}

func TestNoTail(t *testing.T) {
	if tail, err := NewArchive(&bytes.Buffer{}, Options{}).Append(1); tail != nil || err != nil {
		t.Errorf("without a file: got %v and %v, want none", tail, err)
	}
	a, err := CreateArchive(filepath.Join(t.TempDir(), "out"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Abort()
	if tail, err := a.Append(maxUstar + 1); tail != nil || err != nil {
		t.Errorf("for a size that needs a record: got %v and %v, want none", tail, err)
	}
}
