// Package proofs records which blobs have been verified to decompress to which layers, and what
// entries each layer has, so that each blob is verified only once. The record belongs to the user.
// It is stored outside of caches and images, because those can be from untrusted sources.
package proofs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"chunkah/lib/regular"
	"chunkah/lib/temp"
)

// maxSize is the maximum size of the record in bytes, enough for 15,000 lines. When the record is
// full, the older half is dropped.
const maxSize = 2 << 20

// A record contains lines of two forms. DIFFID-DIGEST-SIZE means that the blob with this digest and
// size decompresses to the layer. DIFFID-ENTRIES-entries means that the layer has the entries with
// this digest (format/SPEC.md, section 13). All digests are SHA-256, as 64 hexadecimal digits.
var line = regexp.MustCompile(`(?m)^[0-9a-f]{64}-[0-9a-f]{64}-([0-9]+|entries)$`)

// Proofs is a record. A nil record has no proofs and stores none.
type Proofs struct {
	path string

	mu    sync.Mutex
	known map[string]bool
	// entries are the digests of layers' entries, by diffID.
	entries map[digest.Digest]digest.Digest
	added   []string
}

// Path returns the path of this user's record, in the state directory (XDG Base Directory
// Specification). It is empty if there is no home directory.
func Path() string {
	state, home := os.Getenv("XDG_STATE_HOME"), os.Getenv("HOME")
	switch {
	case filepath.IsAbs(state):
		return filepath.Join(state, name)
	case filepath.IsAbs(home) && isDir(home):
		return filepath.Join(home, ".local/state", name)
	}
	return ""
}

const name = "chunkah/proven"

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// Open reads the record at path. A record that is missing, unreadable or possibly written by
// another user is treated as empty.
func Open(path string) *Proofs {
	p := &Proofs{path: path, known: make(map[string]bool), entries: make(map[digest.Digest]digest.Digest)}
	for _, l := range line.FindAll(read(path), -1) {
		p.known[string(l)] = true
		if parts := strings.Split(string(l), "-"); parts[2] == "entries" {
			p.entries[digest.NewDigestFromEncoded(digest.SHA256, parts[0])] = digest.NewDigestFromEncoded(digest.SHA256, parts[1])
		}
	}
	return p
}

// read returns the record if only this user can have written it.
func read(path string) []byte {
	f, err := regular.OpenOwn(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	if sys, ok := info.Sys().(*syscall.Stat_t); !ok || int(sys.Uid) != os.Geteuid() || info.Mode()&0o022 != 0 {
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil
	}
	return data
}

func lineOf(diffID, blob digest.Digest, size int64) string {
	return fmt.Sprintf("%s-%s-%d", diffID.Encoded(), blob.Encoded(), size)
}

func entriesLine(diffID, entries digest.Digest) string {
	return fmt.Sprintf("%s-%s-entries", diffID.Encoded(), entries.Encoded())
}

// Has reports whether a blob of this size has been verified to decompress to the layer.
func (p *Proofs) Has(diffID, blob digest.Digest, size int64) bool {
	return p.has(lineOf(diffID, blob, size))
}

// Add records that the blob decompresses to the layer. For verified zstd:chunked tables, pass a
// digest of their positions instead of the layer's diffID.
func (p *Proofs) Add(diffID, blob digest.Digest, size int64) { p.add(lineOf(diffID, blob, size)) }

// HasEntries reports whether the layer has been verified to have the entries with this digest.
func (p *Proofs) HasEntries(diffID, entries digest.Digest) bool {
	return p.has(entriesLine(diffID, entries))
}

// EntriesOf returns the digest of the entries that the layer has been verified to have. It is empty
// if that is unknown.
func (p *Proofs) EntriesOf(diffID digest.Digest) digest.Digest {
	if p == nil {
		return ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.entries[diffID]
}

// AddEntries records that the layer has the entries with this digest.
func (p *Proofs) AddEntries(diffID, entries digest.Digest) {
	p.add(entriesLine(diffID, entries))
	if p != nil {
		p.mu.Lock()
		p.entries[diffID] = entries
		p.mu.Unlock()
	}
}

func (p *Proofs) has(line string) bool {
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known[line]
}

func (p *Proofs) add(line string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.known[line] {
		p.known[line] = true
		p.added = append(p.added, line)
	}
}

// Save writes the new proofs.
func (p *Proofs) Save() error {
	if p == nil || p.path == "" {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.added) == 0 {
		return nil
	}
	var lines bytes.Buffer
	for _, l := range p.added {
		lines.WriteString(l + "\n")
	}
	p.added = nil // a second Save writes only newer proofs
	if err := os.MkdirAll(filepath.Dir(p.path), 0o700); err != nil {
		return err
	}
	old := read(p.path)
	if len(old) == 0 || len(old)+lines.Len() > maxSize {
		if err := removeOther(p.path); err != nil {
			return err
		}
		return temp.Replace(p.path, append(old[len(old)/2:], lines.Bytes()...)) // a truncated line is ignored
	}
	f, err := os.OpenFile(p.path, os.O_WRONLY|os.O_APPEND|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(lines.Bytes())
	return errors.Join(err, f.Close())
}

// removeOther removes anything that is not a regular file. In another user's home directory it
// could be a symlink to one of this user's devices.
func removeOther(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil && !info.Mode().IsRegular():
		err = os.Remove(path)
	}
	return err
}
