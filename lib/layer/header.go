package layer

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"chunkah/format"
)

// Everything in this file determines the bytes of layers. A change here changes every digest.

const blockSize = 512

// The maximum values in the octal fields of a ustar header (POSIX.1-2017, pax, "ustar Interchange
// Format").
const (
	maxOctal7  = 1<<21 - 1 // uid, gid: seven digits
	maxOctal11 = 1<<33 - 1 // size, mtime: eleven digits
	maxName    = 100
	maxPrefix  = 155
)

// maxRecords is the largest size of one entry's records, in bytes. Go's archive/tar, which most
// clients use, reads 1 MiB. The rest is reserved for short records.
const maxRecords = 1<<20 - 4096

// recordExtra is the maximum size of a record without key and value, in bytes.
const recordExtra = len("1048576 =\n")

// The type flags.
const (
	flagFile    = '0'
	flagLink    = '1'
	flagSymlink = '2'
	flagChar    = '3'
	flagBlock   = '4'
	flagDir     = '5'
	flagFifo    = '6'
	flagPAX     = 'x'
)

// entry contains the data for one tar header.
type entry struct {
	name   string
	link   string
	flag   byte
	file   *format.File
	size   int64
	xattrs []format.Xattr
}

// newEntry makes the entry for a record. If linked is not empty, the entry is a hard link to that
// path.
func newEntry(f *format.File, linked string) entry {
	e := entry{name: f.Path[1:], file: f, xattrs: f.Xattrs}
	switch f.Type {
	case format.TypeDir:
		e.flag = flagDir
		if e.name += "/"; e.name == "/" {
			e.name = "./"
		}
	case format.TypeSymlink:
		e.flag, e.link = flagSymlink, f.Target
	case format.TypeFifo:
		e.flag = flagFifo
	case format.TypeChar:
		e.flag = flagChar
	case format.TypeBlock:
		e.flag = flagBlock
	case format.TypeWhiteout:
		e.flag, e.name = flagFile, whiteoutName(f.Path)
	default:
		e.flag, e.size = flagFile, f.Size
	}
	if linked != "" {
		e.flag, e.size, e.link, e.xattrs = flagLink, 0, linked[1:], nil
	}
	return e
}

// whiteoutName returns the name of the entry that deletes path.
func whiteoutName(path string) string {
	cut := strings.LastIndexByte(path, '/') + 1
	return path[1:cut] + format.WhiteoutPrefix + path[cut:]
}

// encoder makes header blocks. It reuses its buffers for each entry.
type encoder struct{ blocks, records []byte }

// header returns the entry's header blocks, which are valid until the next call.
func (c *encoder) header(e *entry) []byte {
	prefix, name, fits := splitName(e.name)
	c.records = appendRecords(c.records[:0], e, fits)
	c.blocks = c.blocks[:0]
	if len(c.records) > 0 {
		c.blocks = appendPAX(c.blocks, e, c.records)
	}
	if !fits {
		prefix, name = "", nameField(e.name, e.flag)
	}
	f := e.file
	b := c.block()
	copy(b[0:100], name)
	octal(b[100:108], int64(f.Mode))
	octal(b[108:116], fit(int64(f.UID), maxOctal7))
	octal(b[116:124], fit(int64(f.GID), maxOctal7))
	octal(b[124:136], fit(e.size, maxOctal11))
	octal(b[136:148], fit(f.MTime, maxOctal11))
	b[156] = e.flag
	if len(e.link) <= maxName {
		copy(b[157:257], e.link)
	} else {
		copy(b[157:257], ascii(e.link, maxName))
	}
	copy(b[257:265], "ustar\x0000")
	octal(b[329:337], int64(f.DevMajor))
	octal(b[337:345], int64(f.DevMinor))
	copy(b[345:500], prefix)
	checksum(b)
	return c.blocks
}

// block appends an empty block and returns it.
func (c *encoder) block() []byte {
	c.blocks = append(c.blocks, zeros[:blockSize]...)
	return c.blocks[len(c.blocks)-blockSize:]
}

// nameField returns the name field of an entry whose full name is in a record. It removes trailing
// slashes unless the entry is a directory, because some readers treat a name with a trailing slash
// as a directory, regardless of the record.
func nameField(name string, flag byte) string {
	name = ascii(name, maxName)
	if flag == flagDir {
		return name
	}
	return strings.TrimRight(name, "/")
}

// appendPAX appends an extended header (POSIX.1-2017, "pax Extended Header").
func appendPAX(buf []byte, e *entry, records []byte) []byte {
	buf = append(buf, zeros[:blockSize]...)
	b := buf[len(buf)-blockSize:]
	base := strings.TrimSuffix(e.name, "/")
	base = base[strings.LastIndexByte(base, '/')+1:]
	copy(b[0:100], nameField("PaxHeaders.0/"+base, flagPAX))
	octal(b[100:108], 0o644)
	octal(b[108:116], 0)
	octal(b[116:124], 0)
	octal(b[124:136], int64(len(records)))
	octal(b[136:148], 0)
	b[156] = flagPAX
	copy(b[257:265], "ustar\x0000")
	octal(b[329:337], 0)
	octal(b[337:345], 0)
	checksum(b)
	buf = append(buf, records...)
	return append(buf, zeros[:padding(int64(len(records)))]...)
}

