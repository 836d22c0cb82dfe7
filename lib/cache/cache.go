// Package cache keeps compressed layers between builds. A cache is a directory of blobs. Each blob
// is identified by the digest of its uncompressed data and by the compression settings.
//
// The contents are not trusted. A blob is returned only if its bytes match the digest in its name
// and the caller has verified that it decompresses to the expected layer. So anyone can save and
// restore a cache, or merge several caches. If a blob is damaged, its layer is compressed again. A
// valid blob can also have been written by another compressor. Files that are not named like blobs
// are neither read nor removed. Several builds can use a cache at the same time.
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

	"chunkah/lib/compress"
	"chunkah/lib/regular"
	"chunkah/lib/temp"
)

// defaultSize is the default limit of a cache, in bytes. It is enough for a few operating-system
// images.
const defaultSize = 10 << 30

// blobName matches the names of blobs. A cache contains files named KEY/DIFFID-DIGEST, where both
// digests are 64 hexadecimal digits of SHA-256. Unfinished files are in the same directories.
var blobName = regexp.MustCompile(`^[0-9a-f]{64}-[0-9a-f]{64}$`)

func isKey(e fs.DirEntry) bool  { return e.IsDir() && compress.IsKey(e.Name()) }
func isBlob(e fs.DirEntry) bool { return e.Type().IsRegular() && blobName.MatchString(e.Name()) }
func isTemp(e fs.DirEntry) bool { return e.Type().IsRegular() && temp.Is(e.Name()) }

// tempAge is how long an unfinished file is kept, because another build could still be writing it.
const tempAge = 24 * time.Hour

// Cache is a directory of blobs.
type Cache struct {
	dir  string
	size int64
}

// Open opens the cache in dir, and creates dir if it does not exist. Trim limits the cache to size
// bytes, where 0 means 10 GiB. Open refuses a directory that contains other files.
func Open(dir string, size int64) (*Cache, error) {
	if size <= 0 {
		size = defaultSize
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
		err = prepareDir(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("opening cache %q: %w", dir, err)
	}
	return &Cache{dir: dir, size: size}, nil
}

// Dir returns the directory, without symlinks.
func (c *Cache) Dir() string { return c.dir }

// Blob is a blob from the cache, open for reading from its start. It stays readable even if it is
// removed in the meantime.
type Blob struct {
	*os.File
	Digest digest.Digest
	Size   int64
}

// Has reports whether the cache contains blobs with that key. If it does not, Get cannot succeed.
func (c *Cache) Has(key string) bool {
	names, err := c.blobs(key)
	return err == nil && len(names) > 0
}

// blobs returns the names of all blobs with a key.
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

// Wanted describes the blob to find.
type Wanted struct {
	Key    string
	DiffID digest.Digest
	// Most is the largest allowed size of the blob, in bytes.
	Most int64
	// Proves reads a blob with the given digest and size to its end, and reports whether it
	// decompresses to DiffID. An error makes Get fail, and does not mean that the blob is damaged.
	Proves func(id digest.Digest, size int64, blob io.Reader) (bool, error)
	// Holds is a further check, which is called after Proves and can read the blob at any offset.
	// It can be nil.
	Holds func(id digest.Digest, size int64, blob io.ReaderAt) (bool, error)
}

// Get returns the wanted blob, or nil if the cache does not contain it. A blob that does not match
// its name is removed.
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

// open opens a blob if it matches its name.
func open(name string, id digest.Digest, want Wanted) (*Blob, error) {
	f, err := regular.OpenOwn(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, regular.ErrNot) {
		return nil, nil // trimmed by another build, or not a blob
	}
	if err != nil {
		return nil, err
	}
	size, ok, err := verifyBlob(f, id, want)
	if ok && err == nil && want.Holds != nil {
		ok, err = want.Holds(id, size, f)
	}
	if !ok || err != nil {
		f.Close()
		if err == nil {
			_ = os.Remove(name) // otherwise a later build removes it
		}
		return nil, err
	}
	// Mark the blob as recently used. An error is ignored, because the cache can be read-only.
	now := unix.NsecToTimespec(time.Now().UnixNano())
	_ = unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{now, now}, unix.AT_SYMLINK_NOFOLLOW)
	return &Blob{File: f, Digest: id, Size: size}, nil
}

// verifyBlob verifies a blob and seeks to its start. An unreadable blob counts as damaged.
func verifyBlob(f *os.File, id digest.Digest, want Wanted) (size int64, ok bool, err error) {
	info, err := f.Stat()
	if err != nil || info.Size() > want.Most {
		return 0, false, nil //nolint:nilerr // an unreadable blob counts as damaged
	}
	sum := sha256.New()
	blob := io.TeeReader(io.LimitReader(f, want.Most+1), sum)
	if ok, err = want.Proves(id, info.Size(), blob); !ok || err != nil {
		return 0, false, err
	}
	if size, err = f.Seek(0, io.SeekCurrent); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	return size, err == nil && size == info.Size() && digest.NewDigest(digest.SHA256, sum) == id, nil
}

// Writer writes a new blob.
type Writer struct {
	c    *Cache
	key  string
	file *os.File
}

// Create starts a blob. The caller must call Commit or Abort.
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

// mkdirOwn creates a directory if it does not exist. It refuses a symlink, because the link could
// lead out of the cache.
func mkdirOwn(dir string) error {
	err := os.Mkdir(dir, 0o755)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%q is not a directory", dir)
	}
	return err
}

// Write appends bytes to the blob.
func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	if err != nil {
		err = fmt.Errorf("writing cache: %w", err)
	}
	return n, err
}

// ReadAt reads bytes that were already written.
func (w *Writer) ReadAt(p []byte, off int64) (int, error) { return w.file.ReadAt(p, off) }

// Commit renames the blob to its final name and returns it, open for reading.
func (w *Writer) Commit(diffID, blob digest.Digest) (*Blob, error) {
	size, err := w.file.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = w.file.Seek(0, io.SeekStart)
	}
	if err == nil {
		// fsync is not needed. The digest shows whether the bytes survived a crash.
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
	_ = os.Remove(w.file.Name()) // otherwise Trim removes it
	w.file = nil
}

// item is a file of the cache.
type item struct {
	name string
	size int64
	used time.Time
}

// items returns the blobs and the unfinished files.
func items(dir string) (blobs, temps []item, err error) {
	keys, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, skipGone(err)
	}
	for _, key := range keys {
		if isTemp(key) { // an unfinished tag
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

// Trim removes the least recently used blobs until the remaining blobs fit within the limit. It
// also removes old unfinished files left by killed builds. It returns the number of bytes removed.
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

// Folders returns the directories of the cache in dir that can contain unfinished files from killed
// builds. Trim removes such files after a day.
func Folders(dir string) []string {
	folders := []string{dir}
	keys, _ := os.ReadDir(dir) // the caller reads dir too and gets the same error
	for _, key := range keys {
		if isKey(key) {
			folders = append(folders, filepath.Join(dir, key.Name()))
		}
	}
	return folders
}

// skipGone ignores files that another build has removed in the meantime.
func skipGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
