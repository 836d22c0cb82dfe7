package extract

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"chunkah/lib/image"
	"chunkah/lib/rootfs"
	"chunkah/lib/temp"
)

// staging is a directory inside the target directory. Files are written to it while the layers are
// read, because their final names are known only after all layers. There, their names are numbers.
// The staging directory has a temporary name, so it also marks an unfinished directory.
type staging struct {
	dir  *os.File
	bufs sync.Pool // buffers of type *[copyBuffer]byte

	mu    sync.Mutex
	next  int64
	owner *unix.Stat_t       // owner of new files
	lost  map[int64][]string // losses by file number
}

func newStaging(in string) (*staging, error) {
	dir, err := temp.Mkdir(in, 0o700)
	if err != nil {
		return nil, err
	}
	return &staging{
		dir: dir, lost: make(map[int64][]string),
		bufs: sync.Pool{New: func() any { return new([copyBuffer]byte) }},
	}, nil
}

// Store writes a file to the staging directory (see image.Store).
func (d *Directory) Store(ctx context.Context, st rootfs.Stat, xattrs []rootfs.Xattr, in io.Reader) (int64, error) {
	s := d.staging
	s.mu.Lock()
	number := s.next
	s.next++
	s.mu.Unlock()
	dir := int(s.dir.Fd())
	fd, err := openat(dir, strconv.FormatInt(number, 10), unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
	if err != nil {
		return 0, d.storing(err)
	}
	buf := s.bufs.Get().(*[copyBuffer]byte)
	err = contents{in, st.Size, d.storing}.writeTo(ctx, fd, buf)
	s.bufs.Put(buf)
	if err == nil {
		err = d.storing(s.restore(number, fd, st, xattrs))
	}
	if wrong := unix.Close(fd); err == nil {
		err = d.storing(wrong)
	}
	return number, err
}

func (d *Directory) storing(err error) error {
	if err == nil {
		return nil
	}
	return &WriteError{fmt.Errorf("writing it to %q: %w", d.name, err)}
}

// restore sets the metadata of a file.
func (s *staging) restore(number int64, fd int, st rootfs.Stat, xattrs []rootfs.Xattr) error {
	owner, err := s.ownerOf(fd)
	if err != nil {
		return err
	}
	var lost []string
	err = restore(staged{opened(fd), owner}, st, xattrs, func(what string) { lost = append(lost, what) })
	if len(lost) > 0 {
		if slices.Equal(lost, onlyOwner) {
			lost = onlyOwner
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.lost[number] = lost
	}
	return err
}

// onlyOwner is the loss that most files have without root privileges. Sharing one list saves
// memory.
var onlyOwner = []string{lostOwner}

// ownerOf returns the owner of new files, which is the same for all files in the staging directory.
func (s *staging) ownerOf(fd int) (*unix.Stat_t, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.owner == nil {
		var st unix.Stat_t
		if err := opened(fd).stat(&st); err != nil {
			return nil, err
		}
		s.owner = &st
	}
	return s.owner, nil
}

// staged is a new file in the staging directory.
type staged struct {
	opened
	owner *unix.Stat_t
}

func (f staged) stat(st *unix.Stat_t) error {
	*st = *f.owner
	return nil
}

// place moves a file from the staging directory to its final path.
func (w *worker) place(path string, to *rootfs.Dir, f item, s image.Stored) error {
	from := w.dest.staging
	if err := rename(int(from.dir.Fd()), strconv.FormatInt(s.Number, 10), to.Fd(), f.name); err != nil {
		return err
	}
	w.opt.Work.Did(f.stat.Size)
	if s.Relinked {
		xattrs, err := w.tree.Xattrs(path)
		if err != nil {
			return err
		}
		file := named{to.Fd(), f.name}
		if err := file.chmod(0o600); err != nil { // the staged mode can forbid xattrs
			return err
		}
		return w.restore(path, file, f.stat, xattrs)
	}
	from.mu.Lock()
	lost := from.lost[s.Number]
	from.mu.Unlock()
	for _, what := range lost {
		w.lose(what, path)
	}
	return nil
}
