package oci

import (
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

// Layout is an OCI layout directory. A new layout is written to a temporary directory next to path,
// which is renamed when it is complete. In an existing layout, blobs are renamed to their final
// names when all of them are complete, and index.json is written last. Then the replaced image's
// blobs are removed, if Options.Own recognises them. Other unused blobs are kept, for example for
// umoci gc. The methods can be called concurrently, except for Finish, Commit and Discard.
type Layout struct {
	path       string // as the user gave it
	dir        string // directory that contains the files: path, or a temporary directory
	opt        Options
	ref        string
	lock       *os.File // the existing directory, locked; nil for a new layout
	unfinished *os.File // the new directory, as long as it has a temporary name

	mu    sync.Mutex
	done  error    // why nothing more is accepted: the first error, errFinished or errDiscarded
	made  []string // new files in an existing directory, oldest first; Discard removes them
	temps map[*layoutBlob]bool
	// complete contains the blobs that are complete but not yet renamed.
	complete []*layoutBlob
	naming   sync.Mutex // held while complete blobs are renamed; locked before mu

	index, merged []byte // after Finish: the image's index, and the new index.json
}

var _ Destination = (*Layout)(nil)

// OpenLayout writes an image to the layout directory at path: a new directory, an empty one, or an
// existing layout. Any other directory is refused. The image replaces the image with the same ref;
// other images are kept. An image without a name replaces the image without a name, or the only
// image. An existing directory stays locked during the write: see Options.Busy.
func OpenLayout(path, ref string, opt Options) (*Layout, error) {
	l := &Layout{path: path, opt: opt, ref: ref, temps: map[*layoutBlob]bool{}}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("opening layout %q: %w", path, errors.Join(err, l.Discard()))
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
		if l.unfinished, err = temp.Mkdir(filepath.Dir(target), 0o777); err != nil {
			return err
		}
		l.dir = l.unfinished.Name()
	case err != nil:
		return err
	case !info.IsDir():
		return errors.New("not a directory")
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

// mkdir creates a directory of the layout if it does not exist.
func (l *Layout) mkdir(name string) error {
	path := filepath.Join(l.dir, name)
	err := os.Mkdir(path, 0o777)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		l.recordCreated(path)
	}
	return err
}

// recordCreated records a new path, so that Discard can remove it.
func (l *Layout) recordCreated(path string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.made = append(l.made, path)
}

// Traits implements Destination.
func (l *Layout) Traits() Traits {
	t := Traits{Access: BlobFiles}
	if info, err := os.Stat(l.dir); err == nil {
		t.Files = []os.FileInfo{info}
	}
	return t
}

// Blob implements Destination. If the blob exists already, its digest is verified first.
func (l *Layout) Blob(d v1.Descriptor, hint Hint, write func(io.Writer) error) error {
	if err := l.state(); err != nil {
		return err
	}
	if err := checkDescriptor(d); err != nil {
		return l.fail(err)
	}
	if ok, err := l.has(d, hint.Verified); ok || err != nil {
		return l.fail(err)
	}
	b, err := l.newBlob()
	if err != nil {
		return err
	}
	if err := writeBlob(rawBlob{b}, d, write, hint.Verified == nil); err != nil {
		return l.fail(errors.Join(err, b.Discard()))
	}
	return l.fail(b.finish(d.Digest))
}

// fail records err as the layout's error, unless err is nil.
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

// state returns nil as long as the layout accepts blobs.
func (l *Layout) state() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.done, errFinished) || errors.Is(l.done, errDiscarded) {
		return fmt.Errorf("writing layout %q: %w", l.path, l.done)
	}
	return l.done
}

// Finish implements Destination.
func (l *Layout) Finish(index []byte) ([]Finished, error) {
	var at Finished
	err := l.state()
	if err == nil {
		at, err = l.finish(index)
		err = l.fail(err)
	}
	if err != nil {
		return nil, errors.Join(err, l.Discard())
	}
	return []Finished{at}, nil
}

func (l *Layout) finish(index []byte) (at Finished, err error) {
	if len(l.temps) > 0 {
		return at, errors.New("a blob is not finished")
	}
	if err := l.nameBlobs(); err != nil {
		return at, err
	}
	own, err := CheckIndex(index, func(d digest.Digest) bool {
		_, err := os.Stat(filepath.Join(l.dir, blobName(d)))
		return err == nil
	})
	if err != nil {
		return at, err
	}
	l.merged = index
	if l.lock != nil {
		if l.merged, err = mergedIndex(l.dir, index, l.ref); err != nil {
			return at, err
		}
	}
	if err := errors.Join(syncDir(filepath.Join(l.dir, blobsDir)), syncDir(filepath.Join(l.dir, v1.ImageBlobsDir))); err != nil {
		return at, err
	}
	layoutPath := filepath.Join(l.dir, v1.ImageLayoutFile)
	if _, err := os.Lstat(layoutPath); errors.Is(err, fs.ErrNotExist) {
		if err := writeFile(layoutPath, layoutFile()); err != nil {
			return at, err
		}
		l.recordCreated(layoutPath)
	}
	l.index, at.Path = index, l.dir
	if l.lock == nil {
		return at, l.writeIndex()
	}
	// The index of an existing layout does not list the image yet. All entries in the image's index
	// refer to the same document.
	at.Ref = "@" + own.Manifests[0].Digest.String()
	return at, nil
}

func (l *Layout) writeIndex() error {
	if err := writeFile(filepath.Join(l.dir, v1.ImageIndexFile), l.merged); err != nil {
		return err
	}
	l.made = nil // the image is complete
	return syncDir(l.dir)
}

// Commit implements Destination.
func (l *Layout) Commit() error {
	err := l.state()
	switch {
	case err != nil:
	case l.index == nil:
		err = l.fail(errNotFinished)
	case l.lock != nil:
		err = l.fail(l.replaceIndex())
	default:
		err = l.fail(l.publish())
	}
	if err != nil {
		return errors.Join(err, l.Discard())
	}
	l.done = errFinished
	l.unlock()
	return nil
}

// replaceIndex lists the image in the existing layout.
func (l *Layout) replaceIndex() error {
	old, err := l.oldBlobs(l.merged)
	if err != nil {
		return err
	}
	if err := l.writeIndex(); err != nil {
		return err
	}
	l.removeOld(old, l.merged)
	return nil
}

// publish renames the new directory.
func (l *Layout) publish() error {
	err := os.Rename(l.dir, l.path)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTEMPTY) {
		return l.mergeInto()
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

// Written implements Destination.
func (*Layout) Written(d digest.Digest) []digest.Digest { return []digest.Digest{d} }

// Discard implements Destination.
func (l *Layout) Discard() error {
	if errors.Is(l.done, errFinished) || errors.Is(l.done, errDiscarded) {
		return nil
	}
	l.done = errDiscarded
	defer l.unlock()
	var errs []error
	for b := range l.temps {
		errs = append(errs, b.Discard())
	}
	errs = append(errs, l.removeComplete()...)
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
	for _, f := range []*os.File{l.lock, l.unfinished} {
		if f != nil {
			_ = f.Close() // this unlocks it
		}
	}
	l.lock, l.unfinished = nil, nil
}