// appendRecords appends records for everything that a ustar header cannot store, sorted by key.
func appendRecords(buf []byte, e *entry, nameFits bool) []byte {
	f := e.file
	for _, x := range e.xattrs {
		buf = appendRecord(buf, format.XattrKey+x.Name, x.Value)
	}
	if f.GID > maxOctal7 {
		buf = appendRecord(buf, "gid", strconv.FormatUint(uint64(f.GID), 10))
	}
	longLink := len(e.link) > maxName
	// Records are UTF-8 unless a hdrcharset record specifies another charset. libarchive converts
	// them to the locale's charset. In the C locale, in which ostree reads layers, that fails.
	if !nameFits && !isASCII(e.name) || longLink && !isASCII(e.link) {
		buf = appendRecord(buf, "hdrcharset", "BINARY")
	}
	if longLink {
		buf = appendRecord(buf, "linkpath", e.link)
	}
	if f.MTime < 0 || f.MTime > maxOctal11 {
		buf = appendRecord(buf, "mtime", strconv.FormatInt(f.MTime, 10))
	}
	if !nameFits {
		buf = appendRecord(buf, "path", e.name)
	}
	if e.size > maxOctal11 {
		buf = appendRecord(buf, "size", strconv.FormatInt(e.size, 10))
	}
	if f.UID > maxOctal7 {
		buf = appendRecord(buf, "uid", strconv.FormatUint(uint64(f.UID), 10))
	}
	return buf
}

// appendRecord appends "LENGTH KEY=VALUE\n". The length includes its own digits.
func appendRecord[V string | []byte](buf []byte, key string, value V) []byte {
	n := len(key) + len(value) + 3
	total := n + len(strconv.Itoa(n))
	total = n + len(strconv.Itoa(total))
	buf = strconv.AppendInt(buf, int64(total), 10)
	buf = append(buf, ' ')
	buf = append(buf, key...)
	buf = append(buf, '=')
	buf = append(buf, value...)
	return append(buf, '\n')
}

// splitName splits a name into the prefix and name fields, if it fits. Unlike records, these fields
// can contain bytes in any charset, and every reader uses them unchanged.
func splitName(s string) (prefix, name string, fits bool) {
	if len(s) <= maxName {
		return "", s, true
	}
	at := min(len(s)-1, maxPrefix+1) // a directory's trailing slash is kept with its name
	cut := strings.LastIndexByte(s[:at], '/')
	if cut <= 0 || len(s)-cut-1 > maxName {
		return "", "", false
	}
	return s[:cut], s[cut+1:], true
}

func isASCII(s string) bool {
	for ; len(s) >= 8; s = s[8:] { // eight bytes per branch, since this runs for every name
		if s[0]|s[1]|s[2]|s[3]|s[4]|s[5]|s[6]|s[7] >= 0x80 {
			return false
		}
	}
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// ascii returns the part of a string that fits into a ustar field. A record contains the whole
// string.
func ascii(s string, most int) string {
	if isASCII(s) {
		return s[:min(len(s), most)]
	}
	b := make([]byte, 0, most)
	for i := 0; i < len(s) && len(b) < most; i++ {
		if s[i] < 0x80 {
			b = append(b, s[i])
		}
	}
	return string(b)
}

// fit returns n if the field can store it. Otherwise it returns 0, because a record contains n.
func fit(n, most int64) int64 {
	if n < 0 || n > most {
		return 0
	}
	return n
}

// octal fills a field with octal digits and a NUL.
func octal(b []byte, n int64) {
	for i := len(b) - 2; i >= 0; i-- {
		b[i] = byte('0' + n&7)
		n >>= 3
	}
	b[len(b)-1] = 0
}

// checksum fills in the sum of the header's bytes, counting the checksum field as spaces.
func checksum(b []byte) {
	copy(b[148:156], "        ")
	// This sums two bytes at a time in each of four lanes. No lane can exceed its 16 bits.
	const lane = 0x00ff00ff00ff00ff
	var sums uint64
	for i := 0; i < blockSize; i += 8 {
		v := binary.LittleEndian.Uint64(b[i:])
		sums += v&lane + v>>8&lane
	}
	octal(b[148:155], int64(sums&0xffff+sums>>16&0xffff+sums>>32&0xffff+sums>>48))
}

func padding(n int64) int64 { return -n & (blockSize - 1) }

// EntrySize returns the size of a record in a tar, in bytes, including headers, contents and
// padding. An unknown size counts as zero.
func EntrySize(f *format.File) int64 {
	e := newEntry(f, "")
	return headerSize(&e) + contentSize(&e)
}

// LinkSize returns the size of a record in a tar, in bytes, if the record is written as a hard link
// to first.
func LinkSize(f *format.File, first string) int64 {
	e := newEntry(f, first)
	return headerSize(&e)
}

func contentSize(e *entry) int64 {
	n := max(e.size, 0)
	return n + padding(n)
}

func headerSize(e *entry) int64 {
	_, _, fits := splitName(e.name)
	n := int64(len(appendRecords(nil, e, fits)))
	if n == 0 {
		return blockSize
	}
	return 2*blockSize + n + padding(n)
}

// Check refuses a record that a layer cannot store, or that clients would misinterpret.
func Check(f *format.File) error {
	if i := strings.LastIndexByte(f.Path, '/'); strings.HasPrefix(f.Path[i+1:], format.WhiteoutPrefix) {
		return fmt.Errorf("%q: a name that begins with .wh. deletes files in an image: rename it, or leave it out with --prune", f.Path)
	}
	size := len(f.Path) + len(f.Target)
	for _, x := range f.Xattrs {
		if strings.IndexByte(x.Name, '=') >= 0 {
			return fmt.Errorf("%q: a tar cannot store the xattr name %q, because it contains =", f.Path, x.Name)
		}
		size += len(format.XattrKey) + len(x.Name) + len(x.Value) + recordExtra
	}
	if size > maxRecords {
		return fmt.Errorf("%q: %d bytes of names and xattrs exceed what clients read per file (%d)", f.Path, size, maxRecords)
	}
	return nil
}
