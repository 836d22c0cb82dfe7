package rpm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/assign"
)

// namesOf reads a database and returns its packages' names, in the order of rows.
func namesOf(t testing.TB, raw, wal []byte) (string, error) {
	t.Helper()
	var names []string
	err := visitAll(t, readSQLite, raw, wal, func(_ int64, blob []byte) error {
		p, err := parsePackage(blob)
		if err == nil {
			names = append(names, p.name)
		}
		return err
	})
	return strings.Join(names, " "), err
}

// TestWriteAheadLog reads a database whose newest packages are only in its write-ahead log.
func TestWriteAheadLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a?b#c.sqlite")
	db := openSQLite(t, "file:"+strings.NewReplacer("?", "%3f", "#", "%23").Replace(file))
	run(t, db, "PRAGMA journal_mode = wal")
	run(t, db, "PRAGMA wal_autocheckpoint = 0")
	run(t, db, schema)
	insert(t, db, testPackage{name: "a"}, testPackage{name: "b"})
	run(t, db, "PRAGMA wal_checkpoint(truncate)")
	insert(t, db, testPackage{name: "c"})
	run(t, db, "DELETE FROM Name WHERE key = 'a'")
	run(t, db, "DELETE FROM Packages WHERE hnum = 1")
	raw, wal := readFile(t, file), readFile(t, file+"-wal")

	if got, err := namesOf(t, raw, wal); got != "b c" || err != nil {
		t.Errorf("got %q, %v, want the packages of the log too", got, err)
	}
	if got, err := namesOf(t, raw, nil); got != "a b" || err != nil {
		t.Errorf("got %q, %v without the log", got, err)
	}
	if got, err := namesOf(t, raw, []byte{}); got != "a b" || err != nil {
		t.Errorf("got %q, %v with an empty log", got, err)
	}
	if got, err := namesOf(t, raw, wal[:len(wal)-1]); err == nil {
		t.Errorf("got %q of a log that is truncated", got)
	}
	tr := newTree(t)
	tr.file("/usr/lib/sysimage/rpm/rpmdb.sqlite", string(raw))
	tr.file("/usr/lib/sysimage/rpm/rpmdb.sqlite-wal", string(wal))
	if r := tr.mustLoad(); len(r.Packages) != 2 || len(r.Warnings) != 1 || !strings.HasPrefix(r.Warnings[0], `found "/usr/lib/sysimage/rpm/rpmdb.sqlite-wal": some packages may be only in this log`) {
		t.Errorf("got %d packages, warnings %q", len(r.Packages), r.Warnings)
	}
	// A file in the root without a record has been pruned.
	tr.files = slices.DeleteFunc(tr.files, func(f *format.File) bool { return strings.HasSuffix(f.Path, "-wal") })
	if r := tr.mustLoad(); len(r.Packages) != 2 || len(r.Warnings) != 1 || !strings.HasPrefix(r.Warnings[0], `skipping "/usr/lib/sysimage/rpm/rpmdb.sqlite-wal": some packages may be`) {
		t.Errorf("without the log: got %d packages, warnings %q", len(r.Packages), r.Warnings)
	}
}

// TestDamagedIndexes damages every page of an index, and every page of the table of packages.
// Damaged indexes cause a warning, because all packages can be read. Damaged packages are an error.
func TestDamagedIndexes(t *testing.T) {
	const page = 4096
	raw := readFile(t, testdata(t, "cbl-mariner-2.0/rpmdb.sqlite"))
	file := filepath.Join(t.TempDir(), "x.sqlite")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	db := openSQLite(t, file)
	root := func(table string) (n int) {
		if err := db.QueryRow("SELECT rootpage FROM sqlite_schema WHERE name = ?", table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	load := func(spoil ...string) (*assign.Result, error) {
		spoilt := slices.Clone(raw)
		for _, table := range spoil {
			at := (root(table) - 1) * page
			clear(spoilt[at : at+page])
		}
		return newTree(t).file("/var/lib/rpm/rpmdb.sqlite", string(spoilt)).load()
	}
	want, err := load()
	if err != nil || len(want.Warnings) > 0 {
		t.Fatal(err, want.Warnings)
	}
	for _, spoil := range [][]string{{"Basenames"}, {"Name"}, {"Providename", "Name"}, {"Name", "Providename", "Sigmd5", "Installtid", "Requirename"}} {
		r, err := load(spoil...)
		if err != nil {
			t.Errorf("%s: %v", spoil, err)
			continue
		}
		if len(r.Packages) != len(want.Packages) || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "packages are read") {
			t.Errorf("%s: got %d packages, warnings %q", spoil, len(r.Packages), r.Warnings)
		}
	}
	if r, err := load("Packages"); err == nil {
		t.Errorf("the packages themselves: got %d packages", len(r.Packages))
	}
	if r, err := load("Packages", "Name"); err == nil {
		t.Errorf("the packages and their names: got %d packages", len(r.Packages))
	}
}

// TestForeignSQLite checks that databases that are not from rpm are refused.
func TestForeignSQLite(t *testing.T) {
	for name, c := range map[string]struct{ sql, want string }{
		"view":      {"CREATE VIEW Packages AS WITH RECURSIVE r(hnum, blob) AS (SELECT 1, 'x' UNION ALL SELECT hnum + 1, blob FROM r) SELECT * FROM r", "not a table with the stored columns"},
		"virtual":   {"CREATE VIRTUAL TABLE Packages USING fts5(hnum, blob)", "not a table with the stored columns"},
		"generated": {"CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob AS (zeroblob(1 << 20))); INSERT INTO Packages VALUES (1)", "not a table with the stored columns"},
		"computed":  {schema + "CREATE TABLE x (a, b AS (hex(zeroblob(1 << 24))) NOT NULL); INSERT INTO x (a) VALUES (1)", "computed columns"},
		"no table":  {"CREATE TABLE x (y)", "has no table of packages"},
		"check":     {"CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob CHECK (length(randomblob(hnum)) > 0)); INSERT INTO Packages VALUES (1, 'x')", "truncated"},
		"lost":      {schema + "INSERT INTO Name VALUES ('a', 7, 0)", "1 packages of its index \"Name\" are missing"},
		"no blob":   {schema + "PRAGMA writable_schema = on; UPDATE sqlite_schema SET sql = replace(sql, ' NOT NULL', ''); PRAGMA writable_schema = reset; INSERT INTO Packages VALUES (1, NULL)", "truncated"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "x.sqlite")
			db := openSQLite(t, file)
			run(t, db, c.sql)
			db.Close()
			_, err := namesOf(t, readFile(t, file), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	tr := newTree(t).file("/var/lib/rpm/rpmdb.sqlite", databaseOf(t, testPackage{name: "a"}))
	tmp := t.TempDir()
	if _, err := (Repo{TempDir: tmp}).Load(ctx, tr.open()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(tmp); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}
