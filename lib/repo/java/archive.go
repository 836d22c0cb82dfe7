package java

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"
	"time"
)

// archive reads a zip file's directory as a stream (PKWARE's APPNOTE.TXT, section 4.3). The
// standard library's archive/zip keeps the whole directory in memory: 190 MiB for a directory of
// maxDirectory bytes, and 37 MiB for a directory of 100,000 entries. It also allocates room for as
// many entries as the end record claims: 2 GiB for a sparse file of 16 GiB with 174 bytes of data.
// A limit on the bytes read cannot prevent this allocation.
type archive struct {
	r    io.ReaderAt
	size int64 // bytes
}

const (
	// maxDirectory is the largest size of the central directory, in bytes. The largest archives
	// have about 100,000 entries, which take 15 MB.
	maxDirectory = 32 << 20
	// maxEntry is the largest number of bytes read from an entry, both compressed and decompressed.
	// Manifests with many signed entries are longer, but their main section comes first.
	maxEntry = 64 << 10
	// maxArtifacts is the largest number of artifacts in one archive.
	maxArtifacts = 64
	// maxRead is the largest number of bytes read from an archive.
	maxRead = maxDirectory + (maxArtifacts+2)*maxEntry

	endLen, end64Len, locatorLen, headerLen, localLen = 22, 56, 20, 46, 30

	maxComment = 1<<16 - 1
)

var errZip = errors.New("is not a zip file")

// entry is a member of the archive.
type entry struct {
	name   string
	method uint16
	date   uint16 // of MS-DOS
	packed int64  // in bytes
	offset int64  // offset of the local header
}

// names returns the candidates for the archive's name, and the newest date that plausible accepts.
func (a *archive) names(plausible func(time.Time) bool) *names {
	n := &names{}
	dated := func(date time.Time) {
		if date.After(n.released) && plausible(date) {
			n.released = date
		}
	}
	looked := 0
	for e := range a.entries() {
		dated(entryDate(e.date))
		if !wanted(e.name) || looked == maxArtifacts {
			continue
		}
		looked++
		raw, err := a.read(e)
		if err != nil {
			continue
		}
		if e.name == manifest {
			if n.title == "" {
				n.title, n.version = attribute(raw, titleAttribute), attribute(raw, versionAttribute)
			}
			for _, date := range manifestDates(raw) {
				dated(date)
			}
			continue
		}
		dated(propertiesDate(raw))
		if a := parseArtifact(raw); a.id != "" && !slices.Contains(n.artifacts, a) {
			n.artifacts = append(n.artifacts, a)
		}
	}
	return n
}

const manifest = "META-INF/MANIFEST.MF"

// wanted reports whether a member can contain the archive's name.
func wanted(name string) bool {
	return name == manifest ||
		strings.HasPrefix(name, "META-INF/maven/") && strings.HasSuffix(name, "/pom.properties") && strings.Count(name, "/") == 4
}

// entries yields the members in the order of the directory. It stops at the end of the directory or
// at the first damaged entry.
func (a *archive) entries() iter.Seq[entry] {
	return func(yield func(entry) bool) {
		at, size, base, err := a.directory()
		if err != nil {
			return
		}
		r := bufio.NewReader(io.NewSectionReader(a.r, at, size))
		header, name := make([]byte, headerLen), make([]byte, 1<<16)
		for {
			if _, err := io.ReadFull(r, header); err != nil || string(header[:4]) != "PK\x01\x02" {
				return
			}
			name := name[:le16(header[28:])]
			if _, err := io.ReadFull(r, name); err != nil {
				return
			}
			if _, err := r.Discard(int(le16(header[30:])) + int(le16(header[32:]))); err != nil { // skip the extra field and the comment
				return
			}
			e := entry{string(name), le16(header[10:]), le16(header[14:]), int64(le32(header[20:])), base + int64(le32(header[42:]))}
			if !yield(e) {
				return
			}
		}
	}
}

// directory returns the central directory's offset and size, and base, the number of bytes before
// the archive. A program can precede the archive, and the archive's offsets do not include that
// program.
func (a *archive) directory() (at, size, base int64, err error) {
	tail := make([]byte, min(a.size, endLen+maxComment))
	from := a.size - int64(len(tail))
	if _, err := a.r.ReadAt(tail, from); err != nil {
		return 0, 0, 0, errZip
	}
	end := -1
	for i := len(tail) - endLen; i >= 0; i-- {
		if string(tail[i:i+4]) == "PK\x05\x06" && i+endLen+int(le16(tail[i+20:])) <= len(tail) {
			end = i
			break
		}
	}
	if end < 0 {
		return 0, 0, 0, errZip
	}
	stop := from + int64(end) // end of the directory
	size, offset := int64(le32(tail[end+12:])), int64(le32(tail[end+16:]))
	if size == 1<<32-1 || offset == 1<<32-1 || le16(tail[end+10:]) == 1<<16-1 {
		if wide, wideSize, wideOffset, found := a.directory64(stop); found {
			stop, size, offset = wide, wideSize, wideOffset
		}
	}
	at = stop - size
	if size < 0 || size > maxDirectory || at < 0 || offset < 0 || offset > at {
		return 0, 0, 0, errZip
	}
	return at, size, at - offset, nil
}

// directory64 reads the zip64 record, which precedes the end record at offset end.
func (a *archive) directory64(end int64) (stop, size, offset int64, found bool) {
	raw := make([]byte, end64Len+locatorLen)
	stop = end - int64(len(raw))
	if stop < 0 {
		return 0, 0, 0, false
	}
	if _, err := a.r.ReadAt(raw, stop); err != nil || string(raw[:4]) != "PK\x06\x06" || string(raw[end64Len:end64Len+4]) != "PK\x06\x07" {
		return 0, 0, 0, false
	}
	return stop, int64(binary.LittleEndian.Uint64(raw[40:])), int64(binary.LittleEndian.Uint64(raw[48:])), true
}

// read returns the start of a member.
func (a *archive) read(e entry) ([]byte, error) {
	header := make([]byte, localLen)
	if _, err := a.r.ReadAt(header, e.offset); err != nil || string(header[:4]) != "PK\x03\x04" {
		return nil, errZip
	}
	start := e.offset + localLen + int64(le16(header[26:])) + int64(le16(header[28:]))
	var r io.Reader = io.NewSectionReader(a.r, start, min(e.packed, maxEntry))
	switch e.method {
	case 0:
	case 8:
		r = flate.NewReader(r)
	default:
		return nil, errZip
	}
	var out bytes.Buffer
	_, err := io.Copy(&out, io.LimitReader(r, maxEntry))
	if e.packed > maxEntry && errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil // the start is enough
	}
	return out.Bytes(), err
}

func le16(b []byte) uint16 { return binary.LittleEndian.Uint16(b) }
func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
