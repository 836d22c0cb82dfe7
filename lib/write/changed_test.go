package write

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/compress"
	"chunkah/lib/oci"
	"chunkah/lib/rootfs"
)

// hooked is a destination that calls the function before() ahead of each blob, between the two
// passes.
type hooked struct {
	oci.Destination
	before func(v1.Descriptor)
	during func() // in the middle of a blob
}

// Traits returns traits for which the writer reads all layers twice.
func (h *hooked) Traits() oci.Traits {
	t := h.Destination.Traits()
	t.Access = oci.AppendOnly
	return t
}

func (h *hooked) Blob(d v1.Descriptor, hint oci.Hint, write func(io.Writer) error) error {
	if h.before != nil {
		h.before(d)
	}
	return h.Destination.Blob(d, hint, func(w io.Writer) error {
		return write(&tripwire{w: w, left: d.Size / 2, trip: h.during})
	})
}

// tripwire calls trip after a number of bytes have passed.
type tripwire struct {
	w    io.Writer
	left int64
	trip func()
}

func (w *tripwire) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if w.left -= int64(n); w.left <= 0 && w.trip != nil {
		w.trip()
		w.trip = nil
	}
	return n, err
}

// changes are ways to change a file.
var changes = map[string]func(path string) error{
	"grown":    func(path string) error { return appendTo(path, "more") },
	"shrunk":   func(path string) error { return os.Truncate(path, 5) },
	"emptied":  func(path string) error { return os.Truncate(path, 0) },
	"touched":  func(path string) error { return os.Chtimes(path, time.Time{}, time.Unix(5, 0)) },
	"chmoded":  func(path string) error { return os.Chmod(path, 0o600) },
	"replaced": func(path string) error { return replace(path, func(tmp string) error { return copyFile(path, tmp) }) },
	"removed":  os.Remove,
	"symlink":  func(path string) error { return replace(path, func(tmp string) error { return os.Symlink("x", tmp) }) },
	"pipe": func(path string) error {
		return replace(path, func(tmp string) error { return unix.Mkfifo(tmp, 0o644) })
	},
	"directory": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) },
	"edited": func(path string) error {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteAt([]byte("edited"), 100)
			err = errors.Join(err, f.Close())
		}
		return err
	},
	"moved away": func(path string) error { return os.Rename(filepath.Dir(path), filepath.Dir(path)+"2") },
	"parent is a symlink": func(path string) error {
		dir := filepath.Dir(path)
		return errors.Join(os.Rename(dir, dir+"2"), os.Symlink(dir+"2", dir))
	},
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		_, err = f.WriteString(text)
		err = errors.Join(err, f.Close())
	}
	return err
}

func replace(path string, with func(tmp string) error) error {
	return errors.Join(with(path+".tmp"), os.Rename(path+".tmp", path))
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o644)
}

func openRoot(t *testing.T, dir string) *rootfs.Root {
	t.Helper()
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root
}

// If a file changes between the passes, the error names the file, and no output remains.
func TestChangedBetweenPasses(t *testing.T) {
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			root := plant(t, map[string]string{"a/small": "1", "d/victim": bulk(3*copyBuffer, 1)})
			opt := to(filepath.Join(t.TempDir(), "out"))
			opt.Create = hook(t, opt.Create, &hooked{before: once(t, filepath.Join(root, "d/victim"), change)})
			fails(t, opt, packed(t, root), `"/d/victim"`)
		})
	}
}

// restless is a tree with one directory that contains one file. Each read of the file returns
// different bytes but the same metadata, as if the file were written through a shared mapping.
type restless struct{ reads atomic.Int32 }

func (*restless) Close() error                          { return nil }
func (*restless) Names(string) ([]string, error)        { return []string{"victim"}, nil }
func (*restless) Readlink(string) (string, error)       { return "", unix.EINVAL }
func (*restless) Xattrs(string) ([]rootfs.Xattr, error) { return nil, nil }

func (*restless) Stat(path string) (rootfs.Stat, error) {
	if path == "/" {
		return rootfs.Stat{Dev: 1, Ino: 1, Mode: unix.S_IFDIR | 0o755, Links: 1}, nil
	}
	return rootfs.Stat{Dev: 1, Ino: 2, Mode: unix.S_IFREG | 0o755, Size: copyBuffer, Links: 1}, nil
}

func (r *restless) Open(string) (io.ReaderAt, error) {
	return strings.NewReader(strings.Repeat(string('a'+r.reads.Add(1)), copyBuffer)), nil
}

