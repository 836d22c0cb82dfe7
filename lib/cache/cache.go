// Package cache keeps compressed layers from one build to the next: a folder of
// blobs, each found by the digest of what it was compressed from and by the
// settings that did it.
//
// Nothing in the folder is believed: a blob is handed out once its bytes have the digest
// in its name, and the caller has found that they decompress to what it wants. So the
// folder may be saved and restored by anyone, copied together from several, or damaged;
// what is wrong in it costs a compression. What is right may be compressed in another way than here.
// What is not a blob by its name is neither read nor removed. Several builds may use it at once.
package cache

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"chunkah/lib/regular"
	"chunkah/lib/temp"
)

// DefaultSize is the number of bytes that a cache may take where none is asked
// for: a few images of an operating system.
const DefaultSize = 10 << 30

// A cache is DIR/KEY/DIFFID-DIGEST, both digests as 64 hexadecimal digits of
// SHA-256, and unfinished files beside them.
var (
	keyName  = regexp.MustCompile(`^(gzip|zstd)-[A-Za-z0-9._+-]+$`)
	blobName = regexp.MustCompile(`^[0-9a-f]{64}-[0-9a-f]{64}$`)
)

func isKey(e fs.DirEntry) bool  { return e.IsDir() && keyName.MatchString(e.Name()) }
func isBlob(e fs.DirEntry) bool { return e.Type().IsRegular() && blobName.MatchString(e.Name()) }
func isTemp(e fs.DirEntry) bool { return e.Type().IsRegular() && temp.Is(e.Name()) }

// tempAge is how long an unfinished file is left alone: another build may be at it.
const tempAge = 24 * time.Hour

// Cache is a folder of blobs.
type Cache struct {
	dir  string
	size int64
}

// Open opens the cache in dir, which is created where it is not there. Trim
// keeps it within size bytes; 0 is DefaultSize. A folder that holds anything else is
// refused.
func Open(dir string, size int64) (*Cache, error) {
	if size <= 0 {
		size = DefaultSize
	}
	info, err := os.Lstat(dir)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if err := regular.CheckLink(dir, info); err != nil {
			return nil, fmt.Errorf("opening cache: %w", err)
		}
	}
	if err = os.MkdirAll(dir, 0o755); err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err == nil {
		err = claim(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("opening cache %q: %w", dir, err)
	}
	return &Cache{dir: dir, size: size}, nil
}

// Dir is the folder, without symlinks.
func (c *Cache) Dir() string { return c.dir }

// Blob is a blob of the cache, open for reading from its start. It stays
// readable when it is removed meanwhile.
type Blob struct {
	*os.File
	Digest digest.Digest
	Size   int64
}

// Has reports whether there is any blob of that key, so that looking for one can
// be worth it.
func (c *Cache) Has(key string) bool {
	names, err := c.blobs(key)
	return err == nil && len(names) > 0
}

// blobs are the names of the blobs of a key.
func (c *Cache) blobs(key string) ([]string, error) {
	dir := filepath.Join(c.dir, key)
	if info, err := os.Lstat(dir); err != nil || !isKey(fs.FileInfoToDirEntry(info)) {
		return nil, skipGone(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, skipGone(err)
	}
	var names []string
	for _, e := range entries {
		if isBlob(e) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Wanted says what blob is looked for.
type Wanted struct {
	Key    string
	DiffID digest.Digest
	// Most is how many bytes it can have.
	Most int64
	// Proves reads a blob of that digest and size to its end and reports whether it
	// decompresses to DiffID. An error says nothing of the blob.
	Proves func(is digest.Digest, size int64, blob io.Reader) (bool, error)
}

// Get returns the blob that is wanted, nil where there is none. One that is not what its
// name says is removed.
func (c *Cache) Get(want Wanted) (*Blob, error) {
	names, err := c.blobs(want.Key)
	if err != nil {
		return nil, fmt.Errorf("reading cache: %w", err)
	}
	for _, name := range names {
		encoded, found := strings.CutPrefix(name, want.DiffID.Encoded()+"-")
		if !found {
			continue
		}
		b, err := open(filepath.Join(c.dir, want.Key, name), digest.NewDigestFromEncoded(digest.SHA256, encoded), want)
		if err != nil {
			return nil, fmt.Errorf("reading cache: %w", err)
		}
		if b != nil {
			return b, nil
		}
	}
	return nil, nil
}

// open opens a blob if it is what its name says.
func open(name string, is digest.Digest, want Wanted) (*Blob, error) {
	f, err := regular.OpenOwn(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, regular.ErrNot) {
		return nil, nil // another build has trimmed it, or it is none of ours
	}
	if err != nil {
		return nil, err
	}
	size, ok, err := whole(f, is, want)
	if !ok || err != nil {
		f.Close()
		if err == nil {
			_ = os.Remove(name) // else a later build does
		}
		return nil, err
	}
	// Used last: best effort, the cache may be read-only.
	now := unix.NsecToTimespec(time.Now().UnixNano())
	_ = unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{now, now}, unix.AT_SYMLINK_NOFOLLOW)
	return &Blob{File: f, Digest: is, Size: size}, nil
}

// whole reads a blob and goes back to its start. What cannot be read is as good as
// what has changed.
func whole(f *os.File, is digest.Digest, want Wanted) (size int64, ok bool, err error) {
	info, err := f.Stat()
	if err != nil || info.Size() > want.Most {
		return 0, false, nil //nolint:nilerr // an entry that cannot be read is not an entry
	}
	sum := sha256.New()
	blob := io.TeeReader(io.LimitReader(f, want.Most+1), sum)
	if ok, err = want.Proves(is, info.Size(), blob); !ok || err != nil {
		return 0, false, err
	}
	if size, err = f.Seek(0, io.SeekCurrent); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	return size, err == nil && size == info.Size() && digest.NewDigest(digest.SHA256, sum) == is, nil
}

// Writer takes a new blob.
type Writer struct {
	c    *Cache
	key  string
	file *os.File
}

// Create starts a blob. It is to be committed or aborted.
func (c *Cache) Create(key string) (*Writer, error) {
	dir := filepath.Join(c.dir, key)
	if err := mkdirOwn(dir); err != nil {
		return nil, fmt.Errorf("writing cache: %w", err)
	}
	f, err := temp.Create(dir, 0o600)
	if err != nil {
		return nil, fmt.Errorf("writing cache: %w", err)
	}
	return &Writer{c: c, key: key, file: f}, nil
}

// mkdirOwn makes a folder where there is none. A symlink there leads out of the cache.
func mkdirOwn(dir string) error {
	err := os.Mkdir(dir, 0o755)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%q is not a folder", dir)
	}
	return err
}

// Write adds bytes to the blob.
func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	if err != nil {
		err = fmt.Errorf("writing cache: %w", err)
	}
	return n, err
}

