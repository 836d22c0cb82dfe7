package source

import (
	"io"
	"io/fs"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"chunkah/lib/rootfs"
	"chunkah/lib/scan"
)

// chain is a source of nested directories with the same name. The innermost one has some xattrs.
// chain counts the calls to its methods and the bytes of the paths in these calls.
type chain struct {
	name         string
	depth        int
	xattrs       int
	asked, bytes *atomic.Int64
}

func (c chain) at(path string) (int, error) {
	c.asked.Add(1)
	c.bytes.Add(int64(len(path)))
	depth := strings.Count(path, "/"+c.name)
	if path == "/" {
		return 0, nil
	}
	if depth*(1+len(c.name)) != len(path) || depth > c.depth {
		return 0, fs.ErrNotExist
	}
	return depth, nil
}

func (c chain) Stat(path string) (rootfs.Stat, error) {
	_, err := c.at(path)
	return rootfs.Stat{Mode: unix.S_IFDIR | 0o755}, err
}

func (c chain) Names(path string) ([]string, error) {
	if depth, err := c.at(path); err != nil || depth == c.depth {
		return nil, err
	}
	return []string{c.name}, nil
}

func (c chain) Xattrs(path string) ([]rootfs.Xattr, error) {
	depth, err := c.at(path)
	if err != nil || depth < c.depth {
		return nil, err
	}
	list := make([]rootfs.Xattr, c.xattrs)
	for i := range list {
		list[i].Name = "user." + strings.Repeat("x", i+1)
	}
	c.asked.Add(int64(len(list)))
	return list, nil
}

func (c chain) Readlink(string) (string, error)  { return "", unix.EINVAL }
func (c chain) Open(string) (io.ReaderAt, error) { return nil, rootfs.ErrNotRegular }
func (c chain) Close() error                     { return nil }

// The number of calls to a source is proportional to the number of names and xattrs, and does not
// depend on the depth of the tree. So the time is proportional to the total length of the paths,
// which are also part of the source.
func TestDeepSources(t *testing.T) {
	work := func(depth, xattrs int) int64 {
		var asked, bytes atomic.Int64
		root := rootfs.Virtual("both", newOverlay([]*rootfs.Root{
			rootfs.Virtual("a", chain{"a", depth, xattrs, &asked, &bytes}), rootfs.Virtual("b", chain{"b", depth, xattrs, &asked, &bytes}),
		}))
		files, paths := 0, int64(0)
		for f, err := range scan.Walk(t.Context(), root, scan.Options{}, &scan.Report{}) {
			if err != nil {
				t.Fatal(err)
			}
			files += 1 + len(f.Xattrs)
			paths += int64(len(f.Path))
		}
		if n := bytes.Load(); n > 20*paths {
			t.Errorf("depth %d: asked for paths of %d bytes, although all paths together have only %d", depth, n, paths)
		}
		if files != 1+2*depth+2*xattrs {
			t.Fatalf("%d files and xattrs", files)
		}
		return asked.Load()
	}
	if one, two := work(200, 0), work(400, 0); two > one*21/10 || one > 200*100 {
		t.Errorf("depth: asked %d and %d times", one, two)
	}
	if one, two := work(1, 100), work(1, 200); two > one*21/10 || one > 100*10 {
		t.Errorf("xattrs: asked %d and %d times", one, two)
	}
}
