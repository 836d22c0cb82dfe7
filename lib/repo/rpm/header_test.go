package rpm

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chunkah/lib/assign"
	"chunkah/tests/bound"
)

func TestPackage(t *testing.T) {
	blob := testPackage{name: "n", source: "s-1-1.src.rpm", built: 1 << 31, changes: []uint32{3, 2}, algo: 8, long: true,
		files: []testFile{{path: "/a/b", mode: 0o100600, size: 5 << 32, digest: "d", flags: flagGhost | 1, state: 255}, {path: "/c", state: 2}}}.header()
	p, err := parsePackage(blob)
	if err != nil {
		t.Fatal(err)
	}
	if p.name != "n" || p.source != "s" || p.built != 1<<31 || p.label() != "n-1.0-2.noarch" {
		t.Errorf("got %+v", p)
	}
	if times, err := p.changes(); !slices.Equal(times, []int64{3, 2}) || err != nil {
		t.Errorf("got %v, %v", times, err)
	}
	list, err := p.header.files()
	if err != nil || list.algo != 8 {
		t.Fatal(list, err)
	}
	var got []listed
	if err := list.each(func(f *listed) error { got = append(got, *f); return nil }); err != nil {
		t.Fatal(err)
	}
	want := []listed{
		{path: "/a/b", mode: 0o100600, size: 5 << 32, digest: "d", ghost: true, state: 255},
		{path: "/c", mode: 0o100644, state: 2},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
}

// TestLaterTagCounts replaces a tag with a later entry, as rpm does at installation.
func TestLaterTagCounts(t *testing.T) {
	var b headerBuilder
	b.add(tagName, "old")
	b.add(tagName, "new")
	if p, err := parsePackage(b.bytes()); err != nil || p.name != "new" {
		t.Errorf("got %v, %v", p, err)
	}
}

func TestDamagedHeaders(t *testing.T) {
	build := func(add func(b *headerBuilder)) []byte {
		var b headerBuilder
		b.add(tagName, "n")
		add(&b)
		return b.bytes()
	}
	good := testPackage{name: "n", files: []testFile{{path: "/a"}, {path: "/b"}}}.header()
	files := func(tag uint32, value any) []byte {
		return build(func(b *headerBuilder) {
			b.add(tagBaseNames, []string{"a", "b"})
			b.add(tagDirNames, []string{"/"})
			b.add(tagDirIndexes, []uint32{0, 0})
			b.add(tag, value)
		})
	}
	for name, c := range map[string]struct {
		blob []byte
		want string
	}{
		"nothing":               {nil, "truncated"},
		"seven bytes":           {good[:7], "truncated"},
		"cut":                   {good[:len(good)-1], "truncated"},
		"longer":                {append(slices.Clone(good), 0), "followed by 1 more"},
		"no tags":               {make([]byte, 8), "number of tags 0"},
		"four billion tags":     {[]byte{255, 255, 255, 255, 0, 0, 0, 0}, "number of tags 4294967295"},
		"four billion bytes":    {[]byte{0, 0, 0, 1, 255, 255, 255, 255}, "invalid header size 4294967295"},
		"unknown type":          {build(func(b *headerBuilder) { b.entry(5, 10, 0, 1) }), "tag 5 is damaged"},
		"no values":             {build(func(b *headerBuilder) { b.entry(5, typeInt32, 0, 0) }), "tag 5 is damaged"},
		"offset beyond the end": {build(func(b *headerBuilder) { b.entry(5, typeInt32, 9, 1) }), "tag 5 is damaged"},
		"negative offset":       {build(func(b *headerBuilder) { b.entry(5, typeInt32, 1<<32-16, 1) }), "tag 5 is damaged"},
		"too many values":       {build(func(b *headerBuilder) { b.entry(5, typeInt64, 0, 1<<29+1) }), "more than the data can contain"},
		"too many strings":      {build(func(b *headerBuilder) { b.entry(5, typeStringArray, 0, 3) }), "more than the data can contain"},
		"no name":               {testPackage{}.header(), "no name"},
		"name of bytes":         {testPackage{name: "\xff"}.header(), "is not a name"},
		"name of two lines":     {testPackage{name: "a\nb"}.header(), "is not a name"},
		"long name":             {testPackage{name: strings.Repeat("n", 2000)}.header(), "too long"},
		"name is a number":      {build(func(b *headerBuilder) { b.entry(tagName, typeChar, 0, 1) }), "expected a string type"},
		"name does not end":     {build(func(b *headerBuilder) { b.entry(tagName, typeString, 0, 1); b.data[1] = 'x' }), "does not end"},
		"time is text":          {build(func(b *headerBuilder) { b.add(tagBuildTime, "x") }), `package "n": tag 1006 has type 6`},
		"one mode":              {files(tagFileModes, []uint16{1}), "modes for 1 of 2 files"},
		"three states":          {files(tagFileStates, []byte{0, 0, 0}), "states for 3 of 2 files"},
		"one digest":            {files(tagFileDigests, []string{""}), "digests for 1 of 2 files"},
		"one directory index":   {files(tagDirIndexes, []uint32{0}), "directories for 1 of 2 files"},
		"wrong directory":       {files(tagDirIndexes, []uint32{0, 1}), "file 1 refers to directory 1, but the package lists only 1"},
		"long path":             {files(tagDirNames, []string{strings.Repeat("/", 4096)}), "path of 4097 bytes"},
		"algorithm is text":     {files(tagFileDigestAlgo, "x"), "tag 5011"},
		"own digest, alone":     {build(func(b *headerBuilder) { b.add(tagSHA1Header, "x") }), "region is damaged"},
	} {
		_, err := countFiles(c.blob)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// countFiles reads every part of a header that is used, and returns the package's number of files.
func countFiles(blob []byte) (n int, err error) {
	p, err := parsePackage(blob)
	if err != nil {
		return 0, err
	}
	if _, err := p.updates(); err != nil {
		return 0, err
	}
	list, err := p.header.files()
	if err != nil {
		return 0, err
	}
	return n, list.each(func(*listed) error { n++; return nil })
}

// TestDamagedPackages checks that a damaged package is named in a warning, claims nothing, and does
// not affect other packages. If all packages are damaged, Load must fail.
func TestDamagedPackages(t *testing.T) {
	bad := testPackage{name: "bad", changes: []uint32{1}}.header()
	at := strings.Index(string(bad), string(binary.BigEndian.AppendUint32(nil, tagChangelogTime)))
	binary.BigEndian.PutUint32(bad[at+4:], typeString)
	file := filepath.Join(t.TempDir(), "x")
	db := openSQLite(t, file)
	run(t, db, schema)
	insert(t, db, testPackage{name: "good"})
	for _, blob := range [][]byte{bad, []byte("short")} {
		run(t, db, "INSERT INTO Packages (blob) VALUES (?)", blob)
	}
	db.Close()
	r := newTree(t).file("/var/lib/rpm/rpmdb.sqlite", string(readFile(t, file))).mustLoad()
	want := `reading "/var/lib/rpm/rpmdb.sqlite": skipping 2 of 3 packages, whose files belong to no package: record 2: package "bad-1.0-2.noarch": tag 1080 has type 6, expected 4; record 3: header is truncated (rpm --rebuilddb may repair the database)`
	if len(r.Warnings) != 1 || r.Warnings[0] != want {
		t.Errorf("got  %q\nwant %s", r.Warnings, want)
	}
	if len(r.Packages) != 1 || r.Packages[0].Component.Name != "rpm/good" {
		t.Errorf("got %v", r.Packages)
	}
	db = openSQLite(t, file)
	run(t, db, "DELETE FROM Name")
	run(t, db, "DELETE FROM Packages WHERE hnum = 1")
	db.Close()
	if _, err := newTree(t).file("/var/lib/rpm/rpmdb.sqlite", string(readFile(t, file))).load(); err == nil || !strings.Contains(err.Error(), "record 3: header is truncated") {
		t.Errorf("nothing but bad packages: got %v", err)
	}
}

// A package with a truncated file list claims none of its files.
func TestDamagedFileList(t *testing.T) {
	good := testPackage{name: "good", files: []testFile{{path: "/usr/bin/good", mode: 0o100644}}}
	bad := testPackage{name: "bad", files: []testFile{{path: "/usr/bin/a", mode: 0o100644}, {path: "/usr/lib/b", mode: 0o100644}}}.header()
	at := strings.Index(string(bad), string(binary.BigEndian.AppendUint32(nil, tagDirIndexes)))
	data := len(bad) - int(binary.BigEndian.Uint32(bad[4:])) + int(binary.BigEndian.Uint32(bad[at+8:]))
	binary.BigEndian.PutUint32(bad[data+4:], 7) // the second file's directory
	file := filepath.Join(t.TempDir(), "x")
	db := openSQLite(t, file)
	run(t, db, schema)
	insert(t, db, good)
	run(t, db, "INSERT INTO Packages (blob) VALUES (?)", bad)
	db.Close()
	r := newTree(t).file("/usr/bin/a", "").file("/usr/bin/good", "").file("/var/lib/rpm/rpmdb.sqlite", string(readFile(t, file))).mustLoad()
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "file 1 refers to directory 7, but") {
		t.Errorf("got %q", r.Warnings)
	}
	var names []string
	for _, claim := range r.Claims {
		names = append(names, claim.Package.Component.Name)
	}
	if got := strings.Join(names, " "); got != "rpm/good rpm/.database" {
		t.Errorf("claims of %s", got)
	}
}

// FuzzHeader checks that parsing arbitrary bytes as a header never panics, and never uses more than
// a few times the header's size in memory.
func FuzzHeader(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(testPackage{name: "n", source: "s-1-1.src.rpm", built: 5, changes: []uint32{3}, algo: 8,
		files: []testFile{{path: "/a/b", size: 5, digest: "d"}, {path: "/c", state: 2}}}.header())
	f.Add(testPackage{name: "n", old: true, long: true, files: []testFile{{path: "/a/b"}}}.header())
	if dir, err := moduleDir(); err == nil {
		if blob, err := os.ReadFile(filepath.Join(dir, "pkg/testdata/blob.bin")); err == nil {
			f.Add(blob)
		}
	}
	f.Fuzz(func(t *testing.T, blob []byte) {
		bound.Memory(t, 1<<20+len(blob)*(64+assign.MaxListed)) // a path can repeat a directory of PATH_MAX bytes
		if files, err := countFiles(blob); files > len(blob) {
			t.Errorf("%d files out of %d bytes: %v", files, len(blob), err)
		}
	})
}
