package image

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	mk "chunkah/tests/mkimage"
)

// Data after the end of a tar is part of the digest and causes a note, but contains no files.
func TestTrailingData(t *testing.T) {
	whole := mk.Tar(t, mk.File("a", "text"))
	second := mk.Tar(t, mk.File("a", "another"), mk.File("b", "text"))
	for _, packing := range []string{mk.Plain, mk.Gzip, mk.Zstd} {
		for name, rest := range map[string]string{"garbage": "\x00x", "a second tar": string(second), "zeros": strings.Repeat("\x00", 40<<10)} {
			img := &mk.Image{Layers: []mk.Layer{{Tar: append(bytes.Clone(whole), rest...), Packing: packing}}}
			tree, err := flattenSource(t, Location{Transport: testLayout, Path: img.Layout(t)}, FlattenOptions{})
			if err != nil {
				t.Fatalf("%s, %q: %v", name, packing, err)
			}
			if got := strings.TrimSpace(listing(t, tree)); !strings.HasSuffix(got, "f /a \"text\"") {
				t.Errorf("%s, %q: got\n%s", name, packing, got)
			}
			want := fmt.Sprintf("layer 0 has %d bytes after the end of its tar", len(rest))
			if quiet := name == "zeros"; quiet != (len(tree.Notes) == 0) || !quiet && !strings.HasPrefix(tree.Notes[0], want) {
				t.Errorf("%s, %q: notes are %q", name, packing, tree.Notes)
			}
			if err := damaged(t, func(m *v1.Manifest, c *v1.Image, b mk.Blobs) {
				m.Layers[0] = b.Add(m.Layers[0].MediaType, append(bytes.Clone(whole), rest...))
			}); err == nil || !strings.Contains(err.Error(), "diffID") {
				t.Errorf("%s: another diffID: %v", name, err)
			}
		}
	}
}
