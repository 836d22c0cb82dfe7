package places

import (
	"bytes"
	"context"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/places/placestest"
	"chunkah/lib/rootfs"
)

// Files with the same name are one component. Files that are not selected or that contain no name
// are not claimed. Additional hard links to an inode are not claimed either.
func TestSingle(t *testing.T) {
	r := placestest.New(t).File("/a.x/one.x", "lamp").File("/b.x", "").File("/c", "lamp").File("/d.x", "switch\xff").
		File("/e.x", "lamp").Link("/f.x", "/e.x").File("/gone.x", "lamp")
	r.Remove("/gone.x")
	tree := r.Tree()
	var asked []string
	s := Single{
		Repo: "shop", MaxRead: 6, Is: func(f *format.File) bool { return strings.HasSuffix(f.Path, ".x") },
		Packages: func(f *format.File, r io.ReaderAt, size int64) ([]assign.Package, time.Time) {
			asked = append(asked, f.Path)
			raw, _ := io.ReadAll(io.NewSectionReader(r, 0, size))
			if len(raw) == 0 {
				return nil, time.Time{}
			}
			return []assign.Package{{Name: string(raw), Type: "shop", Version: "1"}, {Name: "wire"}}, time.Unix(1_600_000_000+size, 0)
		},
	}
	for _, f := range tree.Files {
		f.MTime = 1_700_000_000
	}
	result := s.Load(tree)
	if result == nil || len(result.Claims) > 0 || len(asked) > 0 {
		t.Fatalf("before the fallback: %+v, %q", result, asked)
	}
	result, err := result.Fallback(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, claim := range result.Claims {
		got = append(got, tree.Files[claim.File].Path+" "+claim.Package.Component.Name)
	}
	want := []string{"/a.x/one.x shop/lamp", "/a.x/one.x shop/lamp", "/e.x shop/lamp", "/e.x shop/lamp"} // /d.x is larger than MaxRead
	if !reflect.DeepEqual(got, want) || len(result.Packages) != 4 || len(asked) != 5 {
		t.Errorf("got %q, %d packages, asked %q", got, len(result.Packages), asked)
	}
	if p := result.Packages[0]; p.Name != "lamp" || p.Type != "shop" || p.Version != "1" || result.Packages[1].Name != "wire" {
		t.Errorf("got %+v", p)
	}
	if got := result.Packages[0].Component.Updates; !slices.Equal(got, []int64{1_600_000_004}) {
		t.Errorf("released at %v", got)
	}
	s.MaxRead = 1 << 20
	if result, err = s.Load(tree).Fallback(t.Context()); err != nil || len(result.Claims) != 6 || result.Claims[2].Package.Component.Name != "shop/switch\ufffd" {
		t.Errorf("got %+v, %v", result, err)
	}

	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stopped)
	if _, err := s.Load(tree).Fallback(ctx); !errors.Is(err, stopped) {
		t.Errorf("cancelled: got %v", err)
	}
	s.Is = func(*format.File) bool { return false }
	if r := s.Load(tree); r != nil {
		t.Errorf("where nothing is: %+v", r)
	}
}

// disk is a root with one unreadable file.
type disk struct{ err error }

func (d disk) Stat(path string) (rootfs.Stat, error) {
	if path == "/" {
		return rootfs.Stat{Mode: 0o40755}, nil
	}
	return rootfs.Stat{Mode: 0o100644, Size: 1000}, nil
}
func (d disk) Names(string) ([]string, error)                { return nil, nil }
func (d disk) Readlink(string) (string, error)               { return "", nil }
func (d disk) Xattrs(string) ([]rootfs.Xattr, error)         { return nil, nil }
func (d disk) Open(string) (io.ReaderAt, error)              { return d, nil }
func (d disk) Close() error                                  { return nil }
func (d disk) ReadAt(p []byte, off int64) (n int, err error) { return 0, d.err }

// TestSingleReadError checks that a file that cannot be read is an error.
func TestSingleReadError(t *testing.T) {
	broken := errors.New("input/output error")
	tree := assign.NewTree(rootfs.Virtual("disk", disk{broken}), []*format.File{{Path: "/x", Type: format.TypeFile, Size: 1000}})
	s := Single{Repo: "shop", MaxRead: 8, Is: func(*format.File) bool { return true }, Packages: func(_ *format.File, r io.ReaderAt, _ int64) ([]assign.Package, time.Time) {
		_, _ = r.ReadAt(make([]byte, 4), 0)
		return []assign.Package{{Name: "name"}}, time.Time{}
	}}
	if _, err := s.Load(tree).Fallback(t.Context()); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestBounded(t *testing.T) {
	b := &Bounded{R: bytes.NewReader(make([]byte, 10)), Left: 8}
	for want, length := range []int{8, 1} {
		n, err := b.ReadAt(make([]byte, length), 0)
		if (want == 0) != (n == 8 && err == nil) {
			t.Errorf("%d bytes: %d, %v", length, n, err)
		}
	}
	if b.Err != nil {
		t.Errorf("the bound is reported as a read error: %v", b.Err)
	}
}
