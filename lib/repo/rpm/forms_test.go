package rpm

import (
	"encoding/binary"
	"hash/adler32"
	"slices"
	"strings"
	"testing"
)

var little = binary.LittleEndian

// bdbOf makes a Packages file with one page. The page contains rpm's counter, followed by small
// packages.
func bdbOf(pkgs ...testPackage) []byte {
	const size = 4096
	raw := make([]byte, 2*size)
	meta, page := raw[:size], raw[size:]
	little.PutUint32(meta[12:], 0x061561)
	little.PutUint32(meta[20:], size)
	meta[25] = 8
	little.PutUint32(meta[32:], 1)
	little.PutUint32(meta[bdbKeys:], uint32(len(pkgs)+1))
	little.PutUint32(page[8:], 1)
	little.PutUint16(page[20:], uint16(2*len(pkgs)+2))
	page[25] = 13
	end, index := size, 26
	put := func(item []byte) {
		end -= len(item) + 1
		page[end] = 1
		copy(page[end+1:], item)
		little.PutUint16(page[index:], uint16(end))
		index += 2
	}
	put([]byte{0, 0, 0, 0})
	put([]byte{9, 0, 0, 0})
	for i, p := range pkgs {
		put([]byte{byte(i + 1), 0, 0, 0})
		put(p.header())
	}
	return raw
}

// ndbOf makes a Packages.db with one page of slots, followed by the blobs.
func ndbOf(pkgs ...testPackage) []byte {
	raw := make([]byte, ndbPage)
	copy(raw, ndbMagic)
	little.PutUint32(raw[12:], 1)
	little.PutUint32(raw[16:], uint32(len(pkgs)+1))
	for at := 2 * ndbSlot; at < ndbPage; at += ndbSlot {
		copy(raw[at:], ndbSlotMark)
	}
	for i, p := range pkgs {
		at := (i + 2) * ndbSlot
		blob := p.header()
		blocks := (len(blob) + ndbSlot + ndbTail + ndbSlot - 1) / ndbSlot
		little.PutUint32(raw[at+4:], uint32(i+1))
		little.PutUint32(raw[at+8:], uint32(len(raw)/ndbSlot))
		little.PutUint32(raw[at+12:], uint32(blocks))
		all := make([]byte, blocks*ndbSlot)
		copy(all, ndbHeadMark)
		little.PutUint32(all[4:], uint32(i+1))
		little.PutUint32(all[12:], uint32(len(blob)))
		copy(all[ndbSlot:], blob)
		tail := all[len(all)-ndbTail:]
		little.PutUint32(tail[4:], uint32(len(blob)))
		copy(tail[8:], ndbTailMark)
		little.PutUint32(tail, adler32.Checksum(all[:len(all)-ndbTail]))
		raw = append(raw, all...)
	}
	return raw
}

// count reads a database and counts its packages.
func count(t testing.TB, name string, raw []byte) (n int, err error) {
	t.Helper()
	err = visitAll(t, formOf(name).read, raw, nil, func(int64, []byte) error { n++; return nil })
	return n, err
}

// TestSmallPackages reads packages that are small enough for a Berkeley DB to store beside their
// keys.
func TestSmallPackages(t *testing.T) {
	a, b := testPackage{name: "a"}, testPackage{name: "b", files: []testFile{{path: "/x"}}}
	for file, raw := range map[string][]byte{"Packages": bdbOf(a, b), "Packages.db": ndbOf(a, b)} {
		r := newTree(t).file("/var/lib/rpm/"+file, string(raw)).mustLoad()
		if p := r.Packages; len(p) != 2 || p[0].Component.Name != "rpm/a" || p[1].Component.Name != "rpm/b" {
			t.Errorf("%s: got %d packages, %v", file, len(p), p)
		}
	}
}

func TestDamagedForms(t *testing.T) {
	pkgs := []testPackage{{name: "a"}, {name: "b"}}
	small := readFile(t, testdata(t, "libuuid/Packages"))
	set := func(raw []byte, at int, v uint32) []byte {
		raw = slices.Clone(raw)
		little.PutUint32(raw[at:], v)
		return raw
	}
	slotAt, blobAt := 2*ndbSlot, ndbPage
	swapped := ndbOf(pkgs...)
	copy(swapped[slotAt+20:slotAt+32], swapped[slotAt+4:slotAt+16])
	for name, c := range map[string]struct {
		file string
		raw  []byte
		want string
	}{
		"other magic":        {"Packages", set(small, 12, 1), "magic"},
		"encrypted":          {"Packages", set(small, 24, 1), "encryption"},
		"page size":          {"Packages", set(small, 20, 4095), "invalid page size 4095"},
		"four billion pages": {"Packages", set(small, 32, 1<<32-1), "truncated"},
		"fewer keys":         {"Packages", set(small, bdbKeys, 1), "2 of 1 records"},
		"more keys":          {"Packages", set(small, bdbKeys, 3), "2 of 3 records"},
		"endless chain":      {"Packages", set(small, 4*4096+16, 4), "continues on the invalid page 4"},
		"chain breaks off":   {"Packages", set(small, 6*4096+16, 0), "bytes"},
		"chain leads out":    {"Packages", set(small, 4*4096+16, 1<<31), "continues on the invalid page 2147483648"},
		"other page":         {"Packages", set(small, 4*4096+8, 7), "has the wrong page number 7"},
		"odd items":          {"Packages", set(bdbOf(pkgs...), 4096+20, 5), "number of items 5"},
		"items behind page":  {"Packages", set(bdbOf(pkgs...), 4096+20, 65534), "number of items 65534"},
		"item behind page":   {"Packages", set(bdbOf(pkgs...), 4096+26, 0xffff), "an item at the invalid offset 65535"},
		"unknown page":       {"Packages", set(bdbOf(pkgs...), 4096+24, 5<<8), "unknown type 5"},

		"no magic":              {"Packages.db", set(ndbOf(pkgs...), 0, 1), "not a database of this type"},
		"other version":         {"Packages.db", set(ndbOf(pkgs...), 4, 1), "not a database of this type"},
		"no slots":              {"Packages.db", set(ndbOf(pkgs...), 12, 0), "number of slot pages 0"},
		"four billion slots":    {"Packages.db", set(ndbOf(pkgs...), 12, 1<<32-1), "number of slot pages 4294967295"},
		"slots behind end":      {"Packages.db", set(ndbOf(pkgs...), 12, 2000), "truncated"},
		"slot without mark":     {"Packages.db", set(ndbOf(pkgs...), slotAt+64, 0), "slot 6 is damaged"},
		"slot without a number": {"Packages.db", set(ndbOf(pkgs...), slotAt+4, 0), "slot 2 is damaged"},
		"number too high":       {"Packages.db", set(ndbOf(pkgs...), slotAt+4, 3), "package 3, but"},
		"blob behind end":       {"Packages.db", set(ndbOf(pkgs...), slotAt+8, 1<<31), "slot 2 points past the end"},
		"one blob twice":        {"Packages.db", swapped, "overlaps another"},
		"large blob":            {"Packages.db", set(ndbOf(pkgs...), blobAt+12, 1<<31), "package 1 is damaged"},
		"changed blob":          {"Packages.db", set(ndbOf(pkgs...), blobAt+32, 77), "package 1 is damaged"},
		"cut":                   {"Packages.db", ndbOf(pkgs...)[:blobAt+90], "points past the end"},
	} {
		n, err := count(t, c.file, c.raw)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %d, %v, want %q", name, n, err, c.want)
		}
	}
}