// Commit puts the blob in its place and returns it, open for reading.
func (w *Writer) Commit(diffID, blob digest.Digest) (*Blob, error) {
	size, err := w.file.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = w.file.Seek(0, io.SeekStart)
	}
	if err == nil {
		// No fsync: after a crash the digest tells whether the bytes arrived.
		name := filepath.Join(w.c.dir, w.key, diffID.Encoded()+"-"+blob.Encoded())
		err = os.Rename(w.file.Name(), name)
	}
	if err != nil {
		w.Abort()
		return nil, fmt.Errorf("writing cache: %w", err)
	}
	f := w.file
	w.file = nil
	return &Blob{File: f, Digest: blob, Size: size}, nil
}

// Abort removes the blob. After Commit it does nothing.
func (w *Writer) Abort() {
	if w.file == nil {
		return
	}
	w.file.Close()
	_ = os.Remove(w.file.Name()) // else Trim removes it
	w.file = nil
}

// item is a file of the cache.
type item struct {
	name string
	size int64
	used time.Time
}

// items are the blobs and the unfinished files.
func items(dir string) (blobs, temps []item, err error) {
	keys, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, skipGone(err)
	}
	for _, key := range keys {
		if isTemp(key) { // of a tag
			if info, err := key.Info(); err == nil {
				temps = append(temps, item{filepath.Join(dir, key.Name()), info.Size(), info.ModTime()})
			}
		}
		if !isKey(key) {
			continue
		}
		entries, err := os.ReadDir(filepath.Join(dir, key.Name()))
		if err != nil && skipGone(err) != nil {
			return nil, nil, err
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				if skipGone(err) != nil {
					return nil, nil, err
				}
				continue
			}
			it := item{filepath.Join(dir, key.Name(), e.Name()), info.Size(), info.ModTime()}
			switch {
			case isBlob(e):
				blobs = append(blobs, it)
			case isTemp(e):
				temps = append(temps, it)
			}
		}
	}
	return blobs, temps, nil
}

// Trim removes the blobs that were not used for longest until the rest fits, and
// what builds that were killed have left. It returns the bytes removed.
func (c *Cache) Trim() (removed int64, err error) {
	blobs, temps, err := items(c.dir)
	if err != nil {
		return 0, fmt.Errorf("trimming cache: %w", err)
	}
	var total int64
	for _, b := range blobs {
		total += b.size
	}
	sort.Slice(blobs, func(a, b int) bool { return blobs[a].used.Before(blobs[b].used) })
	remove := func(it item) error {
		if err := os.Remove(it.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("trimming cache: %w", err)
		}
		removed += it.size
		return nil
	}
	for _, t := range temps {
		if time.Since(t.used) > tempAge {
			if err := remove(t); err != nil {
				return removed, err
			}
		}
	}
	for _, b := range blobs {
		if total <= c.size {
			break
		}
		if err := remove(b); err != nil {
			return removed, err
		}
		total -= b.size
	}
	return removed, nil
}

// Folders are those of the cache in dir that can have unfinished files of killed builds.
// Trim removes these when a day has passed.
func Folders(dir string) []string {
	folders := []string{dir}
	keys, _ := os.ReadDir(dir) // the caller looks into dir and meets the same error
	for _, key := range keys {
		if isKey(key) {
			folders = append(folders, filepath.Join(dir, key.Name()))
		}
	}
	return folders
}

// skipGone lets other builds remove what this one is looking at.
func skipGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
