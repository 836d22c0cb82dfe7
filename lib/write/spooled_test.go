package write

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"chunkah/lib/oci"
)

// A blob is the same no matter when writing switches from the spool to the archive, and no file
// remains.
func TestSpooledBlob(t *testing.T) {
	pieces := []string{"one ", "two ", "three"}
	want := strings.Join(pieces, "")
	for turn := range len(pieces) + 1 {
		dir := t.TempDir()
		path := filepath.Join(dir, "out")
		a, err := oci.CreateArchive(path, oci.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s := &spooledBlob{dir: dir}
		enter := func() {
			entry, err := a.NewBlob(100, true)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.writeTo(t.Context(), entry); err != nil {
				t.Fatal(err)
			}
		}
		for i, piece := range pieces {
			if i == turn {
				enter()
			}
			if _, err := s.Write([]byte(piece)); err != nil {
				t.Fatal(err)
			}
			if spooled := s.file != nil; spooled != (i < turn) {
				t.Errorf("turn %d: after piece %d there is a spool file: %v", turn, i, spooled)
			}
		}
		if turn == len(pieces) {
			enter()
		}
		if s.file != nil {
			t.Errorf("turn %d: its file is open still", turn)
		}
		if err := s.entry.Commit(digest.FromString(want), int64(len(want))); err != nil {
			t.Fatal(err)
		}
		unfinished, err := filepath.Glob(filepath.Join(dir, ".*"))
		if err != nil || len(unfinished) != 1 {
			t.Fatalf("got %q and %v, want one unfinished archive", unfinished, err)
		}
		text, err := os.ReadFile(unfinished[0])
		if err != nil || !strings.Contains(string(text), "\x00"+want+"\x00") {
			t.Errorf("turn %d: got %q, %v, want %q in it", turn, text, err, want)
		}
		if err := a.Discard(); err != nil {
			t.Fatal(err)
		}
	}
}
