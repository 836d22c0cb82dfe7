package chunked

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"chunkah/format"
)

// fullTOC is the size of a full TOC, in bytes. If the TOC exceeds this size with one entry per
// file, the layer is not marked. If the TOC exceeds it while the layer is written, large files are
// no longer cut into chunks. Clients refuse a TOC of more than 150 MiB (maxTOC). The difference
// leaves room for the files that are not cut, and for entries that are added while the layer is
// written.
const fullTOC = 50 << 20

// The years that RFC 3339 can express are 0 to 9999.
const (
	minTime = -62167219200
	maxTime = 253402300799
)

// Obstacle returns the reason why clients that fetch chunks would create different files than
// clients that read the tar, and the first path to which the reason applies. The reason completes
// the phrase "it has …". It is empty if nothing differs. The rules are based on the source code and
// on tests of podman 5.4.2 and go.podman.io/storage.
func Obstacle(files []*format.File) (reason, path string) {
	withXattrs := map[int64]bool{}
	seen := map[int64]bool{}
	var size int64
	for _, f := range files {
		if reason := obstacle(f); reason != "" {
			return reason, f.Path
		}
		if f.Hardlink != 0 {
			withXattrs[f.Hardlink] = withXattrs[f.Hardlink] || len(f.Xattrs) > 0
			if seen[f.Hardlink] && withXattrs[f.Hardlink] {
				return "a hard-linked file with extended attributes", f.Path
			}
			seen[f.Hardlink] = true
		}
		if size += entrySize(f.Path, f.Target, f.Xattrs); size > fullTOC {
			return "too many files for a table of contents", f.Path
		}
	}
	return "", ""
}

// obstacle returns the reason why clients would create a file that differs from its record, or an
// empty string.
func obstacle(f *format.File) string {
	switch f.Type {
	case format.TypeChar, format.TypeBlock:
		return "a device" // clients do not create it
	case format.TypeFifo:
		return "a FIFO" // clients do not create it
	case format.TypeSymlink:
		if f.UID != 0 || f.GID != 0 {
			return "a symlink that root does not own" // clients create it with root as its owner
		}
		if len(f.Xattrs) > 0 {
			return "a symlink with extended attributes" // clients create it without them
		}
	}
	for _, x := range f.Xattrs {
		if !utf8.ValidString(x.Name) {
			return "an extended attribute whose name is not UTF-8"
		}
	}
	switch {
	case !utf8.ValidString(f.Path):
		return "a name that is not UTF-8"
	case !utf8.ValidString(f.Target):
		return "a link whose target is not UTF-8"
	case f.MTime < minTime || f.MTime > maxTime:
		return "a time outside the years 0 to 9999"
	}
	return ""
}

// entryText is the size of a TOC entry without its strings, in bytes: the fields, two digests and
// numbers.
const entryText = 260

// entrySize returns the approximate size of an entry in the TOC, in bytes. Few entries exceed this
// size, and those that do exceed it by less than half.
func entrySize(name, link string, xattrs []format.Xattr) int64 {
	n := entryText + quotedSize(name) + quotedSize(link)
	for _, x := range xattrs {
		n += quotedSize(x.Name) + base64.StdEncoding.EncodedLen(len(x.Value)) + len(`"":"",`)
	}
	return int64(n)
}

// chunkSize returns the same as entrySize for a further chunk.
func chunkSize(name string) int64 { return int64(entryText + quotedSize(name)) }

// quotedSize returns the maximum size of a string in JSON.
func quotedSize(s string) int {
	n := len(s)
	for i := range len(s) {
		if c := s[i]; c < ' ' || strings.IndexByte(`"\<>&`, c) >= 0 {
			n += 5
		}
	}
	return n + 2*strings.Count(s, "\u2028") + 2*strings.Count(s, "\u2029")
}
