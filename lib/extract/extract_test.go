package extract

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"chunkah/lib/image"
	"chunkah/lib/rootfs"
	"chunkah/lib/temp"
	"chunkah/lib/transport"
	mk "chunkah/tests/mkimage"
)

// open opens an image with these layers.
func open(t *testing.T, layers ...[]mk.Entry) *image.Image {
	t.Helper()
	img := &mk.Image{}
	for _, entries := range layers {
		img.Layers = append(img.Layers, mk.Layer{Tar: mk.Tar(t, entries...), Packing: mk.Gzip})
	}
	src := image.Location{Transport: transport.Layout, Path: img.Layout(t)}
	opened, err := image.Open(t.Context(), src, image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	return opened
}

// flatten returns the merged tree of an image. store can be nil.
func flatten(t *testing.T, img *image.Image, store image.Store) *image.Tree {
	t.Helper()
	merged, err := image.Flatten(t.Context(), img, image.FlattenOptions{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { merged.Close() })
	return merged
}

// own returns an entry that belongs to the user who runs the test, so that the user can restore it.
func own(e mk.Entry) mk.Entry {
	return e.But(func(h *tar.Header) { h.Uid, h.Gid = os.Getuid(), os.Getgid() })
}

// extractTo extracts an image to a directory.
func extractTo(t *testing.T, dir string, img *image.Image, opt Options) (*Report, error) {
	t.Helper()
	d, err := Create(dir)
	if err != nil {
		return nil, err
	}
	report, err := Into(t.Context(), d, flatten(t, img, d.Store), opt)
	if err != nil {
		if wrong := d.Discard(); wrong != nil {
			t.Error(wrong)
		}
		return nil, err
	}
	if err := d.Commit(); err != nil {
		t.Error(errors.Join(err, d.Discard()))
	}
	return report, nil
}

// listing returns the names below a directory, with the contents of files and targets of symlinks.
func listing(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		line := strings.TrimPrefix(path, dir+"/")
		switch d.Type() {
		case fs.ModeDir:
			line += "/"
		case fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += " -> " + target
		case 0:
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += " " + string(data)
		}
		list = append(list, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// A new directory, an empty directory and a symlink to an empty directory get the same files. The
// upper layer hides and replaces files in the lower layer.
func TestInto(t *testing.T) {
	img := open(t,
		[]mk.Entry{own(mk.Dir("./")), own(mk.Dir("d")), own(mk.File("d/a", "old")), own(mk.File("d/b", "b")), own(mk.Link("d/c", "d/b")), own(mk.Dir("gone")), own(mk.File("gone/x", "x"))},
		[]mk.Entry{own(mk.File("d/a", "new")), own(mk.File(".wh.gone", "")), own(mk.Symlink("s", "/d/a"))})
	want := []string{"d/", "d/a new", "d/b b", "d/c b", "s -> /d/a"}
	base := t.TempDir()
	for _, dir := range []string{"empty", "behind"} {
		if err := os.Mkdir(base+"/"+dir, 0o2777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("behind", base+"/link"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"new", "empty", "link"} {
		report, err := extractTo(t, base+"/"+name, img, Options{Strict: true})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		dir, err := filepath.EvalSymlinks(base + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if got := listing(t, dir); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
		if report.Files != 4 || report.Bytes != int64(len("new")+len("b")) {
			t.Errorf("%s: got %+v", name, report)
		}
		var st [2]unix.Stat_t
		for i, f := range []string{"b", "c"} {
			if err := unix.Lstat(dir+"/d/"+f, &st[i]); err != nil {
				t.Fatal(err)
			}
		}
		if st[0].Ino != st[1].Ino {
			t.Errorf("%s: d/b and d/c are different files", name)
		}
		if info, err := os.Stat(dir); err != nil || info.Mode() != fs.ModeDir|0o755 {
			t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
		}
	}
	if left := listing(t, base); slices.ContainsFunc(left, func(s string) bool { return strings.Contains(s, ".tmp") }) {
		t.Errorf("left behind: %q", left)
	}
}

// Three targets are refused: a directory with files, a file, and a directory whose parent is
// missing. If a killed run has marked a directory, the error mentions it.
func TestCreateRefuses(t *testing.T) {
	base := t.TempDir()
	for _, dir := range []string{"full", "killed"} {
		if err := os.Mkdir(base+"/"+dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mark, err := temp.Create(base+"/killed", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	mark.Close()
	for _, err := range []error{os.WriteFile(base+"/full/f", nil, 0o644), os.WriteFile(base+"/file", nil, 0o644), os.Symlink("nothing", base+"/dangling")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	before := listing(t, base)
	for name, want := range map[string]string{
		"full": "not empty", "killed": "of an unfinished run", "file": "not a directory",
		"missing/dir": `the directory "` + base + `/missing" does not exist`, "dangling": "is a dangling symlink",
	} {
		d, err := Create(base + "/" + name)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), base) {
			t.Errorf("%s: got %v, %v, want %q", name, d, err, want)
		}
	}
	if after := listing(t, base); !slices.Equal(after, before) {
		t.Errorf("got %q, was %q", after, before)
	}
}

// After an error, a new directory does not exist, and an existing one is empty.
func TestDiscard(t *testing.T) {
	readOnly := own(mk.Dir("d/e")).But(func(h *tar.Header) { h.Mode = 0 })
	img := open(t, []mk.Entry{own(mk.Dir("./")), own(mk.Dir("d")).But(func(h *tar.Header) { h.Mode = 0o555 }), readOnly, own(mk.File("d/e/f", "f")),
		own(mk.File("x", "")).Xattr("trusted.overlay.redirect", "/etc")})
	for _, exists := range []bool{false, true} {
		base := t.TempDir()
		if exists {
			if err := os.Mkdir(base+"/dir", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(base+"/dir", 0o777|fs.ModeSticky); err != nil {
				t.Fatal(err)
			}
		}
		_, err := extractTo(t, base+"/dir", img, Options{Strict: true})
		if lost, ok := errors.AsType[*LossError](err); !ok || len(lost.Losses) != 1 || lost.Losses[0].What != "the xattr trusted.overlay.redirect" {
			t.Errorf("got %v", err)
		}
		want := []string{}
		if exists {
			want = []string{"dir/"}
			if info, err := os.Stat(base + "/dir"); err != nil || info.Mode() != fs.ModeDir|0o777|fs.ModeSticky {
				t.Errorf("the directory has the mode %v, %v", info.Mode(), err)
			}
		}
		if got := listing(t, base); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// When the context is cancelled, the extraction ends.
func TestInterrupted(t *testing.T) {
	img := open(t, []mk.Entry{own(mk.File("f", "f"))})
	dir := t.TempDir() + "/dir"
	d, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	cause := errors.New("the cause")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := Into(ctx, d, flatten(t, img, d.Store), Options{}); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
	if err := d.Discard(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// A directory that appears in the meantime is not replaced.
func TestCommitReplacesNothing(t *testing.T) {
	img := open(t, []mk.Entry{own(mk.Dir("./")), own(mk.File("f", "f"))})
	dir := t.TempDir() + "/dir"
	d, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Into(t.Context(), d, flatten(t, img, d.Store), Options{}); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := d.Commit(); err == nil {
		t.Error("the other directory was replaced")
	}
	if err := d.Discard(); err != nil {
		t.Error(err)
	}
	if got := listing(t, filepath.Dir(dir)); !slices.Equal(got, []string{"dir/"}) {
		t.Errorf("got %q", got)
	}
}

// Runs of zeros become holes, and the contents do not change.
func TestHoles(t *testing.T) {
	zero, text := strings.Repeat("\x00", 3<<20), strings.Repeat("text", 5000)
	for name, body := range map[string]string{
		"empty": "", "text": text, "zeros": zero, "end": text + zero, "start": zero + text, "middle": text + zero + text, "short": zero[:holeSize-1],
		"block": zero[:holeSize], "odd": zero[:holeSize+1], "last byte": zero + "x",
	} {
		dir := t.TempDir() + "/dir"
		if _, err := extractTo(t, dir, open(t, []mk.Entry{own(mk.File("f", body))}), Options{}); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(dir + "/f")
		if err != nil || !bytes.Equal(got, []byte(body)) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		var st unix.Stat_t
		if err := unix.Stat(dir+"/f", &st); err != nil {
			t.Fatal(err)
		}
		const most = 256 << 10
		if size := st.Blocks * 512; size > most {
			t.Errorf("%s: takes %d bytes", name, size)
		}
	}
}

func TestLinksAndWhiteouts(t *testing.T) {
	big := func(c string) string { return strings.Repeat(c, 1<<18) }
	readOnly := func(h *tar.Header) { h.Mode = 0o444 }
	img := open(t,
		[]mk.Entry{own(mk.Dir("./")), own(mk.Dir("d")), own(mk.File("d/a", big("old"))), own(mk.File("d/b", big("b"))).But(readOnly).Xattr("user.x", "1"),
			own(mk.Link("d/same", "d/b")).But(readOnly), own(mk.Dir("gone")), own(mk.File("gone/x", big("x"))), own(mk.File("hidden", big("y"))).But(func(h *tar.Header) { h.Uid++ }).Xattr("trusted.overlay.opaque", "y"),
			own(mk.File("lost", big("z"))).Xattr("user.overlay.opaque", "y")},
		[]mk.Entry{own(mk.File("d/a", big("new"))), own(mk.File(".wh.gone", "")), own(mk.File(".wh.hidden", "")),
			own(mk.Link("d/c", "d/b")).But(func(h *tar.Header) { h.Mode, h.ModTime = 0o555, mk.Time.Add(1e9) }).Xattr("user.x", "2").Xattr("user.y", "3")})
	for _, exists := range []bool{false, true} {
		dir := t.TempDir() + "/dir"
		if exists {
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		report, err := extractTo(t, dir, img, Options{})
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"d/", "d/a " + big("new"), "d/b " + big("b"), "d/c " + big("b"), "d/same " + big("b"), "lost " + big("z")}
		if got := listing(t, dir); !slices.Equal(got, want) {
			t.Errorf("got %.99q", got)
		}
		if len(report.Losses) != 1 || report.Losses[0].What != "the xattr user.overlay.opaque" || !slices.Equal(report.Losses[0].Paths, []string{"/lost"}) {
			t.Errorf("lost: %+v", report.Losses)
		}
		if info, err := os.Stat(dir + "/d/b"); err != nil || info.Mode() != 0o555 || !info.ModTime().Equal(mk.Time.Add(1e9)) {
			t.Errorf("%v, %v", info, err)
		}
		for name, want := range map[string]string{"user.x": "2", "user.y": "3"} {
			value := make([]byte, 9)
			if n, err := unix.Getxattr(dir+"/d/b", name, value); err != nil || string(value[:n]) != want {
				t.Errorf("%s: %q, %v", name, value[:max(n, 0)], err)
			}
		}
	}
}

// If the digest of the last layer is wrong, no files from the earlier layers remain.
func TestWrongDigest(t *testing.T) {
	for _, exists := range []bool{false, true} {
		img := open(t, []mk.Entry{own(mk.File("a", "a"))}, []mk.Entry{own(mk.File("b", "b"))})
		img.Layers[1].DiffID = img.Layers[0].DiffID
		base := t.TempDir()
		want := []string{}
		if exists {
			want = []string{"dir/"}
			if err := os.Mkdir(base+"/dir", 0o755); err != nil {
				t.Fatal(err)
			}
		}
		d, err := Create(base + "/dir")
		if err != nil {
			t.Fatal(err)
		}
		stored := 0
		store := func(ctx context.Context, st rootfs.Stat, xattrs []rootfs.Xattr, in io.Reader) (int64, error) {
			stored++
			return d.Store(ctx, st, xattrs, in)
		}
		opt := image.FlattenOptions{Store: store, Threads: 1}
		if _, err := image.Flatten(t.Context(), img, opt); err == nil || !strings.Contains(err.Error(), "diffID") || stored != 2 {
			t.Errorf("got %v, after %d files", err, stored)
		}
		if err := d.Discard(); err != nil {
			t.Error(err)
		}
		if got := listing(t, base); !slices.Equal(got, want) {
			t.Errorf("left: %q", got)
		}
	}
}
