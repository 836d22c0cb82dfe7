package pack

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"

	"chunkah/format"
)

// fingerprintSize is the number of bytes of a SHA-256 that stand for a
// component: 64 bits, for telling one component from its own past.
const fingerprintSize = 8

// fingerprint fills in the fingerprints that the stream did not bring: of the
// metadata of each component's files as a tar would hold them. Contents are not
// read; a file that changed has another size or time.
func (t *tree) fingerprint() {
	for _, c := range t.components {
		if c.record.Fingerprint != "" {
			continue
		}
		h := sha256.New()
		for _, i := range c.files {
			hashFile(h, t.files[i])
		}
		c.record.Fingerprint = hex.EncodeToString(h.Sum(nil)[:fingerprintSize])
	}
}

func hashFile(h hash.Hash, f *format.File) {
	var buf []byte
	text := func(s string) {
		buf = binary.AppendUvarint(buf, uint64(len(s)))
		buf = append(buf, s...)
	}
	text(f.Path)
	text(string(f.Type))
	text(f.Target)
	mtime := f.MTime
	if f.Type == format.TypeDir {
		mtime = 0 // a directory's time is its layer's
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
	h.Write(buf)
}

// fingerprints returns those of the named components, in the same order.
func (t *tree) fingerprints(names []string) []string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = t.byName[name].record.Fingerprint
	}
	return list
}
