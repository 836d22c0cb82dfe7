package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/sys/unix"

	"chunkah/lib/regular"
	"chunkah/lib/rootfs"
	"chunkah/lib/tarsplit"
)

// layerTar is a layer's tar. It is read once from start to end. As soon as the reader has passed a
// file, its contents can be read again at their offset.
type layerTar struct {
	split *os.File
	lines *tarsplit.Reader
	now   io.Reader // data of the current tar-split line
	left  int64     // remaining bytes of that data
	at    int64     // offset in the tar of the next line's data

	mu     sync.Mutex
	root   *rootfs.Root
	files  []extent
	opened *rootfs.File // the file of the extent that was read last
	last   int
}

// extent is the position of a file's contents in the tar.
type extent struct {
	offset, size int64
	path         string // in the root
}

func openLayer(s Store, l layer) (*layerTar, error) {
	path := filepath.Join(s.Root, s.Driver+"-layers", l.ID+".tar-split.gz")
	split, err := regular.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("the storage lacks the data to rebuild the tar of the layer (%q): use podman save", path)
	}
	if err != nil {
		return nil, err
	}
	unpacked, err := gzip.NewReader(split)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading %q: %w", path, err), split.Close())
	}
	root, err := rootfs.Open(filepath.Join(s.Root, s.Driver, drivers[s.Driver](l.ID)))
	if err != nil {
		return nil, errors.Join(err, split.Close())
	}
	return newLayerTar(split, unpacked, root), nil
}

func newLayerTar(split *os.File, unpacked io.Reader, root *rootfs.Root) *layerTar {
	return &layerTar{split: split, lines: tarsplit.NewReader(unpacked), root: root, now: bytes.NewReader(nil), last: -1}
}

// Close closes all open files.
func (t *layerTar) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.root.Close()
	if t.opened != nil {
		err = errors.Join(err, t.opened.Close())
		t.opened, t.last = nil, -1
	}
	if closed := t.split.Close(); !errors.Is(closed, fs.ErrClosed) {
		err = errors.Join(err, closed)
	}
	return err
}

// Read implements io.Reader.
func (t *layerTar) Read(p []byte) (int, error) {
	for {
		n, err := t.now.Read(p)
		t.left -= int64(n)
		switch {
		case !errors.Is(err, io.EOF):
			return n, err
		case n > 0:
			return n, nil
		case t.left > 0:
			return 0, fmt.Errorf("reading a layer in %q: %w", t.root.Path(), io.ErrUnexpectedEOF)
		}
		if err := t.next(); err != nil {
			return 0, err
		}
	}
}

// next reads one line of the tar-split data.
func (t *layerTar) next() error {
	l, err := t.lines.Next()
	switch {
	case err == io.EOF:
		return err
	case err != nil:
		return fmt.Errorf("reading %q: %w", t.split.Name(), err)
	case l.Type == tarsplit.Segment:
		t.now, t.left = bytes.NewReader(l.Payload), int64(len(l.Payload))
		t.at += int64(len(l.Payload))
		return nil
	case l.Size == 0:
		return nil
	}
	t.mu.Lock()
	t.files = append(t.files, extent{t.at, l.Size, "/" + strings.Trim(filepath.Clean("/"+l.Path()), "/")})
	t.mu.Unlock()
	t.now, t.left = io.NewSectionReader(t, t.at, l.Size), l.Size
	t.at += l.Size
	return nil
}

// ReadAt implements io.ReaderAt. It reads only the contents of files.
func (t *layerTar) ReadAt(p []byte, off int64) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := sort.Search(len(t.files), func(i int) bool { return t.files[i].offset+t.files[i].size > off })
	if i == len(t.files) || off < t.files[i].offset {
		return 0, fmt.Errorf("reading a layer at offset %d: no file", off)
	}
	f := t.files[i]
	if t.last != i {
		if t.opened != nil {
			_ = t.opened.Close() // it was only read
			t.opened, t.last = nil, -1
		}
		in, err := t.open(f.path)
		if err != nil {
			return 0, err
		}
		t.opened, t.last = in, i
	}
	if most := f.offset + f.size - off; int64(len(p)) > most {
		n, err := t.opened.ReadAt(p[:most], off-f.offset)
		if err == nil {
			err = io.EOF
		}
		return n, err
	}
	return t.opened.ReadAt(p, off-f.offset)
}

// open opens a file in the layer. Its path can contain symlinks in the layer.
func (t *layerTar) open(path string) (*rootfs.File, error) {
	in, err := t.root.OpenFile(path)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) {
		if physical, resolved := t.root.Resolve(path); resolved == nil {
			in, err = t.root.OpenFile(physical)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading a layer in %q: %w", t.root.Path(), err)
	}
	return in, nil
}
