package image

import (
	"context"
	"fmt"
	"io"
	"path"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"chunkah/tests/mkimage"
)

// flattened makes an image from these layers, opens it and flattens it.
func flattened(t testing.TB, layers ...[]mkimage.Entry) (*Tree, error) {
	t.Helper()
	img := &mkimage.Image{}
	for i, entries := range layers {
		packing := []string{mkimage.Gzip, mkimage.Zstd, mkimage.Plain}[i%3]
		img.Layers = append(img.Layers, mkimage.Layer{Tar: mkimage.Tar(t, entries...), Packing: packing})
	}
	return flattenSource(t, Location{Transport: testLayout, Path: img.Layout(t)}, FlattenOptions{})
}

func flattenSource(t testing.TB, src Location, opt FlattenOptions) (*Tree, error) {
	t.Helper()
	img, err := Open(context.Background(), src, Options{})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { mustClose(t, img) })
	if opt.Spool == "" {
		opt.Spool = t.TempDir()
	}
	tree, err := Flatten(context.Background(), img, opt)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { mustClose(t, tree) })
	return tree, nil
}

func mustClose(t testing.TB, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

var letters = map[uint32]string{
	unix.S_IFREG: "f", unix.S_IFDIR: "d", unix.S_IFLNK: "l", unix.S_IFCHR: "c", unix.S_IFBLK: "b", unix.S_IFIFO: "p",
}

// listing prints a tree with one line per path. It omits the usual defaults.
func listing(t testing.TB, tree *Tree) string {
	t.Helper()
	var b strings.Builder
	groups := map[uint64]int{}
	var walk func(p string)
	walk = func(p string) {
		st, err := tree.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		kind := st.Mode & unix.S_IFMT
		fmt.Fprintf(&b, "%s %s", letters[kind], p)
		usual := map[uint32]uint32{unix.S_IFREG: 0o644, unix.S_IFDIR: 0o755, unix.S_IFLNK: 0o777}[kind]
		if st.Mode&0o7777 != usual {
			fmt.Fprintf(&b, " %04o", st.Mode&0o7777)
		}
		if st.UID != 0 || st.GID != 0 {
			fmt.Fprintf(&b, " %d:%d", st.UID, st.GID)
		}
		if st.MTime != mkimage.Time.Unix() || st.MTimeNsec != 0 {
			fmt.Fprintf(&b, " @%d.%09d", st.MTime, st.MTimeNsec)
		}
		switch kind {
		case unix.S_IFREG:
			fmt.Fprintf(&b, " %q", text(t, tree, p, st.Size))
		case unix.S_IFLNK:
			target, err := tree.Readlink(p)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, " -> %s", target)
		case unix.S_IFCHR, unix.S_IFBLK:
			fmt.Fprintf(&b, " %d,%d", st.RdevMajor, st.RdevMinor)
		}
		if st.Links > 1 {
			if groups[st.Ino] == 0 {
				groups[st.Ino] = len(groups) + 1
			}
			fmt.Fprintf(&b, " =%d/%d", groups[st.Ino], st.Links)
		}
		xattrs, err := tree.Xattrs(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range xattrs {
			fmt.Fprintf(&b, " %s=%q", x.Name, x.Value)
		}
		b.WriteString("\n")
		if kind != unix.S_IFDIR {
			return
		}
		names, err := tree.Names(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			walk(path.Join(p, name))
		}
	}
	walk("/")
	return b.String()
}

func text(t testing.TB, tree *Tree, p string, size int64) string {
	t.Helper()
	in, err := tree.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(io.NewSectionReader(in, 0, size))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// These are the transports for tests. Package transport contains the real transports, but it
// imports this package.
var (
	testDirectory     = &Transport{Prefix: "dir:"}
	testLayout        = &Transport{Prefix: "oci:", Syntax: PathRef, Open: OpenLayout}
	testArchive       = &Transport{Prefix: "oci-archive:", Syntax: PathRef, File: true, Open: OpenArchive}
	testDockerArchive = &Transport{Prefix: "docker-archive:", Syntax: PathRef, File: true, DockerFormat: true, ByConfig: true, Open: OpenDockerArchive}
)

// parseSource reads PREFIX:PATH[:REF].
func parseSource(s string) (Location, error) {
	for _, t := range []*Transport{testLayout, testArchive, testDockerArchive} {
		if rest, ok := strings.CutPrefix(s, t.Prefix); ok {
			path, ref, _ := strings.Cut(rest, ":")
			return Location{Transport: t, Path: path, Ref: ref}, nil
		}
	}
	return Location{}, fmt.Errorf("%q has no transport of the tests", s)
}
