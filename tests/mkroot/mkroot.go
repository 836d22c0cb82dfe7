// Package mkroot makes root file systems for tests from a text that can be part of a Go literal or
// of a test script. The txtar format is not used, because it does not support modes, links and
// xattrs.
//
// Each line of the text describes one file. Comments start with '#':
//
//	TYPE PATH [KEY=VALUE]...
//
// TYPE is dir, file, symlink, link (a hard link), fifo, socket, char or block. PATH is absolute in
// the root; parents are created if necessary, with mode 0755. PATH and VALUE can be quoted as in Go
// ("\xff" is one byte). The keys are
//
//	mode=0644    uid=0  gid=0     mtime=1700000000
//	text="…"     the contents of a file
//	size=100     or this many bytes, which depend only on the path
//	sparse=1     makes the file sparse
//	to=TARGET    of a symlink or hard link
//	dev=1:3      of a char or block device
//	xattr:NAME=VALUE
package mkroot

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pkg/xattr"
	"golang.org/x/sys/unix"
)

// Epoch is the default mtime, in unix seconds.
const Epoch = 1700000000

// Make makes a root from text in a new temporary directory of the test and returns its path.
func Make(t testing.TB, text string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "root")
	if err := Write(dir, text); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Write creates the directory dir and makes a root from text in it.
func Write(dir, text string) error {
	nodes, err := parse(text)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, n := range nodes {
		if err := n.create(dir); err != nil {
			return fmt.Errorf("making %q: %w", n.path, err)
		}
	}
	// Set times last, because creating a file changes the time of its directory.
	times := map[string]int64{}
	for _, n := range nodes {
		times[filepath.Join(dir, n.path)] = n.mtime
	}
	err = filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mtime, ok := times[path]
		if !ok {
			mtime = Epoch
		}
		return setTime(path, mtime)
	})
	if err != nil {
		return err
	}
	// The mode of an unreadable directory is set after its files are created.
	for _, n := range slices.Backward(nodes) {
		if n.kind == "dir" && n.hasMode {
			if err := unix.Chmod(filepath.Join(dir, n.path), n.mode); err != nil {
				return err
			}
		}
	}
	return nil
}

func setTime(path string, mtime int64) error {
	ts := []unix.Timespec{{Sec: mtime}, {Sec: mtime}}
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, ts, unix.AT_SYMLINK_NOFOLLOW)
}

// A node is one line of the text.
type node struct {
	kind, path string
	mode       uint32
	hasMode    bool // the text specifies a mode
	uid, gid   int
	owned      bool // the text specifies a uid or gid
	mtime      int64
	text       string
	size       int64
	sparse     bool
	to         string
	dev        uint64
	xattrs     map[string]string
}

// create creates one file, without its mtime and, for a directory, its mode.
func (n *node) create(dir string) error {
	full := filepath.Join(dir, n.path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	if err := n.make(dir, full); err != nil || n.kind == "link" {
		return err
	}
	if n.owned {
		if err := os.Lchown(full, n.uid, n.gid); err != nil {
			return err
		}
	}
	if n.hasMode && n.kind != "symlink" && n.kind != "dir" {
		if err := unix.Chmod(full, n.mode); err != nil {
			return err
		}
	}
	for name, value := range n.xattrs {
		if err := xattr.LSet(full, name, []byte(value)); err != nil {
			return err
		}
	}
	return nil
}

// make makes the system call for n.kind.
func (n *node) make(dir, full string) error {
	switch n.kind {
	case "dir":
		return os.MkdirAll(full, 0o755)
	case "file":
		return n.write(full)
	case "symlink":
		return os.Symlink(n.to, full)
	case "link":
		return os.Link(filepath.Join(dir, n.to), full)
	case "fifo":
		return unix.Mkfifo(full, 0o644)
	case "socket":
		return unix.Mknod(full, unix.S_IFSOCK|0o644, 0)
	case "char":
		return unix.Mknod(full, unix.S_IFCHR|0o644, int(n.dev))
	case "block":
		return unix.Mknod(full, unix.S_IFBLK|0o644, int(n.dev))
	}
	return fmt.Errorf("unknown type %q", n.kind)
}

// write writes a regular file.
func (n *node) write(full string) (err error) {
	f, err := os.OpenFile(full, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if n.sparse {
		return f.Truncate(n.size)
	}
	if n.size == 0 {
		_, err = f.WriteString(n.text)
		return err
	}
	_, err = io.CopyN(f, Bytes(n.path), n.size)
	return err
}

// Bytes returns an infinite stream of bytes that depend only on seed.
func Bytes(seed string) io.Reader {
	var key [32]byte
	copy(key[:], seed)
	for i := range len(seed) {
		key[i%len(key)] ^= seed[i] + byte(i)
	}
	return bufio.NewReader(rand.NewChaCha8(key))
}

// parse parses the text.
func parse(text string) ([]*node, error) {
	var nodes []*node
	for i, line := range strings.Split(text, "\n") {
		words, err := split(line)
		if err == nil && len(words) == 1 {
			err = errors.New("no path")
		}
		if err == nil && len(words) > 0 {
			var n *node
			n, err = parseNode(words)
			nodes = append(nodes, n)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return nodes, nil
}

// split returns the unquoted words of a line. KEY=VALUE is one word.
func split(line string) ([]string, error) {
	var words []string
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" || line[0] == '#' {
			return words, nil
		}
		end := strings.IndexAny(line, " \t\"")
		if end < 0 {
			return append(words, line), nil
		}
		if line[end] != '"' {
			words, line = append(words, line[:end]), line[end:]
			continue
		}
		quoted, err := strconv.QuotedPrefix(line[end:])
		if err != nil {
			return nil, err
		}
		value, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, err
		}
		words, line = append(words, line[:end]+value), line[end+len(quoted):]
	}
}

// parseNode parses the words of one line.
func parseNode(words []string) (*node, error) {
	n := &node{kind: words[0], path: words[1], mtime: Epoch, xattrs: map[string]string{}}
	for _, word := range words[2:] {
		key, value, ok := strings.Cut(word, "=")
		if !ok {
			return nil, fmt.Errorf("%q is not KEY=VALUE", word)
		}
		if err := n.set(key, value); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// set parses one KEY=VALUE.
func (n *node) set(key, value string) (err error) {
	if name, ok := strings.CutPrefix(key, "xattr:"); ok {
		n.xattrs[name] = value
		return nil
	}
	switch key {
	case "mode":
		var mode uint64
		n.hasMode = true
		mode, err = strconv.ParseUint(value, 8, 12)
		n.mode = uint32(mode)
	case "uid":
		n.owned = true
		n.uid, err = strconv.Atoi(value)
	case "gid":
		n.owned = true
		n.gid, err = strconv.Atoi(value)
	case "mtime":
		n.mtime, err = strconv.ParseInt(value, 10, 64)
	case "size":
		n.size, err = strconv.ParseInt(value, 10, 64)
	case "sparse":
		n.sparse = true
	case "text":
		n.text = value
	case "to":
		n.to = value
	case "dev":
		var major, minor uint32
		_, err = fmt.Sscanf(value, "%d:%d", &major, &minor)
		n.dev = unix.Mkdev(major, minor)
	default:
		err = fmt.Errorf("unknown key %q", key)
	}
	return err
}
