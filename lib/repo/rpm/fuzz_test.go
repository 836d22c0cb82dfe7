package rpm

import (
	"fmt"
	"hash/fnv"
	"path/filepath"
	"strings"
	"testing"

	"chunkah/tests/bound"
)

func FuzzBDB(f *testing.F) {
	f.Add(bdbOf(testPackage{name: "a"}, testPackage{name: "b"}))
	chain := bdbChain(testPackage{name: "a", files: []testFile{{path: "/x/" + strings.Repeat("long", 200)}}}.header())
	if n, err := count(f, "Packages", chain); n != 1 || err != nil {
		f.Fatal(n, err)
	}
	f.Add(chain)
	f.Fuzz(func(t *testing.T, raw []byte) { checkForm(t, "Packages", raw, nil) })
}

// bdbChain makes a Packages file with one package in a chain of small pages.
func bdbChain(header []byte) []byte {
	const size = bdbMinPage
	const part = size - bdbPageHead
	raw := make([]byte, 2*size)
	meta, page := raw[:size], raw[size:]
	little.PutUint32(meta[12:], 0x061561)
	little.PutUint32(meta[20:], size)
	meta[25] = 8
	little.PutUint32(meta[32:], uint32(1+(len(header)+part-1)/part)) // the last page
	little.PutUint32(meta[bdbKeys:], 1)
	little.PutUint32(page[8:], 1)
	little.PutUint16(page[20:], 2)
	page[25] = 13
	little.PutUint16(page[26:], size-5)
	copy(page[size-5:], "\x01\x01\x00\x00\x00")
	little.PutUint16(page[28:], size-5-12)
	item := page[size-5-12:]
	item[0] = 3
	little.PutUint32(item[4:], 2)
	little.PutUint32(item[8:], uint32(len(header)))
	for n := uint32(2); len(header) > 0; n++ {
		next := make([]byte, size)
		little.PutUint32(next[8:], n)
		little.PutUint32(next[12:], n-1)
		if n == 2 {
			little.PutUint32(next[12:], 0)
		}
		length := copy(next[bdbPageHead:], header)
		if header = header[length:]; len(header) > 0 {
			little.PutUint32(next[16:], n+1)
		}
		little.PutUint16(next[22:], uint16(length))
		next[25] = 7
		raw = append(raw, next...)
	}
	return raw
}

func FuzzNDB(f *testing.F) {
	f.Add(ndbOf(testPackage{name: "a"}, testPackage{name: "b"}))
	f.Fuzz(func(t *testing.T, raw []byte) { checkForm(t, "Packages.db", raw, nil) })
}

func FuzzSQLite(f *testing.F) {
	file := filepath.Join(f.TempDir(), "x.sqlite")
	db := openSQLite(f, file)
	run(f, db, "PRAGMA page_size = 512") // small pages, so that few bytes contain much structure
	run(f, db, "PRAGMA journal_mode = wal")
	run(f, db, "PRAGMA wal_autocheckpoint = 0")
	run(f, db, schema)
	insert(f, db, testPackage{name: "a"}, testPackage{name: "b", files: []testFile{{path: "/x/y", digest: "d"}}})
	run(f, db, "PRAGMA wal_checkpoint(truncate)")
	raw := readFile(f, file)
	f.Add(raw, []byte{})
	insert(f, db, testPackage{name: "c"})
	run(f, db, "DELETE FROM Packages WHERE hnum = 1")
	f.Add(raw, readFile(f, file+"-wal"))
	f.Fuzz(func(t *testing.T, raw, wal []byte) { checkForm(t, "rpmdb.sqlite", raw, wal) })
}

// checkForm reads a database twice. Both reads must return the same packages or the same error, and
// no more bytes than the file contains.
func checkForm(t *testing.T, name string, raw, wal []byte) {
	if len(raw)+len(wal) > 1<<20 {
		t.Skip("too large to find anything new")
	}
	bound.Memory(t, 4<<20+64*(len(raw)+len(wal)))
	first, n, err := readForm(t, name, raw, wal)
	if n > len(raw)+len(wal) {
		t.Errorf("%d bytes hold packages of %d", len(raw)+len(wal), n)
	}
	again, _, againErr := readForm(t, name, raw, wal)
	if again != first || fmt.Sprint(err) != fmt.Sprint(againErr) {
		t.Errorf("got %s, %v, and then %s, %v", first, err, again, againErr)
	}
}

// readForm summarises a database's packages; n is the total size of their headers.
func readForm(t *testing.T, name string, raw, wal []byte) (sum string, n int, err error) {
	all := fnv.New64a()
	if len(wal) == 0 {
		wal = nil
	}
	err = visitAll(t, formOf(name).read, raw, wal, func(number int64, blob []byte) error {
		n += len(blob)
		fmt.Fprintln(all, number, len(blob))
		_, err := all.Write(blob)
		return err
	})
	return fmt.Sprintf("%d bytes %x", n, all.Sum64()), n, err
}
