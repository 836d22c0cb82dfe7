package rpm

import (
	"fmt"
	"hash/fnv"
	"path/filepath"
	"testing"

	"chunkah/tests/bound"
)

func FuzzBDB(f *testing.F) {
	f.Add(bdbOf(testPackage{name: "a"}, testPackage{name: "b"}))
	f.Fuzz(func(t *testing.T, raw []byte) { checkForm(t, "Packages", raw, nil) })
}

func FuzzNDB(f *testing.F) {
	f.Add(ndbOf(testPackage{name: "a"}, testPackage{name: "b"}))
	f.Fuzz(func(t *testing.T, raw []byte) { checkForm(t, "Packages.db", raw, nil) })
}

func FuzzSQLite(f *testing.F) {
	file := filepath.Join(f.TempDir(), "x.sqlite")
	db := openSQLite(f, file)
	run(f, db, "PRAGMA page_size = 512") // small, so that there is much structure in few bytes
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

// checkForm reads a database twice: both times there are the same packages or the
// same error, and there is no more of them than the
// file has bytes.
func checkForm(t *testing.T, name string, raw, wal []byte) {
	if len(raw)+len(wal) > 1<<20 {
		t.Skip("larger than what there is to be found")
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

// readForm sums up a database's packages; n is the bytes of their headers.
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
