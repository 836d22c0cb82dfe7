package oci

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/regular"
)

const (
	blockSize = 512 // size of a tar block, in bytes

	// maxUstar is the largest size in a ustar header, in bytes. A larger size needs a PAX record.
	maxUstar = 1<<33 - 1
)

// Archive is an OCI archive: a tar of an OCI layout. It contains the blobs in the order in which
// they were added, then index.json, and ends with two blocks of zeros without more padding. The
// archive is written in one pass, except for entries from NewBlob, and is never read. Its methods
// must not be called concurrently.
type Archive struct {
	w      io.Writer
	random *os.File                // w, if it supports writes in any order; else nil
	name   string                  // for messages
	blobs  map[digest.Digest]int64 // sizes
	err    error                   // the first error; errFinished after Commit
	file   *os.File                // opened by this package; nil if the caller provided the writer
	path   string                  // final path of file; empty if file is written in place
	isNew  bool                    // path did not exist when the archive was created
	files  []os.FileInfo
	// hasDirs is set after the directories that contain the blobs are written.
	hasDirs bool

	documents []fileEntry // the entries after the blobs; set by Finish
	blobsEnd  int64       // offset in the file
}

// fileEntry is a small file in a layout.
type fileEntry struct {
	name string
	data []byte
}

var _ Destination = (*Archive)(nil)

// NewArchive writes an archive to w. The caller closes w. If w has a Name method, messages use that
// name. After an error or Discard, w does not contain a valid archive: index.json and the end are
// missing.
func NewArchive(w io.Writer) *Archive {
	a := &Archive{w: w, random: anyOrder(w), name: "output", blobs: map[digest.Digest]int64{}}
	if named, ok := w.(interface{ Name() string }); ok {
		a.name = named.Name()
	}
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil {
			a.files = append(a.files, info)
		}
	}
	return a
}

// CreateArchive writes an archive to a file. It writes a temporary file in the same directory;
// Commit syncs it to disk and then renames it to path, replacing an existing file. If path is a
// symlink, its target is replaced. A device, a pipe or an open file such as /dev/stdout is written
// directly.
func CreateArchive(path string, opt Options) (*Archive, error) {
	a, err := createArchive(path, opt)
	if err != nil {
		return nil, fmt.Errorf("creating archive %q: %w", path, withoutTempName(err))
	}
	return a, nil
}

func createArchive(path string, opt Options) (*Archive, error) {
	if path == "" {
		return nil, errors.New("the path is empty")
	}
	target, opened, err := regular.Resolve(path)
	if err != nil {
		return nil, err
	}
	old, err := os.Stat(target)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	switch {
	case old != nil && old.IsDir():
		return nil, fmt.Errorf("is a directory: use a file, or use oci:%s for a layout", path)
	case strings.HasSuffix(path, "/"):
		return nil, errors.New("ends with a slash, but no such directory exists: specify a file name")
	case old != nil && (opened || !old.Mode().IsRegular()):
		return openArchive(path, target, old, opt)
	}
	f, err := createTemp(filepath.Dir(target))
	if err != nil {
		return nil, err
	}
	if old != nil {
		// Keep the mode of the existing file, as if it were overwritten. If the user is not
		// permitted to set this mode, the file keeps the default mode.
		_ = f.Chmod(old.Mode().Perm())
	}
	a := NewArchive(f)
	a.name, a.file, a.path, a.isNew = path, f, target, old == nil
	if old != nil {
		a.files = append(a.files, old)
	}
	return a, nil
}

// openArchive opens the existing file at target for writing. path is the user's name for this file.
func openArchive(path, target string, old os.FileInfo, opt Options) (*Archive, error) {
	if opt.Readable {
		return nil, errors.New("not a regular file, so the image cannot be verified: use a regular file")
	}
	flags := os.O_WRONLY
	if old.Mode().IsRegular() {
		flags |= os.O_APPEND // a shell redirection: append to it
	}
	f, err := os.OpenFile(target, flags, 0)
	if err != nil {
		return nil, err
	}
	a := NewArchive(f)
	a.name, a.file = path, f
	return a, nil
}

// Traits implements Destination.
func (a *Archive) Traits() Traits {
	if a.random == nil {
		return Traits{Access: AppendOnly, Files: a.files}
	}
	return Traits{Access: RandomAccess, Files: a.files}
}

// Blob implements Destination.
func (a *Archive) Blob(d v1.Descriptor, _ Hint, write func(io.Writer) error) error {
	return a.do(func() error {
		if err := checkDescriptor(d); err != nil {
			return err
		}
		if size, ok := a.blobs[d.Digest]; ok {
			if size != d.Size {
				return fmt.Errorf("blob %q has two sizes, %d and %d", d.Digest, size, d.Size)
			}
			return nil
		}
		if err := a.dirs(); err != nil {
			return err
		}
		a.blobs[d.Digest] = d.Size
		return a.entry(blobName(d.Digest), d.Size, func() error { return WriteBlob(a.w, d, write) })
	})
}

// Finish implements Destination. Readers of an archive that is written in place see every byte
// immediately, so Commit writes the end of such an archive.
func (a *Archive) Finish(index []byte) ([]Finished, error) { return a.finish(index) }

