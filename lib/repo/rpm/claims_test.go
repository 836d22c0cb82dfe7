package rpm

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/assign"
)

const dbPath = "/usr/lib/sysimage/rpm/rpmdb.sqlite"

// tagged runs the repo through Assign and lists the tagged files as "path component".
func (tr *tree) tagged() string {
	tr.t.Helper()
	at := tr.open()
	if _, err := assign.Assign(context.Background(), at, []assign.Repo{Repo{TempDir: tr.t.TempDir()}}); err != nil {
		tr.t.Fatal(err)
	}
	var lines []string
	for _, f := range at.Files {
		if len(f.Components) > 0 && strings.HasPrefix(f.Components[0], "rpm/") {
			lines = append(lines, f.Path+" "+strings.Join(f.Components, ","))
		}
	}
	return strings.Join(lines, "\n")
}

func equal(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func lines(list ...string) string { return strings.Join(list, "\n") }

func TestClaims(t *testing.T) {
	tr := newTree(t)
	tr.file("/usr/lib/a.so", "a").file("/usr/bin/tool", "x").file("/usr/share/both", "b")
	tr.symlink("/lib", "usr/lib").symlink("/usr/sbin", "bin").symlink("/usr/lib/link", "a.so").symlink("/loop", "loop")
	tr.file("/usr/share/doc/readme", "came another way").file("/var/cache/made", "at run time").file("/etc/replaced", "r")
	tr.mkdir("/usr/share/shared").symlink("/etc/conf", "/usr/lib/a.so").file("/opt/\xff", "bytes").mkdir("/etc/dir")
	tr.file(dbPath, databaseOf(t,
		testPackage{name: "alib", source: "a-1-2.src.rpm", files: []testFile{
			{path: "/lib/a.so"},
			{path: "/lib/link", mode: 0o120777},
			{path: "/usr/share/both"},
			{path: "/usr/share/shared", mode: 0o040755},
			{path: "/usr/share/doc/readme", state: 2},
			{path: "/etc/replaced", state: 1},
			{path: "/var/cache/made", flags: flagGhost},
			{path: "/etc/conf"},           // is a symlink
			{path: "/etc/dir/"},           // is a directory
			{path: "/loop/x"},             // leads nowhere
			{path: "/../../usr/bin/tool"}, // stays inside
			{path: dbPath},                // belongs to the database
			{path: "relative"},
			{path: "/opt/\xff"},
		}},
		testPackage{name: "b", source: "b-1-2.src.rpm", files: []testFile{
			{path: "/usr/sbin/tool"},
			{path: "/usr/share/both"},
			{path: "/usr/share/shared", mode: 0o040755},
		}},
		testPackage{name: "b-libs", source: "b-1-2.src.rpm", files: []testFile{
			{path: "/usr/share/shared", mode: 0o040700},
			{path: "/gone"},
		}},
	))
	equal(t, tr.tagged(), lines(
		"/opt/\xff rpm/a",
		"/usr/bin/tool rpm/.shared",
		"/usr/lib/a.so rpm/a",
		"/usr/lib/link rpm/a",
		dbPath+" rpm/.database",
		"/usr/share/both rpm/.shared",
		"/usr/share/shared rpm/a,rpm/b",
	))
}

// TestReverseMerge checks merged paths in an unmerged tree and vice versa. It also checks full
// paths as in old packages.
func TestReverseMerge(t *testing.T) {
	tr := newTree(t).file("/bin/sh", "x").symlink("/usr/bin", "../bin")
	tr.file(dbPath, databaseOf(t, testPackage{name: "sh", old: true, long: true, files: []testFile{{path: "/usr/bin/sh"}}}))
	equal(t, tr.tagged(), lines("/bin/sh rpm/sh", dbPath+" rpm/.database"))
}

// TestLinkedDatabase checks that a database behind a link is claimed.
func TestLinkedDatabase(t *testing.T) {
	tr := newTree(t).symlink(dbPath, "/data/x").file("/data/other", "x")
	tr.file("/data/x", databaseOf(t, testPackage{name: "a", files: []testFile{{path: "/data/x"}, {path: "/data/other"}}}))
	equal(t, tr.tagged(), lines("/data/other rpm/a", "/data/x rpm/.database"))
}

func sha(content string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(content))) }

func missingFile(path, content string) testFile {
	return testFile{path: path, size: uint64(len(content)), digest: sha(content)}
}

