package write

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/layer"
	"chunkah/lib/rootfs"
)

// Small files are read once. The second reading returns the same bytes, and checks that the file is
// unchanged since the scan.
func TestSmallFiles(t *testing.T) {
	dir := t.TempDir()
	texts := map[string]string{"/a": "text", "/b": strings.Repeat("b", smallFile), "/large": strings.Repeat("c", smallFile+1)}
	for path, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	small := NewSmallFiles()
	first := NewReader(root, true, small)
	defer first.Close()
	second := &contents{root: root, seen: true, small: small}
	defer second.close()
	files := map[string]*format.File{}
	for path, text := range texts {
		st, err := root.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		f := &format.File{Path: path, Type: format.TypeFile, Size: st.Size, Stamp: st.Stamp()}
		files[path] = f
		for i, in := range []layer.Content{first, second} {
			var b bytes.Buffer
			if n, err := in.WriteFile(t.Context(), &b, f); err != nil || n != st.Size || b.String() != text {
				t.Errorf("reading %d of %s: %d bytes, %v", i, path, n, err)
			}
		}
		if kept := small.contents(f) != nil; kept != (path != "/large") {
			t.Errorf("%s is kept: %t", path, kept)
		}
		script := *f
		if script.Stamp = ""; small.contents(&script) != nil {
			t.Errorf("%s is taken without a stamp", path)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("TEXT"), 0o644); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := second.WriteFile(t.Context(), &b, files["/a"]); !errors.Is(err, errChanged) || b.Len() > 0 {
		t.Errorf("a changed file gives %q, %v", b.String(), err)
	}
}

// The memory for small files is limited.
func TestSmallFilesAreBounded(t *testing.T) {
	small, kept := NewSmallFiles(), 0
	data := make([]byte, smallFile)
	for i := range 2 * maxSmall / smallFile {
		f := &format.File{Path: fmt.Sprint(i), Size: smallFile, Stamp: "x"}
		small.keep(f, data)
		if small.contents(f) != nil {
			kept++
		}
	}
	if kept != maxSmall/smallFile {
		t.Errorf("%d files are kept, want %d", kept, maxSmall/smallFile)
	}
}
