package image

import (
	"context"
	"io"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	mk "chunkah/tests/mkimage"
)

// Close can be called twice without an error, so that a caller can defer Close and also check its
// result.
func TestEveryCloseTwice(t *testing.T) {
	img := small(t, "", "x", mk.Plain, mk.Gzip)
	for form, path := range map[string]string{"oci:": img.Layout(t), "oci-archive:": img.Archive(t), "docker-archive:": img.DockerArchive(t)} {
		src, err := parseSource(form + path)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := Open(context.Background(), src, Options{})
		if err != nil {
			t.Fatal(err)
		}
		tree, err := Flatten(context.Background(), opened, FlattenOptions{Spool: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		blob, err := opened.Blob(context.Background(), v1.Descriptor{Digest: opened.Layers[0].Descriptor.Digest})
		if err != nil {
			t.Fatal(err)
		}
		closers := map[string]io.Closer{"blob": blob, "tree": tree, "image": opened}
		if form != "docker-archive:" {
			listing, err := List(context.Background(), src, Options{})
			if err != nil {
				t.Fatal(err)
			}
			closers["listing"] = listing
		}
		for _, name := range []string{"blob", "tree", "image", "listing"} {
			c := closers[name]
			for range 2 {
				if c == nil {
					continue
				}
				if err := c.Close(); err != nil {
					t.Errorf("%s %s: %v", form, name, err)
				}
			}
		}
	}
}
