package pack

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"

	"chunkah/format"
	"chunkah/lib/contentid"
)

// fingerprintSize is the number of SHA-256 bytes in a fingerprint. A fingerprint is only compared
// with the same component's fingerprint in the previous image, so 64 bits are enough: for a
// component that changes daily, two would be equal by chance once in 10^16 years. Even then a layer
// is only larger than necessary; no file is wrong.
const fingerprintSize = 8

// fingerprint sets the fingerprints that are not in the stream. The fingerprints cover everything
// in the component's tar, including the directories above its files. If contents are unknown, a
// changed file is detected by its size or time.
func (t *tree) fingerprint() {
	marks := newMarks(t)
	var p print
	for n, c := range t.components {
		if c.record.Fingerprint != "" {
			continue
		}
		if c.contents != "" {
			c.record.Fingerprint = contentid.Fingerprint(c.clamp, c.contents)
			continue
		}
		p.reset()
		p.number(c.clamp) // the time of directories
		for _, i := range marks.withParents(c.files, n+1) {
			p.file(t.files[i], t.files[i].MTime)
		}
		c.record.Fingerprint = hex.EncodeToString(p.sum())
	}
}

// print computes one fingerprint.
type print struct {
	hash   hash.Hash
	buf    []byte
	firsts map[int64]string
}

func (p *print) reset() {
	if p.hash == nil {
		p.hash = sha256.New()
	}
	p.hash.Reset()
	p.firsts = make(map[int64]string)
}

func (p *print) sum() []byte { return p.hash.Sum(nil)[:fingerprintSize] }

func (p *print) number(n int64) {
	p.buf = binary.AppendVarint(p.buf[:0], n)
	p.hash.Write(p.buf)
}

func (p *print) text(s string) {
	p.buf = append(binary.AppendUvarint(p.buf[:0], uint64(len(s))), s...)
	p.hash.Write(p.buf)
}

// file adds a file with its time in the tar.
func (p *print) file(f *format.File, mtime int64) {
	buf := p.buf[:0]
	text := func(s string) {
		buf = binary.AppendUvarint(buf, uint64(len(s)))
		buf = append(buf, s...)
	}
	text(f.Path)
	text(f.Type.String())
	text(f.Target)
	text(p.link(f))
	if f.Type == format.TypeDir {
		mtime = 0 // a directory gets its layer's time
	}
	for _, n := range []int64{
		int64(f.Mode), int64(f.UID), int64(f.GID), f.Size, mtime, int64(f.DevMajor), int64(f.DevMinor),
		int64(len(f.Xattrs)),
	} {
		buf = binary.AppendVarint(buf, n)
	}
	for _, x := range f.Xattrs {
		text(x.Name)
		text(string(x.Value))
	}
	p.hash.Write(buf)
	p.buf = buf
}

// link returns the path to which a tar would hard-link f.
func (p *print) link(f *format.File) string {
	if f.Hardlink == 0 {
		return ""
	}
	first, known := p.firsts[f.Hardlink]
	if !known {
		p.firsts[f.Hardlink] = f.Path
	}
	return first
}

// short returns a fingerprint for a layer's record. Records are part of every image's config, and
// fingerprints are only compared for equality. So a fingerprint from the stream that is longer than
// pack's own, for example a whole SHA-256, is replaced by its hash.
func short(fingerprint string) string {
	if len(fingerprint) <= 2*fingerprintSize {
		return fingerprint
	}
	sum := sha256.Sum256([]byte(fingerprint))
	return hex.EncodeToString(sum[:fingerprintSize])
}
