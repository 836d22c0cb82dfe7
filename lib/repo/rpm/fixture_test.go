package rpm

import (
	"database/sql"
	"encoding/binary"
	"os"
	"path"
	"path/filepath"
	"testing"
)

// headerBuilder builds a header tag by tag.
type headerBuilder struct {
	tags        uint32
	index, data []byte
}

// add appends a tag. The value's Go type determines the tag's type.
func (b *headerBuilder) add(tag uint32, value any) {
	kind, count, raw := typeString, 1, []byte(nil)
	switch v := value.(type) {
	case string:
		raw = append([]byte(v), 0)
	case []string:
		kind, count = typeStringArray, len(v)
		for _, s := range v {
			raw = append(append(raw, s...), 0)
		}
	case []byte:
		kind, count, raw = typeChar, len(v), v
	case []uint16:
		kind, count = typeInt16, len(v)
		raw, _ = binary.Append(nil, binary.BigEndian, v)
	case []uint32:
		kind, count = typeInt32, len(v)
		raw, _ = binary.Append(nil, binary.BigEndian, v)
	case []uint64:
		kind, count = typeInt64, len(v)
		raw, _ = binary.Append(nil, binary.BigEndian, v)
	default:
		panic("no such type of tag")
	}
	if count == 0 {
		return
	}
	b.entry(tag, uint32(kind), uint32(len(b.data)), uint32(count))
	b.data = append(b.data, raw...)
}

// entry appends any entry to the index only.
func (b *headerBuilder) entry(tag, kind, offset, count uint32) {
	b.tags++
	for _, v := range []uint32{tag, kind, offset, count} {
		b.index = binary.BigEndian.AppendUint32(b.index, v)
	}
}

func (b *headerBuilder) bytes() []byte {
	raw := binary.BigEndian.AppendUint32(nil, b.tags)
	raw = binary.BigEndian.AppendUint32(raw, uint32(len(b.data)))
	return append(append(raw, b.index...), b.data...)
}

// testFile is a file of a testPackage.
type testFile struct {
	path   string
	mode   uint16 // 0 means 0100644
	size   uint64
	digest string
	flags  uint32
	state  byte
}

// testPackage describes a package for tests.
type testPackage struct {
	name, source string
	built        uint32
	changes      []uint32
	algo         uint32 // 0 for no tag
	long, old    bool   // 64-bit sizes; full paths instead of directories
	files        []testFile
}

func (p testPackage) header() []byte {
	var b headerBuilder
	b.add(tagName, p.name)
	b.add(tagVersion, "1.0")
	b.add(tagRelease, "2")
	b.add(tagArch, "noarch")
	if p.source != "" {
		b.add(tagSourceRPM, p.source)
	}
	if p.built != 0 {
		b.add(tagBuildTime, []uint32{p.built})
	}
	b.add(tagChangelogTime, p.changes)
	if p.algo != 0 {
		b.add(tagFileDigestAlgo, []uint32{p.algo})
	}
	p.addFiles(&b)
	return b.bytes()
}

func (p testPackage) addFiles(b *headerBuilder) {
	var paths, names, dirs, digests []string
	var index, sizes, flags []uint32
	var long []uint64
	var modes []uint16
	var states []byte
	at := make(map[string]uint32)
	for _, f := range p.files {
		dir, name := path.Split(f.path)
		i, ok := at[dir]
		if !ok {
			i = uint32(len(dirs))
			at[dir] = i
			dirs = append(dirs, dir)
		}
		if f.mode == 0 {
			f.mode = 0o100644
		}
		paths, names, index = append(paths, f.path), append(names, name), append(index, i)
		modes, states, flags = append(modes, f.mode), append(states, f.state), append(flags, f.flags)
		sizes, long, digests = append(sizes, uint32(f.size)), append(long, f.size), append(digests, f.digest)
	}
	if p.old {
		b.add(tagOldFileNames, paths)
	} else {
		b.add(tagBaseNames, names)
		b.add(tagDirNames, dirs)
		b.add(tagDirIndexes, index)
	}
	if p.long {
		b.add(tagLongFileSizes, long)
	} else {
		b.add(tagFileSizes, sizes)
	}
	b.add(tagFileModes, modes)
	b.add(tagFileStates, states)
	b.add(tagFileFlags, flags)
	b.add(tagFileDigests, digests)
}

// openSQLite opens a database for writing.
func openSQLite(t testing.TB, file string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return db
}

func run(t testing.TB, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// schema is the part of rpm 4.18's schema that is read.
const schema = `
CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL);
CREATE TABLE Name (key TEXT NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL);`

func insert(t testing.TB, db *sql.DB, pkgs ...testPackage) {
	t.Helper()
	for _, p := range pkgs {
		run(t, db, "INSERT INTO Packages (blob) VALUES (?)", p.header())
		run(t, db, "INSERT INTO Name VALUES (?, last_insert_rowid(), 0)", p.name)
	}
}

// databaseOf returns the bytes of an rpmdb.sqlite.
func databaseOf(t testing.TB, pkgs ...testPackage) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rpmdb.sqlite")
	db := openSQLite(t, file)
	run(t, db, schema)
	insert(t, db, pkgs...)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