func TestMoved(t *testing.T) {
	tr := newTree(t)
	for i, content := range []string{"moved", "shared by two", "listed by another", "ghost", "left out", "same", "same size, other: no"} {
		tr.file(fmt.Sprintf("/new/%d", i), content)
	}
	tr.file("/new/empty", "").file("/new/md5", "by md5").file("/there", "listed by another").file("/new/linked", "linked").file("/new/algo", "unknown function")
	tr.file("/new/unknown", "size unknown").files[len(tr.files)-1].Size = format.SizeUnknown
	tr.symlink("/etc/link", "/new/8").file("/new/8", "behind a link")
	other := tr.record("/new/linked2", format.TypeFile, 6) // this file does not exist, so its link is read
	other.Hardlink = 7
	tr.files[slices.IndexFunc(tr.files, func(f *format.File) bool { return f.Path == "/new/linked" })].Hardlink = 7
	ghost, left := missingFile("/old/ghost", "ghost"), missingFile("/old/left", "left out")
	ghost.flags, left.state = flagGhost, 2
	there := missingFile("/there", "listed by another")
	wrong := missingFile("/old/wrong", "same size, other: ye")
	tr.file(dbPath, databaseOf(t,
		testPackage{name: "a", algo: 8, files: []testFile{
			missingFile("/old/0", "moved"), missingFile("/old/1", "shared by two"), missingFile("/old/2", "listed by another"),
			missingFile("/old/same", "same"), missingFile("/old/same2", "same"), missingFile("/old/empty", ""),
			missingFile("/old/linked", "linked"), missingFile("/old/unknown", "size unknown"), missingFile("/etc/link", "behind a link"),
			ghost, left, wrong,
		}},
		testPackage{name: "b", algo: 8, files: []testFile{missingFile("/old/b", "shared by two"), there}},
		testPackage{name: "c", files: []testFile{{path: "/old/md5", size: 6, digest: fmt.Sprintf("%X", md5.Sum([]byte("by md5")))}}},
		testPackage{name: "d", algo: 99, files: []testFile{missingFile("/old/algo", "unknown function")}},
	))
	equal(t, tr.tagged(), lines(
		"/new/0 rpm/a",
		"/new/5 rpm/a",
		"/new/8 rpm/a",
		"/new/linked rpm/a",
		"/new/linked2 rpm/a",
		"/new/md5 rpm/c",
		"/new/unknown rpm/a",
		"/there rpm/b",
		dbPath+" rpm/.database",
	))
}

func TestComponents(t *testing.T) {
	const day = 86400
	tr := newTree(t).file(dbPath, databaseOf(t,
		testPackage{name: "z", source: "src-1-1.src.rpm", built: 100 * day, changes: []uint32{99 * day, 50 * day, 103 * day, 0}},
		testPackage{name: "y", source: "src-1-1.src.rpm", built: 101 * day, changes: []uint32{99 * day, 60 * day}},
		testPackage{name: "rebuilt", built: 100 * day, changes: []uint32{50 * day}},
		testPackage{name: "silent", built: 100 * day},
		testPackage{name: "timeless", source: "(none)", changes: []uint32{7}},
		testPackage{name: ".database"},
	)).file("/usr/lib/sysimage/rpm/.rpm.lock", "").file("/usr/lib/sysimage/rpm/rpmdb.sqlite-shm", "x").mkdir("/usr/lib/sysimage/rpm/dir")
	tr.file("/usr/lib/sysimage/rpm/dir/file", "x")
	r := tr.mustLoad()
	var got []string
	for _, c := range componentsOf(r) {
		got = append(got, fmt.Sprint(c.Name, " ", c.Updates, " ", c.MtimeClamp, c.HasMtimeClamp, " ", c.IntervalDays))
	}
	equal(t, lines(got...), lines(
		"rpm/.database [] 0 false 1",
		fmt.Sprint("rpm/rebuilt [", 50*day, " ", 100*day, "] ", 100*day, " true 0"),
		fmt.Sprint("rpm/silent [", 100*day, "] ", 100*day, " true 0"),
		fmt.Sprint("rpm/src [", 50*day, " ", 60*day, " ", 99*day, "] ", 101*day, " true 0"),
		"rpm/timeless [7] 0 false 0",
	))
	equal(t, tr.tagged(), lines(
		"/usr/lib/sysimage/rpm/.rpm.lock rpm/.database",
		dbPath+" rpm/.database",
		"/usr/lib/sysimage/rpm/rpmdb.sqlite-shm rpm/.database",
	))
	if len(r.Warnings) != 2 || !strings.Contains(r.Warnings[0], `".database" is not a name`) ||
		!strings.Contains(r.Warnings[1], "rpmdb.sqlite-shm") || strings.Contains(r.Warnings[1], "lock") {
		t.Errorf("got warnings %q", r.Warnings)
	}
}

func TestSourceName(t *testing.T) {
	for file, want := range map[string]string{
		"glibc-2.38-1.fc39.src.rpm":       "glibc",
		"xorg-x11-server-1-2.nosrc.rpm":   "xorg-x11-server",
		"no-dash.src.rpm":                 "no-dash",
		"plain":                           "plain",
		"(none)":                          "",
		"":                                "",
		"-1-2.src.rpm":                    "-1-2",
		"a-b-c":                           "a",
		"gcc-c++-13.2.1-4.fc39.src.rpm":   "gcc-c++",
		"python3.11-3.11.2-2.el9.src.rpm": "python3.11",
	} {
		if got := sourceName(file); got != want {
			t.Errorf("%q: got %q, want %q", file, got, want)
		}
	}
}

// The files of a Berkeley DB or ndb database are recorded as belonging together, so that a missing
// file can be detected. A sqlite database is one file, and its log has its own warning.
func TestNeededFiles(t *testing.T) {
	for name, want := range map[string][]string{
		"centos7-plain/Packages": {"/var/lib/rpm/Name", "/var/lib/rpm/Packages"},
		"sle15-bci/Packages.db":  {"/var/lib/rpm/Name", "/var/lib/rpm/Packages.db"},
		"fedora35/rpmdb.sqlite":  nil,
	} {
		db := newTree(t).file("/var/lib/rpm/"+filepath.Base(name), string(readFile(t, testdata(t, name)))).
			file("/var/lib/rpm/Name", "an index").file("/var/lib/rpm/__db.001", "").file("/var/lib/rpm/.rpm.lock", "")
		if got := db.mustLoad().Database; !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