// A change that affects neither the time nor the size of a file still changes the digest, so an
// image never contains a blob that differs from its digest. If a layer is read once, the written
// bytes are hashed.
func TestBytesChangeWithoutATrace(t *testing.T) {
	for name, opt := range map[string]Options{
		"pipe":    {Create: func() (oci.Destination, error) { return oci.NewArchive(&bytes.Buffer{}), nil }},
		"archive": to(filepath.Join(t.TempDir(), "out")),
		"layout":  to(filepath.Join(t.TempDir(), "layout/")),
	} {
		tree := rootfs.Virtual("restless", &restless{})
		st, err := tree.Lstat("/victim")
		if err != nil {
			t.Fatal(err)
		}
		f := file("/victim", copyBuffer)
		f.Stamp = st.Stamp()
		stream := sink{&format.Header{Version: 1, Stage: format.StagePack}, &format.Layer{Components: []string{"x"}}, f}
		in := source(stream)
		opt.Inputs = &Inputs{Root: tree}
		_, err = complete(t.Context(), &in, opt)
		if name == "pipe" && (!errors.Is(err, errChanged) || !strings.Contains(err.Error(), "reading the files of layer 0 again")) || name != "pipe" && err != nil {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// A change in the middle of the second pass has the same result, whether or not the file is already
// open.
func TestChangedInSecondPass(t *testing.T) {
	for _, name := range []string{"grown", "shrunk", "emptied", "touched", "edited"} {
		t.Run(name, func(t *testing.T) {
			root := plant(t, map[string]string{"d/victim": bulk(9*copyBuffer, 1)})
			opt := to(filepath.Join(t.TempDir(), "out"))
			during := once(t, filepath.Join(root, "d/victim"), changes[name])
			opt.Create = hook(t, opt.Create, &hooked{during: func() { during(v1.Descriptor{}) }})
			fails(t, opt, packed(t, root), `"/d/victim"`)
		})
	}
}

func hook(t *testing.T, create func() (oci.Destination, error), h *hooked) func() (oci.Destination, error) {
	return func() (oci.Destination, error) {
		dest, err := create()
		if err != nil {
			t.Fatal(err)
		}
		h.Destination = dest
		return h, nil
	}
}

// once returns a hook that changes a file only the first time.
func once(t *testing.T, path string, change func(path string) error) func(v1.Descriptor) {
	probe := filepath.Join(t.TempDir(), "probe")
	var done atomic.Bool
	return func(v1.Descriptor) {
		if done.Swap(true) {
			return
		}
		if err := errors.Join(tick(path, probe), change(path)); err != nil {
			t.Error(err)
		}
	}
}

// tick waits until the clock of the file system, which moves every few milliseconds, is later than
// the last change of a file. To find out, it writes a probe file and compares the times of the two
// files.
func tick(path, probe string) error {
	for {
		var file, now unix.Stat_t
		err := errors.Join(os.WriteFile(probe, []byte("x"), 0o644), unix.Lstat(path, &file), unix.Lstat(probe, &now))
		if err != nil || file.Ctim.Nano() < now.Ctim.Nano() {
			return err
		}
		runtime.Gosched()
	}
}

// A change after the scan also causes an error, for every kind of output. The bytes of one file
// never get the owner and mode of another file. This applies to empty files too.
func TestChangedBeforeFirstPass(t *testing.T) {
	for name := range changes {
		t.Run(name, func(t *testing.T) {
			for _, output := range []string{"out", "layout/"} {
				for _, algorithm := range []compress.Algorithm{compress.None, compress.Gzip} {
					root := plant(t, map[string]string{"a/small": "1", "d/victim": bulk(3*copyBuffer, 1)})
					stream := packed(t, root)
					victim := filepath.Join(root, "d/victim")
					if err := errors.Join(tick(victim, filepath.Join(t.TempDir(), "probe")), changes[name](victim)); err != nil {
						t.Fatal(err)
					}
					dir := t.TempDir()
					opt := to(filepath.Join(dir, output))
					opt.SpoolDir, opt.Compression.Algorithm = dir, algorithm
					fails(t, opt, stream, `"/d/victim"`)
					opt.Inputs, opt.Scanned = &Inputs{Root: openRoot(t, root)}, true
					fails(t, opt, stream, `"/d/victim"`)
				}
			}
		})
	}
}

// If another empty file replaces an empty file, Run fails, unless the record has no stamp.
func TestEmptyReplaced(t *testing.T) {
	root := plant(t, map[string]string{"d/victim": ""})
	stream := packed(t, root)
	for _, rec := range stream {
		if f, ok := rec.(*format.File); ok && f.Path == "/d/victim" {
			if f.Stamp == "" {
				t.Error("its record has no stamp")
			}
			if err := changes["replaced"](filepath.Join(root, "d/victim")); err != nil {
				t.Fatal(err)
			}
			fails(t, to(filepath.Join(t.TempDir(), "out")), stream, `reading "/d/victim": its inode, size or times differ from those that the scan recorded`)
			f.Stamp = ""
		}
	}
	in := source(stream)
	if _, err := complete(t.Context(), &in, to(filepath.Join(t.TempDir(), "out"))); err != nil {
		t.Error(err)
	}
}

// A change while the file is read is detected. A file whose record has a stamp is checked only
// after it is read, and only the second time if it is read twice.
func TestChangedWhileRead(t *testing.T) {
	for _, name := range []string{"grown", "shrunk", "emptied", "touched", "chmoded", "edited"} {
		t.Run(name, func(t *testing.T) {
			for _, stamped := range []bool{false, true} {
				if err := readWhile(t, changes[name], stamped, false); !errors.Is(err, errChanged) || !strings.Contains(err.Error(), `reading "/d/victim"`) {
					t.Errorf("stamp %t: got %v", stamped, err)
				}
			}
			short := name == "shrunk" || name == "emptied"
			if err := readWhile(t, changes[name], true, true); (err != nil) != short || short && !errors.Is(err, errChanged) {
				t.Errorf("before another reading: got %v", err)
			}
		})
	}
}

// readWhile reads a file, and changes it after the first bytes.
func readWhile(t *testing.T, change func(path string) error, stamped, again bool) error {
	t.Helper()
	dir := plant(t, map[string]string{"d/victim": bulk(3*copyBuffer, 1)})
	victim := filepath.Join(dir, "d/victim")
	if err := tick(victim, filepath.Join(t.TempDir(), "probe")); err != nil {
		t.Fatal(err)
	}
	root := openRoot(t, dir)
	f := file("/d/victim", 3*copyBuffer)
	if stamped {
		st, err := root.Lstat(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		f.Stamp = st.Stamp()
	}
	r := NewReader(root, true, again)
	defer r.Close()
	w := &tripwire{w: io.Discard, left: 1, trip: func() {
		if err := change(victim); err != nil {
			t.Error(err)
		}
	}}
	_, err := r.WriteFile(t.Context(), w, f)
	return err
}

// If a file that fits into the buffer has changed, none of its bytes is written.
func TestChangedFileIsNotWritten(t *testing.T) {
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			dir := plant(t, map[string]string{"d/victim": bulk(copyBuffer, 1)})
			root, victim := openRoot(t, dir), filepath.Join(dir, "d/victim")
			st, err := root.Lstat("/d/victim")
			if err != nil {
				t.Fatal(err)
			}
			f := file("/d/victim", copyBuffer)
			f.Stamp = st.Stamp()
			if err := errors.Join(tick(victim, filepath.Join(t.TempDir(), "probe")), change(victim)); err != nil {
				t.Fatal(err)
			}
			r := NewReader(root, true, false)
			defer r.Close()
			var b bytes.Buffer
			if _, err := r.WriteFile(t.Context(), &b, f); !errors.Is(err, errChanged) || b.Len() > 0 {
				t.Errorf("got %d bytes, %v", b.Len(), err)
			}
		})
	}
}

// A concurrent writer is either detected or harmless: the contents in any finished image existed at
// one moment.
func TestRacingWriter(t *testing.T) {
	root := plant(t, map[string]string{"d/a": bulk(2*copyBuffer, 1), "e/b": "x"})
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := byte('0'); !stop.Load(); i++ {
			if f, err := os.OpenFile(filepath.Join(root, "d/a"), os.O_WRONLY, 0); err == nil {
				_, _ = f.Write(bytes.Repeat([]byte{i}, 2*copyBuffer)) // a full disk is not tested here
				_ = f.Close()
			}
			time.Sleep(time.Duration(i%7) * time.Millisecond)
		}
	}()
	stream := packed(t, root)
	written := 0
	for range 20 {
		dir := t.TempDir()
		name := filepath.Join(dir, "out")
		in := source(stream)
		if _, err := complete(context.Background(), &in, to(name)); err == nil {
			readImage(t, name)
			written++
		} else if empty(t, dir); !errors.Is(err, errChanged) || !strings.Contains(err.Error(), `"/d/a"`) {
			t.Errorf("got %v", err)
		}
	}
	stop.Store(true)
	<-done
	t.Logf("%d of 20 were written", written)
}

// All files that the user is not permitted to read are listed once.
func TestUnreadable(t *testing.T) {
	e := &unreadableError{paths: []string{"/a", "/b\n"}}
	if got := e.Error(); !strings.Contains(got, "2 files cannot be read (permission denied)") || !strings.HasSuffix(got, ":\n  \"/a\"\n  \"/b\\n\"") {
		t.Errorf("got %q", got)
	}
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	root := plant(t, map[string]string{"a/1": "x", "a/2": "x", "b/3": "x", "b/4": "x"})
	for _, name := range []string{"a/2", "b/3"} {
		if err := os.Chmod(filepath.Join(root, name), 0); err != nil {
			t.Fatal(err)
		}
	}
	stream := packed(t, root)
	for _, output := range []string{"out", "layout/"} {
		fails(t, to(filepath.Join(t.TempDir(), output)), stream, "2 files cannot be read (permission denied): run as the owner or as root")
	}
	for _, rec := range stream {
		if f, ok := rec.(*format.File); ok && f.Type == format.TypeFile {
			f.Size = format.SizeUnknown
		}
	}
	fails(t, to(filepath.Join(t.TempDir(), "out")), stream, "\n  \"/a/2\"\n  \"/b/3\"")
}
