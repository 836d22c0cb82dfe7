package image

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

// entryKind is the effect of an entry in a layer.
type entryKind int

const (
	kindNode     entryKind = iota // a file of any type
	kindLink                      // a hard link
	kindWhiteout                  // hides the file or directory at path in lower layers
	kindOpaque                    // hides everything below path in lower layers
	kindAUFS                      // AUFS metadata, which hard links can refer to
)

// entry is an entry in a layer's tar.
type entry struct {
	kind entryKind
	path string // clean; "" for the root
	link string // target of a hard link, clean
	node *node  // nil for whiteouts; for a hard link, the metadata of its entry
}

// types are the file types that a layer can contain.
var types = map[byte]uint32{
	tar.TypeReg: unix.S_IFREG, tar.TypeGNUSparse: unix.S_IFREG, tar.TypeDir: unix.S_IFDIR, tar.TypeSymlink: unix.S_IFLNK,
	tar.TypeChar: unix.S_IFCHR, tar.TypeBlock: unix.S_IFBLK, tar.TypeFifo: unix.S_IFIFO, tar.TypeLink: 0,
}

// parseHeader makes an entry without contents from a header.
func parseHeader(h *tar.Header) (entry, error) {
	clean, err := cleanName(h.Name)
	if err != nil {
		return entry{}, err
	}
	e := entry{}
	e.kind, e.path, err = readWhiteout(clean)
	kind, known := types[h.Typeflag]
	if err != nil || e.kind != kindNode && (e.kind != kindAUFS || kind != unix.S_IFREG) {
		return e, err // whiteouts can have any type, as in runtimes
	}
	if !known {
		return e, fmt.Errorf("has the type %q, which a layer cannot contain", h.Typeflag)
	}
	if e.path == "" && kind != unix.S_IFDIR {
		return e, errors.New("is the root, but not a directory")
	}
	// A hard link's entry contains metadata too.
	if e.node, err = parseMetadata(h); err != nil {
		return e, err
	}
	e.node.mode |= kind
	switch h.Typeflag {
	case tar.TypeDir:
		e.node.extra().dir = &dir{byName: make(map[string]*node)}
	case tar.TypeLink:
		e.kind = kindLink
		if e.link, err = cleanName(h.Linkname); err != nil {
			return e, fmt.Errorf("is a hard link to %q, which %w", h.Linkname, err)
		}
	case tar.TypeSymlink:
		err = e.node.setTarget(h.Linkname)
	case tar.TypeChar, tar.TypeBlock:
		err = e.node.setDevice(h.Devmajor, h.Devminor)
	}
	return e, err
}

// extra returns the node's field more, and creates its value if necessary.
func (n *node) extra() *more {
	if n.more == nil {
		n.more = &more{}
	}
	return n.more
}

func parseMetadata(h *tar.Header) (*node, error) {
	// The largest ID means "no ID" in system calls.
	for _, id := range []int{h.Uid, h.Gid} {
		if id < 0 || int64(id) >= math.MaxUint32 {
			return nil, fmt.Errorf("has the owner %d:%d, which is out of range: expected 0 to %d", h.Uid, h.Gid, uint32(math.MaxUint32-1))
		}
	}
	n := &node{mode: uint32(h.Mode & 0o7777), uid: uint32(h.Uid), gid: uint32(h.Gid)}
	if !h.ModTime.IsZero() {
		n.mtime, n.nsec = h.ModTime.Unix(), int32(h.ModTime.Nanosecond())
	}
	if n.mtime > format.MaxInt || n.mtime < -format.MaxInt {
		return nil, fmt.Errorf("has the invalid mtime %d", n.mtime)
	}
	return n, n.setXattrs(h.PAXRecords)
}

// setXattrs sets the extended attributes from the records. It leaves out attributes without a
// value, because Go's archive/tar, and therefore every client that uses it, ignores records without
// a value.
func (n *node) setXattrs(records map[string]string) error {
	for key, value := range records {
		name, ok := strings.CutPrefix(key, format.XattrKey)
		if !ok || value == "" {
			continue
		}
		if name == "" || len(name) > format.MaxXattrName {
			return fmt.Errorf("has an xattr with a name of %d bytes: expected 1 to %d", len(name), format.MaxXattrName)
		}
		if len(value) > format.MaxXattrValue {
			return fmt.Errorf("has an xattr %q of %d bytes, above the limit of %d", name, len(value), format.MaxXattrValue)
		}
		list := &n.extra().xattrs
		if len(*list) == format.MaxXattrs {
			return fmt.Errorf("has more than %d xattrs", format.MaxXattrs)
		}
		// Clone the name, because a substring would keep the whole record in memory.
		*list = append(*list, rootfs.Xattr{Name: strings.Clone(name), Value: []byte(value)})
	}
	if n.more != nil {
		sortXattrs(n.more.xattrs)
	}
	return nil
}

func sortXattrs(list []rootfs.Xattr) {
	slices.SortFunc(list, func(a, b rootfs.Xattr) int { return strings.Compare(a.Name, b.Name) })
}

func (n *node) setTarget(target string) error {
	switch {
	case target == "":
		return errors.New("is a symlink with an empty target")
	case len(target) > format.MaxTarget:
		return fmt.Errorf("is a symlink with a target of %d bytes, above the limit of %d", len(target), format.MaxTarget)
	case strings.IndexByte(target, 0) >= 0:
		return errors.New("is a symlink whose target contains a NUL")
	}
	n.extra().target = strings.Clone(target)
	n.size = int64(len(target))
	return nil
}

// maxMinor is the largest major or minor number of a device (format/SPEC.md, section 4).
const maxMinor = 1<<21 - 1

func (n *node) setDevice(major, minor int64) error {
	if major < 0 || major > maxMinor || minor < 0 || minor > maxMinor {
		return fmt.Errorf("is a device whose numbers %d:%d are out of range: expected 0 to %d", major, minor, maxMinor)
	}
	m := n.extra()
	m.major, m.minor = uint32(major), uint32(minor)
	return nil
}

// isSparse reports whether the file has holes that its tar entry does not contain.
func isSparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// counter counts the bytes that are read. It is not an io.Seeker, so that no byte is skipped.
type counter struct {
	in   io.Reader
	read int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.read += int64(n)
	return n, err
}
