// Package rootfs reads a directory tree without ever leaving it. The tree can also be virtual: see
// Virtual.
//
// The tree is opened once, and everything else is reached from there. No open follows a symlink,
// and Resolve follows links inside the tree. Paths are absolute within the tree ("/usr/bin"), even
// in errors. Nothing is written, and access times do not change where the kernel allows this
// (O_NOATIME).
package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"chunkah/lib/interrupt"

	"golang.org/x/sys/unix"
)

// maxStep is the longest path of one open, in bytes. The kernel's limit is PATH_MAX (4096). Longer
// paths are opened in several steps.
const maxStep = 4000

// errPath is the error for paths that are not physical. It ensures that ".." cannot lead outside.
var errPath = errors.New("is not a clean path")

// Root is an open directory tree. It is safe for concurrent use.
type Root struct {
	dir  *os.File
	path string
	// tree replaces dir in a virtual tree.
	tree Tree
	// plain is set if openat2 is missing or blocked by a filter. Each name of a path is then opened
	// separately.
	plain bool
	// mounts is set if statx does not report mount points.
	mounts *mountTable
	// noListAt is set if listxattrat is missing.
	noListAt bool
	// readsAll is set if permissions do not prevent this process from reading.
	readsAll bool
	// overflow contains the IDs that stand for unmapped owners.
	overflow overflowIDs
	// buffers contains *[bufferSize]byte values, one for each open directory.
	buffers sync.Pool
}

// Open opens the tree at path. If path is a symlink, the symlink is followed, because the caller
// chose it and it is not part of the tree.
func Open(path string) (*Root, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("opening root %q: %w", path, err)
	}
	f, err := os.OpenFile(abs, os.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening root %q: %w", path, cause(err))
	}
	r := &Root{dir: f, path: abs}
	r.buffers.New = func() any { return new([bufferSize]byte) }
	r.plain = !haveOpenat2(f)
	r.noListAt = !haveListxattrat(f)
	r.readsAll, r.overflow = readsAll(), readOverflowIDs()
	if !statxTellsMounts(f) {
		if r.mounts, err = readMounts(f); err != nil {
			f.Close()
			return nil, fmt.Errorf("reading the mount table for %q: %w", path, err)
		}
	}
	return r, nil
}

// Path returns the absolute path of the tree, or the name passed to Virtual.
func (r *Root) Path() string { return r.path }

// Close closes the tree. It can be called twice. Files opened from the tree stay open.
func (r *Root) Close() error {
	if r.tree != nil {
		return r.tree.Close()
	}
	if err := r.dir.Close(); !errors.Is(err, fs.ErrClosed) {
		return err
	}
	return nil
}

// OpenDir opens the directory at a physical path, that is, a path without symlinks.
func (r *Root) OpenDir(path string) (*Dir, error) {
	if r.tree != nil {
		d, err := r.openVirtual(path)
		if err != nil {
			return nil, fmt.Errorf("opening directory %q: %w", path, err)
		}
		return d, nil
	}
	fd, err := r.open(path, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, fmt.Errorf("opening directory %q: %w", path, err)
	}
	return &Dir{fd: fd, root: r, path: path, buf: r.buffers.Get().(*[bufferSize]byte)}, nil
}

// OpenFile opens the regular file at a physical path. Other file types are refused, and are not
// opened unless the tree changes at the same time.
func (r *Root) OpenFile(path string) (*File, error) {
	parent, name := split(path)
	if name == "" {
		return nil, fmt.Errorf("opening %q: %w", path, unix.EISDIR)
	}
	d, err := r.OpenDir(parent)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.OpenFile(name)
}

// Lstat describes the file at a physical path.
func (r *Root) Lstat(path string) (Stat, error) {
	parent, name := split(path)
	d, err := r.OpenDir(parent)
	if err != nil {
		return Stat{}, err
	}
	defer d.Close()
	if name == "" {
		return d.Stat()
	}
	return d.Lstat(name)
}

// ReadDir returns the sorted names in the directory at a physical path.
func (r *Root) ReadDir(path string) ([]string, error) {
	d, err := r.OpenDir(path)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Names()
}

// open opens a path without symlinks, in steps that the kernel accepts.
func (r *Root) open(path string, flags int) (int, error) {
	rest := strings.TrimPrefix(path, "/")
	if rest == "" {
		rest = "."
	} else if err := checkPath(rest); err != nil {
		return -1, err
	}
	at, owned := int(r.dir.Fd()), false
	for {
		step, tail := r.step(rest)
		f := flags
		if tail != "" {
			f = unix.O_PATH | unix.O_DIRECTORY
		}
		fd, err := r.openStep(at, step, f)
		if owned {
			unix.Close(at)
		}
		if err != nil || tail == "" {
			return fd, err
		}
		at, owned, rest = fd, true, tail
	}
}

// step cuts off as much of rest as one open accepts.
func (r *Root) step(rest string) (step, tail string) {
	if r.plain {
		step, tail, _ = strings.Cut(rest, "/")
		return step, tail
	}
	if len(rest) <= maxStep {
		return rest, ""
	}
	cut := strings.LastIndexByte(rest[:maxStep], '/')
	if cut <= 0 {
		return rest, ""
	}
	return rest[:cut], rest[cut+1:]
}

// openStep opens the path rel below the directory with the descriptor at, without following links.
// It asks the kernel not to change access times, which is allowed only for a file's owner. A single
// name cannot lead elsewhere, so it is opened without openat2. openat2 is slower because it checks
// that the result is below the directory.
func (r *Root) openStep(at int, rel string, flags int) (int, error) {
	flags |= unix.O_CLOEXEC | unix.O_NOFOLLOW
	if flags&unix.O_PATH == 0 {
		fd, err := r.openCall(at, rel, flags|unix.O_NOATIME)
		if !errors.Is(err, unix.EPERM) {
			return fd, err
		}
	}
	return r.openCall(at, rel, flags)
}

func (r *Root) openCall(at int, rel string, flags int) (fd int, err error) {
	err = interrupt.Retry(func() (err error) {
		if r.plain || strings.IndexByte(rel, '/') < 0 {
			fd, err = unix.Openat(at, rel, flags, 0)
		} else {
			fd, err = openat2(at, rel, flags)
		}
		return err
	})
	return fd, err
}

func openat2(at int, rel string, flags int) (int, error) {
	return unix.Openat2(at, rel, &unix.OpenHow{
		Flags:   uint64(flags),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
}

// haveOpenat2 tries openat2 (Linux 5.6). Old container engines refuse it with EPERM, so any error
// means that openat2 is missing.
func haveOpenat2(dir *os.File) bool {
	fd, err := openat2(int(dir.Fd()), ".", unix.O_PATH|unix.O_CLOEXEC)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}

// checkPath refuses a relative path with an element that is not a name.
func checkPath(rel string) error {
	for name := range strings.SplitSeq(rel, "/") {
		if err := checkName(name); err != nil {
			return err
		}
	}
	return nil
}

// checkName refuses anything that is not a name in a directory.
func checkName(name string) error {
	if name == "" || name == "." || name == ".." || strings.IndexByte(name, '/') >= 0 {
		return errPath
	}
	return nil
}

// split splits a path into its parent and its last name. The root has no name.
func split(path string) (parent, name string) {
	i := strings.LastIndexByte(path, '/')
	if i <= 0 {
		return "/", strings.TrimPrefix(path, "/")
	}
	return path[:i], path[i+1:]
}

// cause returns the error inside an fs.PathError. The message already contains the other parts of
// the fs.PathError.
func cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}
