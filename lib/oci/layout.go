package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/regular"
	"chunkah/lib/temp"
)

// Layout is an OCI layout folder. A new one is made under a temporary name beside its own, and appears when it is
// complete. One that exists gets each blob under its digest once the blob is whole, and its new index.json last. Blobs of
// the image that was replaced are removed then if Options.Own says so; others that nothing needs any more stay, for
// umoci gc or the like. Its methods may be called at the same time, Commit and
// Abort excepted.
type Layout struct {
	path string // as it was named
	dir  string // where the files go: path, or a temporary folder
	opt  Options
	ref  string
	lock *os.File // the existing folder, locked; nil for a new one
	held *os.File // the new folder, while its name is a temporary one

	mu    sync.Mutex
	done  error    // why no more is taken: the first error, or errFinished, or errAborted
	made  []string // what Abort removes from an existing folder, in the order in which it was made
	temps map[*BlobWriter]bool
}

var _ Destination = (*Layout)(nil)

// OpenLayout writes an image to the layout folder at path: a new one, an empty one, or a layout that is there already.
// An image named ref takes the place of the one of that name and leaves the others; without a name, it replaces the one
// without a name, or the only image that is there. Any other folder is refused. While it is written to, an existing
// folder is locked: see Options.Busy.
func OpenLayout(path, ref string, opt Options) (*Layout, error) {
	l := &Layout{path: path, opt: opt, ref: ref, temps: map[*BlobWriter]bool{}}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("opening layout %q: %w", path, errors.Join(err, l.Abort()))
	}
	return l, nil
}

func (l *Layout) open() error {
	if l.path == "" {
		return errors.New("the path is empty")
	}
	target, _, err := regular.Resolve(filepath.Clean(l.path))
	if err != nil {
		return err
	}
	l.path = target
	switch info, err := os.Stat(target); {
	case errors.Is(err, fs.ErrNotExist):
		if l.held, err = temp.Mkdir(filepath.Dir(target), 0o777); err != nil {
			return err
		}
		l.dir = l.held.Name()
	case err != nil:
		return err
	case !info.IsDir():
		return errors.New("it is not a folder")
	default:
		l.dir = target
		if err := l.lockDir(); err != nil {
			return err
		}
		if err := checkLayout(l.dir, l.ref); err != nil {
			return err
		}
	}
	return errors.Join(l.mkdir(v1.ImageBlobsDir), l.mkdir(blobsDir))
}

// mkdir makes a folder of the layout where there is none.
func (l *Layout) mkdir(name string) error {
	path := filepath.Join(l.dir, name)
	err := os.Mkdir(path, 0o777)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		l.note(path)
	}
	return err
}

// note remembers what was made, for Abort.
func (l *Layout) note(path string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.made = append(l.made, path)
}

// Occupies implements Destination.
func (l *Layout) Occupies() []os.FileInfo {
	info, err := os.Stat(l.dir)
	if err != nil {
		return nil
	}
	return []os.FileInfo{info}
}

// Blob implements Destination. A blob that is there already is hashed before it is relied on.
func (l *Layout) Blob(d v1.Descriptor, write func(io.Writer) error) error {
	if err := l.state(); err != nil {
		return err
	}
	if err := checkDescriptor(d); err != nil {
		return l.fail(err)
	}
	if ok, err := l.has(d); ok || err != nil {
		return l.fail(err)
	}
	b, err := l.NewBlob()
	if err != nil {
		return err
	}
	if err := writeBlob(b.f, d, write); err != nil {
		return l.fail(errors.Join(err, b.Abort()))
	}
	return l.fail(b.place(d.Digest))
}

// fail makes an error the layout's, if it is one.
func (l *Layout) fail(err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("writing layout %q: %w", l.path, err)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done == nil {
		l.done = err
	}
	return err
}

// state is nil as long as the layout takes blobs.
func (l *Layout) state() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.done, errFinished) || errors.Is(l.done, errAborted) {
		return fmt.Errorf("writing layout %q: %w", l.path, l.done)
	}
	return l.done
}

// Commit implements Destination.
func (l *Layout) Commit(index []byte) error {
	if err := l.state(); err != nil {
		return errors.Join(err, l.Abort())
	}
	if err := l.commit(index); err != nil {
		return errors.Join(l.fail(err), l.Abort())
	}
	l.done = errFinished
	l.unlock()
	return nil
}

func (l *Layout) commit(index []byte) error {
	if len(l.temps) > 0 {
		return errors.New("a blob is not finished")
	}
	if err := checkIndex(index, func(d digest.Digest) bool {
		_, err := os.Stat(filepath.Join(l.dir, blobName(d)))
		return err == nil
	}); err != nil {
		return err
	}
	merged := index
	if l.lock != nil {
		var err error
		if merged, err = mergedIndex(l.dir, index, l.ref); err != nil {
			return err
		}
	}
	if err := errors.Join(syncDir(filepath.Join(l.dir, blobsDir)), syncDir(filepath.Join(l.dir, v1.ImageBlobsDir))); err != nil {
		return err
	}
	layoutPath := filepath.Join(l.dir, v1.ImageLayoutFile)
	if _, err := os.Lstat(layoutPath); errors.Is(err, fs.ErrNotExist) {
		if err := writeFile(layoutPath, layoutFile()); err != nil {
			return err
		}
		l.note(layoutPath)
	}
	if l.lock != nil {
		if err := l.checkByDigest(index); err != nil {
			return err
		}
	}
	old, err := l.oldBlobs(merged)
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(l.dir, v1.ImageIndexFile), merged); err != nil {
		return err
	}
	l.made = nil // the image is there
	if err := syncDir(l.dir); err != nil || l.lock != nil {
		if err == nil {
			l.removeOld(old, merged)
		}
		return err
	}
	if err := l.opt.check(Target{Kind: KindLayout, Path: l.dir}); err != nil {
		return err
	}
	err = os.Rename(l.dir, l.path)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTEMPTY) {
		return l.join(index)
	}
	if err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(l.path)); err != nil {
		return errors.Join(err, os.RemoveAll(l.path))
	}
	l.dir = l.path
	return nil
}

// checkByDigest has the image checked before an existing index names it.
func (l *Layout) checkByDigest(data []byte) error {
	var index v1.Index
	if err := json.Unmarshal(data, &index); err != nil {
		return err
	}
	for _, m := range index.Manifests {
		if err := l.opt.check(Target{Kind: KindLayout, Path: l.dir, Ref: "@" + m.Digest.String()}); err != nil {
			return err
		}
	}
	return nil
}

// Abort implements Destination.
func (l *Layout) Abort() error {
	if errors.Is(l.done, errFinished) || errors.Is(l.done, errAborted) {
		return nil
	}
	l.done = errAborted
	defer l.unlock()
	var errs []error
	for b := range l.temps {
		errs = append(errs, b.Abort())
	}
	switch {
	case l.dir == "" || l.dir == l.path && l.lock == nil: // not begun, or complete
	case l.lock == nil:
		errs = append(errs, os.RemoveAll(l.dir))
	default:
		for _, folder := range slices.Backward(l.made) {
			if err := os.Remove(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

func (l *Layout) unlock() {
	for _, f := range []*os.File{l.lock, l.held} {
		if f != nil {
			_ = f.Close() // which unlocks it
		}
	}
	l.lock, l.held = nil, nil
}