func (a *Archive) finish(index []byte, more ...fileEntry) ([]Finished, error) {
	var at Finished
	err := a.do(func() error {
		if _, err := CheckIndex(index, func(d digest.Digest) bool { _, ok := a.blobs[d]; return ok }); err != nil {
			return err
		}
		a.documents = append([]fileEntry{{v1.ImageLayoutFile, layoutFile()}, {v1.ImageIndexFile, index}}, more...)
		if a.path == "" {
			return nil
		}
		at.Path = a.file.Name()
		return a.writeEnd()
	})
	if err != nil {
		return nil, errors.Join(err, a.Discard())
	}
	return []Finished{at}, nil
}

// writeEnd writes the documents and the end of the archive.
func (a *Archive) writeEnd() (err error) {
	if a.random != nil {
		if a.blobsEnd, err = a.random.Seek(0, io.SeekCurrent); err != nil {
			return err
		}
	}
	for _, d := range a.documents {
		err := a.entry(d.name, int64(len(d.data)), func() error {
			_, err := a.w.Write(d.data)
			return err
		})
		if err != nil {
			return err
		}
	}
	_, err = a.w.Write(make([]byte, 2*blockSize))
	return err
}

// Commit implements Destination.
func (a *Archive) Commit() error {
	err := a.do(func() error {
		switch {
		case a.documents == nil:
			return errNotFinished
		case a.path != "":
			return a.appear()
		}
		if err := a.writeEnd(); err != nil {
			return err
		}
		return a.closeInPlace()
	})
	if err != nil {
		return errors.Join(err, a.Discard())
	}
	a.err = errFinished
	return nil
}

// appear syncs the finished file and renames it to its final name.
func (a *Archive) appear() error {
	f := a.file
	a.file = nil
	if err := finish(f, a.path); err != nil {
		return err
	}
	err := syncDir(filepath.Dir(a.path))
	if err != nil && a.isNew { // a file that was replaced cannot be restored
		err = errors.Join(err, os.Remove(a.path))
	}
	return err
}

// closeInPlace syncs and closes a file that was written in place.
func (a *Archive) closeInPlace() error {
	if f, ok := a.w.(*os.File); ok {
		if err := syncFile(f); err != nil {
			a.unfinish()
			return err
		}
	}
	if a.file != nil {
		f := a.file
		a.file = nil
		return f.Close()
	}
	return nil
}

// unfinish removes the end of an archive that was written in place, if the file can be truncated.
func (a *Archive) unfinish() {
	if a.random == nil {
		return
	}
	if end, err := a.random.Seek(0, io.SeekCurrent); err == nil && end > a.blobsEnd {
		_ = a.random.Truncate(a.blobsEnd) // ignored, because the caller reports a more useful error
	}
}

// Written implements Destination.
func (*Archive) Written(d digest.Digest) []digest.Digest { return []digest.Digest{d} }

// Discard implements Destination.
func (a *Archive) Discard() error {
	if a.err == nil {
		a.err = errDiscarded
	}
	if a.file == nil {
		return nil
	}
	f := a.file
	a.file = nil
	_ = f.Close() // ignored, because the contents are not needed any more
	if a.path == "" {
		return nil
	}
	if err := os.Remove(f.Name()); err != nil {
		return fmt.Errorf("removing unfinished archive: %w", err)
	}
	return nil
}

// do runs one step, unless an earlier step failed.
func (a *Archive) do(step func() error) error {
	if a.err == nil {
		if err := step(); err != nil {
			a.err = fmt.Errorf("writing archive %q: %w", a.name, withoutTempName(err))
		}
	}
	return a.err
}

// dirs writes the directories that contain the blobs, once.
func (a *Archive) dirs() error {
	if a.hasDirs {
		return nil
	}
	a.hasDirs = true
	if err := a.entry(v1.ImageBlobsDir+"/", 0, nil); err != nil {
		return err
	}
	return a.entry(blobsDir+"/", 0, nil)
}

// entry writes an entry: its header, its contents by calling write, and the padding. If the name
// ends with a slash, the entry is a directory.
func (a *Archive) entry(name string, size int64, write func() error) error {
	if err := writeHeader(a.w, name, size); err != nil {
		return err
	}
	if write == nil {
		return nil
	}
	if err := write(); err != nil {
		return err
	}
	if padding := -size & (blockSize - 1); padding > 0 {
		_, err := a.w.Write(make([]byte, padding))
		return err
	}
	return nil
}

// writeHeader writes the header of an entry. It uses a new tar.Writer per entry and only for the
// header, so that the kernel can copy the contents from file to file.
func writeHeader(w io.Writer, name string, size int64) error {
	header := tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR,
	}
	if strings.HasSuffix(name, "/") {
		header.Typeflag, header.Mode = tar.TypeDir, 0o755
	}
	if size > maxUstar {
		header.Format = tar.FormatPAX
	}
	return tar.NewWriter(w).WriteHeader(&header)
}

// blobsDir is the directory in a layout that contains the blobs.
const blobsDir = v1.ImageBlobsDir + "/sha256"

func blobName(d digest.Digest) string { return blobsDir + "/" + d.Encoded() }

// layoutFile returns the contents of oci-layout.
func layoutFile() []byte {
	data, err := json.Marshal(v1.ImageLayout{Version: v1.ImageLayoutVersion})
	if err != nil {
		panic(err) // the value is constant
	}
	return data
}
