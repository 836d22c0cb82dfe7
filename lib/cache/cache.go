// Package cache keeps compressed layers from one build to the next: a folder of
// blobs, each found by the digest of what it was compressed from and by the
// settings that did it.
//
// A blob is what it is called: its own digest is part of its name, and is checked
// each time before the blob is handed out. So the folder may be saved and
// restored by anyone, copied together from several, or damaged; what is wrong in
// it costs a compression and nothing else. Several builds may use it at once.
package cache

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"chunkah/lib/temp"
)

// DefaultSize is the number of bytes that a cache may take where none is asked
// for: a few images of an operating system.
const DefaultSize = 10 << 30

// A cache is DIR/KEY/DIFFID-DIGEST, both digests as 64 hexadecimal digits of
// SHA-256, and unfinished files beside them.

// tempAge is how long an unfinished file is left alone: another build may be at it.
const tempAge = 24 * time.Hour

// Cache is a folder of blobs.
type Cache struct {
	dir  string
	size int64
}

// Open opens the cache in dir, which is created where it is not there. Trim
// keeps it within size bytes; 0 is DefaultSize.
func Open(dir string, size int64) (*Cache, error) {
	if size <= 0 {
		size = DefaultSize
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("opening cache: %w", err)
	}
	return &Cache{dir: dir, size: size}, nil
}

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
	entries, err := os.ReadDir(filepath.Join(c.dir, key))
	return err == nil && len(entries) > 0
}

// Get returns the blob that diffID compresses to, nil where there is none. One
// that is not what its name says is removed.
func (c *Cache) Get(key string, diffID digest.Digest) (*Blob, error) {
	entries, err := os.ReadDir(filepath.Join(c.dir, key))
	if err != nil {
		return nil, skipGone(err)
	}
	for _, e := range entries {
		encoded, found := strings.CutPrefix(e.Name(), diffID.Encoded()+"-")
		want := digest.NewDigestFromEncoded(digest.SHA256, encoded)
		if !found || want.Validate() != nil {
			continue
		}
		b, err := open(filepath.Join(c.dir, key, e.Name()), want)
		if b != nil || err != nil {
			return b, err
		}
	}
	return nil, nil
}

// open opens a blob if it has the digest that its name says.
func open(name string, want digest.Digest) (*Blob, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // another build has trimmed it
	}
	if err != nil {
		return nil, fmt.Errorf("reading cache: %w", err)
	}
	size, ok := whole(f, want)
	if !ok {
		f.Close()
		_ = os.Remove(name) // else a later build does
		return nil, nil
	}
	now := time.Now()
	_ = os.Chtimes(name, now, now) // used last: best effort, the cache may be read-only
	return &Blob{File: f, Digest: want, Size: size}, nil
}

// whole reads a blob and goes back to its start. What cannot be read is as good as
// what has changed.
func whole(f *os.File, want digest.Digest) (size int64, ok bool) {
	sum := sha256.New()
	size, err := io.Copy(sum, f)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	return size, err == nil && digest.NewDigest(digest.SHA256, sum) == want
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
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("writing cache: %w", err)
	}
	f, err := temp.Create(dir, 0o600)
	if err != nil {
		return nil, fmt.Errorf("writing cache: %w", err)
	}
	return &Writer{c: c, key: key, file: f}, nil
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

// Trim removes the blobs that were not used for longest until the rest fits, and
// what builds that were killed have left. It returns the bytes removed.
func (c *Cache) Trim() (int64, error) {
	type item struct {
		name string
		size int64
		used time.Time
	}
	var items []item
	var total, removed int64
	err := filepath.WalkDir(c.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return skipGone(err)
		}
		info, err := d.Info()
		if err != nil {
			return skipGone(err)
		}
		if temp.Is(d.Name()) {
			if time.Since(info.ModTime()) > tempAge {
				if err := os.Remove(name); err != nil {
					return skipGone(err)
				}
				removed += info.Size()
			}
			return nil
		}
		items = append(items, item{name, info.Size(), info.ModTime()})
		total += info.Size()
		return nil
	})
	if err != nil {
		return removed, fmt.Errorf("trimming cache: %w", err)
	}
	sort.Slice(items, func(a, b int) bool { return items[a].used.Before(items[b].used) })
	for _, it := range items {
		if total <= c.size {
			break
		}
		if err := os.Remove(it.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return removed, fmt.Errorf("trimming cache: %w", err)
		}
		total -= it.size
		removed += it.size
	}
	return removed, nil
}

// Left returns the paths of what killed builds have left in the cache in dir. Trim
// removes it when a day has passed.
func Left(dir string) ([]string, error) {
	keys, err := os.ReadDir(dir)
	if err != nil {
		return nil, skipGone(err)
	}
	var left []string
	for _, key := range keys {
		paths, err := temp.Left(filepath.Join(dir, key.Name()))
		if err != nil {
			return left, err
		}
		left = append(left, paths...)
	}
	return left, nil
}

// skipGone lets other builds remove what this one is looking at.
func skipGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
