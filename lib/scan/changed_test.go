package scan

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"chunkah/lib/rootfs"
)

// swapped is a tree that contains a link and a directory. Each is replaced by another version, a
// given number of times, while its xattrs are being read.
type swapped struct {
	version map[string]uint32
	times   uint32
}

const (
	link = "/a-link"
	dir  = "/b-dir"
)

func (s *swapped) Close() error { return nil }

func (s *swapped) Stat(path string) (rootfs.Stat, error) {
	st := rootfs.Stat{Dev: 1, Ino: 1, Mode: unix.S_IFDIR | 0o755, Links: 1}
	switch path {
	case "/":
	case link:
		st.Mode = unix.S_IFLNK | 0o777
		fallthrough
	case dir:
		st.UID = s.version[path]
		st.Ino = uint64(10 + s.version[path])
	default:
		return st, fs.ErrNotExist
	}
	return st, nil
}

func (s *swapped) Names(path string) ([]string, error) {
	if path == "/" {
		return []string{link[1:], dir[1:]}, nil
	}
	return nil, nil
}

func (s *swapped) Xattrs(path string) ([]rootfs.Xattr, error) {
	if path != "/" && s.version[path] < s.times {
		s.version[path]++
	}
	return []rootfs.Xattr{{Name: "user.version", Value: []byte{byte(s.version[path])}}}, nil
}

func (s *swapped) Readlink(path string) (string, error) {
	return strings.Repeat("x", 1+int(s.version[path])), nil
}

func (s *swapped) Open(string) (io.ReaderAt, error) { return nil, fs.ErrNotExist }

// Each record describes one version. The owner of one link is never combined with the target of
// another link, nor the owner of one directory with the xattrs of another directory.
func TestRecordsAreConsistent(t *testing.T) {
	tree := &swapped{version: map[string]uint32{}, times: maxAttempts/2 - 1}
	root := rootfs.Virtual("swapped", tree)
	files, err := gather(t.Context(), root, Options{Readers: 1}, &Report{})
	if err != nil || len(files) != 3 {
		t.Fatalf("got %d records, %v", len(files), err)
	}
	for _, f := range files[1:] {
		version := tree.version[f.Path]
		if f.UID != version || f.Xattrs[0].Value[0] != byte(version) || f.Path == link && len(f.Target) != 1+int(version) {
			t.Errorf("version %d of %s is %+v", version, f.Path, f)
		}
	}
	if tree.version[link] != tree.times || tree.version[dir] != tree.times {
		t.Errorf("replaced too rarely: %v", tree.version)
	}
}

// A file that never stops changing causes an error.
func TestConstantChange(t *testing.T) {
	root := rootfs.Virtual("swapped", &swapped{version: map[string]uint32{}, times: 1 << 20})
	if _, err := gather(t.Context(), root, Options{Readers: 1}, &Report{}); !errors.Is(err, errChanged) || !strings.Contains(err.Error(), link) {
		t.Errorf("got %v", err)
	}
}

// The contents of a directory are never put below the record of another directory.
func TestDirectoryReplaced(t *testing.T) {
	top := makeTree(t, "d/mine = 1", "e/other = 2")
	root, err := rootfs.Open(top)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for f, err := range Walk(t.Context(), root, Options{Readers: 1}, &Report{}) {
		switch {
		case err != nil:
			if !errors.Is(err, errChanged) || !strings.Contains(err.Error(), `scanning "/d"`) {
				t.Errorf("got %v", err)
			}
			return
		case f.Path == "/d":
			if err := errors.Join(os.Rename(top+"/d", top+"/c"), os.Rename(top+"/e", top+"/d")); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Error("no change was detected")
}
