package tests

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"chunkah/lib/image"
	"chunkah/lib/transport"
	"chunkah/tests/clients"
)

// flatten opens an image and flattens it.
func flatten(t *testing.T, source string) *image.Tree {
	t.Helper()
	tree, err := tryFlatten(t, source)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// flattenError returns the error from opening or flattening an image, or nil.
func flattenError(t *testing.T, source string) error {
	t.Helper()
	_, err := tryFlatten(t, source)
	return err
}

func tryFlatten(t *testing.T, source string) (*image.Tree, error) {
	t.Helper()
	closing := func(c io.Closer) {
		t.Cleanup(func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	src, err := transport.ParseSource(source)
	if err != nil {
		return nil, err
	}
	img, err := image.Open(context.Background(), src, image.Options{})
	if err != nil {
		return nil, err
	}
	closing(img)
	tree, err := image.Flatten(context.Background(), img, image.FlattenOptions{Spool: t.TempDir()})
	if err != nil {
		return nil, err
	}
	closing(tree)
	return tree, nil
}

// unpack creates the files of a tree with all their metadata.
func unpack(t *testing.T, tree *image.Tree) string {
	t.Helper()
	clients.Need(t, "root")
	dir := filepath.Join(t.TempDir(), "tree")
	u := unpacker{tree: tree, dir: dir, made: map[uint64]string{}}
	if err := u.make("/"); err != nil {
		t.Fatal(err)
	}
	return dir
}

type unpacker struct {
	tree *image.Tree
	dir  string
	made map[uint64]string // by inode
}

func (u *unpacker) make(path string) error {
	st, err := u.tree.Stat(path)
	if err != nil {
		return err
	}
	full := filepath.Join(u.dir, path)
	if first := u.made[st.Ino]; first != "" {
		return os.Link(first, full)
	}
	u.made[st.Ino] = full
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		err = os.Mkdir(full, 0o700)
	case unix.S_IFREG:
		err = u.copy(path, full, st.Size)
	case unix.S_IFLNK:
		var target string
		if target, err = u.tree.Readlink(path); err == nil {
			err = os.Symlink(target, full)
		}
	default:
		err = unix.Mknod(full, st.Mode, int(unix.Mkdev(st.RdevMajor, st.RdevMinor)))
	}
	if err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		names, err := u.tree.Names(path)
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := u.make(filepath.Join(path, name)); err != nil {
				return err
			}
		}
	}
	if err := os.Lchown(full, int(st.UID), int(st.GID)); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		if err := unix.Chmod(full, st.Mode&0o7777); err != nil {
			return err
		}
	}
	xattrs, err := u.tree.Xattrs(path)
	if err != nil {
		return err
	}
	for _, x := range xattrs {
		if err := unix.Lsetxattr(full, x.Name, x.Value, 0); err != nil {
			return fmt.Errorf("%s: %s: %w", full, x.Name, err)
		}
	}
	when := []unix.Timespec{{Sec: st.MTime, Nsec: int64(st.MTimeNsec)}, {Sec: st.MTime, Nsec: int64(st.MTimeNsec)}}
	return unix.UtimesNanoAt(unix.AT_FDCWD, full, when, unix.AT_SYMLINK_NOFOLLOW)
}

func (u *unpacker) copy(path, full string, size int64) error {
	in, err := u.tree.Open(path)
	if err != nil {
		return err
	}
	out, err := os.Create(full)
	if err != nil {
		return err
	}
	defer out.Close()
	_, err = io.Copy(out, io.NewSectionReader(in, 0, size))
	return err
}
