package apk

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/pkgdb/pkgdbtest"
	"chunkah/lib/rootfs"
	"chunkah/tests/bound"
	"chunkah/tests/mkroot"
)

var lines = pkgdbtest.Lines

const digest = "Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA="

// packaged writes a package's entry. It groups the files by directory, like apk.
func packaged(name, origin string, built int64, files ...string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "C:%s\nP:%s\nV:1.2-r3\nA:x86_64\nS:1\nI:1\nT:text\nU:https://x.example/\nL:MIT\n", digest, name)
	if origin != "" {
		fmt.Fprintf(&text, "o:%s\n", origin)
	}
	fmt.Fprintf(&text, "m:Some One <some@one.example>\nt:%d\nc:0\nD:so:libc.musl-x86_64.so.1\np:cmd:x=1\n", built)
	last := "none"
	for _, file := range files {
		dir, base := filepath.Split(file)
		if dir = strings.TrimSuffix(dir, "/"); dir != last {
			fmt.Fprintf(&text, "F:%s\nM:0:0:755\n", dir)
			last = dir
		}
		if base != "" {
			fmt.Fprintf(&text, "R:%s\na:0:0:755\nZ:%s\n", base, digest)
		}
	}
	return text.String() + "\n"
}

func file(path, text string) string { return fmt.Sprintf("file %q text=%q\n", path, text) }

// check runs the repo and compares the warnings and the claims on files with the expected results.
func check(t *testing.T, root, want string, warnings ...string) *assign.Outcome {
	t.Helper()
	tree, outcome := pkgdbtest.Run(t, mkroot.Make(t, root), Repo{})
	pkgdbtest.Equal(t, "claims", pkgdbtest.Claims(tree, Repo{}, true), want)
	ok := len(outcome.Warnings) == len(warnings)
	for i, w := range warnings {
		ok = ok && strings.Contains(outcome.Warnings[i], w)
	}
	if !ok {
		t.Errorf("got warnings\n%s\nwant\n%s", strings.Join(outcome.Warnings, "\n"), strings.Join(warnings, "\n"))
	}
	return outcome
}

func fails(t *testing.T, root, want string) {
	t.Helper()
	_, err := Repo{}.Load(context.Background(), pkgdbtest.Tree(t, mkroot.Make(t, root)))
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestClaims(t *testing.T) {
	outcome := check(t, file("/lib/apk/db/installed",
		packaged("busybox", "busybox", 30, "bin/busybox", "etc/", "etc/dir/")+
			packaged("libssl3", "openssl", 20, "lib/libssl.so.3", "usr/lib/")+
			packaged("libcrypto3", "openssl", 10, "lib/libcrypto.so.3", "etc/shared")+
			packaged("own", "", 5, "top", "usr/bin/own", "etc/shared", "usr/bin/isdir", "lib/apk/db/installed")+
			packaged(".build-deps", "", 0))+`
file /lib/apk/db/scripts.tar
file /lib/apk/db/triggers
file /lib/apk/db/lock
file /etc/apk/world
file /var/log/apk.log
file /bin/busybox
symlink /bin/ls to=/bin/busybox
dir /etc/dir
file /lib/libssl.so.3
file /lib/libcrypto.so.3
symlink /usr/lib to=../lib
file /etc/shared
file /etc/shared.apk-new
file /top
file /usr/bin/own
dir /usr/bin/isdir
file /nobody
`, lines(
		"/bin/busybox apk/busybox",
		"/bin/ls apk/busybox",
		"/etc/apk/world apk/.database",
		"/etc/shared apk/.shared",
		"/etc/shared.apk-new apk/.shared",
		"/lib/apk/db/installed apk/.database",
		"/lib/apk/db/lock apk/.database",
		"/lib/apk/db/scripts.tar apk/.database",
		"/lib/apk/db/triggers apk/.database",
		"/lib/libcrypto.so.3 apk/openssl",
		"/lib/libssl.so.3 apk/openssl",
		"/top apk/own",
		"/usr/bin/own apk/own",
		"/var/log/apk.log apk/.database",
	))
	pkgdbtest.Equal(t, "components", pkgdbtest.Components(outcome.Components), lines(
		"apk/.database days=1",
		"apk/.shared clamp=20 updates=5 10 20",
		"apk/busybox clamp=30 updates=30",
		"apk/openssl clamp=20 updates=10 20",
		"apk/own clamp=5 updates=5",
	))
	if n := outcome.Summaries[0].Packages; n != 5 {
		t.Errorf("got %d packages", n)
	}
}

// TestPlaces checks that the database is found at either path, and that it is read only once if
// both paths lead to it.
func TestPlaces(t *testing.T) {
	a, b := packaged("a", "a", 1, "usr/bin/a"), packaged("b", "b", 1, "usr/bin/b")
	files := "file /usr/bin/a\nfile /usr/bin/b\n"
	own := func(path string) string { return path + " apk/.database\n" }
	const first, second = "/lib/apk/db/installed", "/usr/lib/apk/db/installed"
	check(t, file(second, b)+files, "/usr/bin/b apk/b\n"+own(second))
	check(t, file(second, b)+"symlink /lib to=usr/lib\n"+files, "/usr/bin/b apk/b\n"+own(second))
	check(t, file(first, a)+file(second, b)+files, own(first)+"/usr/bin/a apk/a\n"+own(second),
		`skipping apk database "/usr/lib/apk/db/installed": the packages are read from "/lib/apk/db/installed"`)
	check(t, file(first, "")+file(second, b)+files, own(first)+"/usr/bin/b apk/b\n"+own(second))
	check(t, file("/data/db", a)+"symlink /lib/apk/db/installed to=/data/db\n"+files, own("/data/db")+own(first)+"/usr/bin/a apk/a\n")
	for _, text := range []string{"dir /usr", "dir /lib/apk/db", "symlink /lib/apk/db/installed to=gone"} {
		r, err := Repo{}.Load(context.Background(), pkgdbtest.Tree(t, mkroot.Make(t, text)))
		if r != nil || err != nil {
			t.Errorf("%s: got %v, %v", text, r, err)
		}
	}
}

// TestOpenWrt checks an origin that is a path in the source tree.
func TestOpenWrt(t *testing.T) {
	check(t, file("/usr/lib/apk/db/installed", packaged("libopenssl3", "package/libs/openssl", 1, "usr/lib/libssl.so.3"))+"file /usr/lib/libssl.so.3\n",
		"/usr/lib/apk/db/installed apk/.database\n/usr/lib/libssl.so.3 apk/openssl\n")
}

func TestDamage(t *testing.T) {
	const path = "/lib/apk/db/installed"
	good := packaged("good", "good", 1, "usr/good")
	files := "file /usr/good\nfile /usr/bad\nfile /usr/bad2\n"
	own := path + " apk/.database\n"
	both := own + "/usr/bad apk/bad\n/usr/good apk/good\n"
	for name, c := range map[string]struct{ text, want, warn string }{
		"no colon":      {"P:bad\nnonsense\nF:usr\nR:bad\n\n" + good, both, `line 2: package "bad": "nonsense": expected LETTER:VALUE`},
		"NUL":           {"P:bad\nF:usr\nR:b\x00\nR:bad\n\n" + good, both, `line 3: package "bad": contains a NUL`},
		"no name":       {"V:1\nF:usr\n\n" + good, own + "/usr/good apk/good\n", `line 2: package "": no package name`},
		"bad origin":    {"P:bad\no:../x\nF:usr\nR:bad\n\n" + good, both, ""},
		"no directory":  {"P:bad\nR:bad2\nF:usr\nR:bad\n\n" + good, both, `line 2: package "bad": file "bad2" is in no directory`},
		"slash":         {"P:bad\nF:usr\nR:../usr/bad2\nR:bad\n\n" + good, both, `line 3: package "bad": "../usr/bad2" is not a file name`},
		"time":          {"P:bad\nt:12x\nF:usr\nR:bad\n\n" + good, both, `line 2: package "bad": build time "12x" is not a number`},
		"far":           {"P:bad\nt:9223372036854775807\nF:usr\nR:bad\n\n" + good, both, `build time "9223372036854775807" is not a number`},
		"no empty line": {"P:bad\nF:usr\nR:bad\n" + strings.TrimPrefix(good, "C:"+digest+"\n"), both, `line 4: package "good": no empty line before it`},
		"end":           {"P:bad\nF:usr\nR:bad\n\n" + good[:len(good)-1], both, `no empty line after package "good"`},
		"CRLF":          {strings.ReplaceAll("P:bad\nF:usr\nR:bad\n\n"+good, "\n", "\r\n"), both, ""},
		"long":          {"P:bad\nT:" + strings.Repeat("x", 300000) + "\nF:usr\nR:bad\n\n" + good, both, `line 2: package "bad": is longer than`},
		"virtual":       {"P:.bad\nF:usr\nR:bad\n\n" + good, own + "/usr/good apk/good\n", `line 2: package ".bad": ".bad" is not a name`},
	} {
		t.Run(name, func(t *testing.T) {
			tree, outcome := pkgdbtest.Run(t, mkroot.Make(t, file(path, c.text)+files), Repo{})
			pkgdbtest.Equal(t, "claims", pkgdbtest.Claims(tree, Repo{}, true), c.want)
			got := strings.Join(outcome.Warnings, "\n")
			if !strings.Contains(got, c.warn) || (got == "") != (c.warn == "") {
				t.Errorf("got warnings %q", got)
			}
		})
	}
	fails(t, file(path, good+"P:bad\nF:us"), `reading "/lib/apk/db/installed": line 23: package "bad": is truncated`)
	fails(t, file(path, "garbage\n"), `has no package`)
	fails(t, file(path, strings.Repeat("\x00", 9999)), `is truncated`)
	fails(t, "dir "+path, `reading "/lib/apk/db/installed": is not a regular file`)
	fails(t, "file "+path+" size=1073741824 sparse=1", `is 1073741824 bytes`)
	check(t, file(path, good)+file("/lib/apk/db/installed.new", "")+files, own+"/lib/apk/db/installed.new apk/.database\n/usr/good apk/good\n",
		`found "/lib/apk/db/installed.new", which an interrupted`)
}

// TestCut truncates the database at any position except between entries, and checks that every
// truncation is reported.
func TestCut(t *testing.T) {
	text := packaged("a", "a", 1, "usr/a") + packaged("b", "b", 1, "usr/b", "usr/c")
	dir := mkroot.Make(t, file("/lib/apk/db/installed", text)+"file /usr/a\nfile /usr/b\nfile /usr/c\n")
	for cut := 1; cut < len(text); cut++ {
		if strings.HasSuffix(text[:cut], "\n\n") {
			continue
		}
		if err := os.WriteFile(dir+"/lib/apk/db/installed", []byte(text[:cut]), 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := Repo{}.Load(context.Background(), pkgdbtest.Tree(t, dir))
		if err == nil && len(r.Warnings) == 0 {
			t.Errorf("cut at %d: got no warning", cut)
		}
	}
}

// alpine writes a root like Alpine's: dozens of packages, hundreds of files, and the links to
// busybox that are in no list. merged tells whether /usr is merged.
func alpine(merged bool) (root, want string) {
	bin := "/bin"
	var db, tree, claims strings.Builder
	if merged {
		bin = "/usr/bin"
		tree.WriteString("symlink /bin to=usr/bin\nsymlink /lib to=usr/lib\n")
	}
	dbPath := "/lib/apk/db/installed"
	if merged {
		dbPath = "/usr" + dbPath
	}
	db.WriteString(packaged("busybox", "busybox", 100, "bin/busybox"))
	fmt.Fprintf(&tree, "file %s/busybox\n", bin)
	fmt.Fprintf(&claims, "%s/busybox apk/busybox\n", bin)
	for i := range 60 {
		fmt.Fprintf(&tree, "symlink %s/tool%d to=/bin/busybox\n", bin, i)
		fmt.Fprintf(&claims, "%s/tool%d apk/busybox\n", bin, i)
	}
	for i := range 40 {
		name, origin := fmt.Sprintf("pkg%d", i), fmt.Sprintf("pkg%d", i-i%2)
		var files []string
		for k := range 9 {
			files = append(files, fmt.Sprintf("usr/share/%s/%d", name, k))
			fmt.Fprintf(&tree, "file /usr/share/%s/%d\n", name, k)
			fmt.Fprintf(&claims, "/usr/share/%s/%d apk/%s\n", name, k, origin)
		}
		files = append(files, "bin/"+name)
		fmt.Fprintf(&tree, "file %s/%s\n", bin, name)
		fmt.Fprintf(&claims, "%s/%s apk/%s\n", bin, name, origin)
		db.WriteString(packaged(name, origin, int64(i), files...))
	}
	fmt.Fprintf(&claims, "%s apk/.database\n", dbPath)
	return tree.String() + file(dbPath, db.String()), claims.String()
}

func TestAlpine(t *testing.T) {
	for _, merged := range []bool{false, true} {
		root, want := alpine(merged)
		tree, outcome := pkgdbtest.Run(t, mkroot.Make(t, root), Repo{})
		pkgdbtest.Equal(t, fmt.Sprint("merged ", merged), sorted(pkgdbtest.Claims(tree, Repo{}, true)), sorted(want))
		if s := outcome.Summaries[0]; s.Packages != 41 || s.Components != 22 || len(outcome.Warnings) > 0 {
			t.Errorf("got %+v, %q", s, outcome.Warnings)
		}
	}
}

// sorted sorts the lines, because the tree's order does not matter.
func sorted(text string) string {
	list := strings.Split(text, "\n")
	slices.Sort(list)
	return strings.Join(list, "\n")
}

// TestReal reads a real database if there is one.
func TestReal(t *testing.T) {
	path := filepath.Join(os.Getenv("CHUNKAH_TESTDATA"), "apk-installed")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Skip("CHUNKAH_TESTDATA names no folder with apk-installed")
	}
	r, err := Repo{}.Load(context.Background(), pkgdbtest.Tree(t, mkroot.Make(t, file("/lib/apk/db/installed", string(raw)))))
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(raw, []byte("\nP:")); len(r.Packages) != n || len(r.Warnings) > 0 {
		t.Errorf("got %d of %d packages, %q", len(r.Packages), n, r.Warnings)
	}
}

// FuzzInstalled reads a database with a small tree.
func FuzzInstalled(f *testing.F) {
	f.Add([]byte(packaged("a", "b", 7, "usr/bin/a", "etc/")))
	f.Add([]byte("P:a\r\nF:\r\nR:top\r\n\r\nF:usr/../loop/x\nR:\x00\nP:b\nt:-1"))
	dir := f.TempDir()
	if err := os.Symlink("loop", dir+"/loop"); err != nil {
		f.Fatal(err)
	}
	if err := os.MkdirAll(dir+"/lib/apk/db", 0o755); err != nil {
		f.Fatal(err)
	}
	root, err := rootfs.Open(dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		bound.Input(t, len(raw))
		if err := os.WriteFile(dir+"/lib/apk/db/installed", raw, 0o644); err != nil {
			t.Fatal(err)
		}
		tree := assign.NewTree(root, []*format.File{
			{Path: "/", Type: format.TypeDir}, {Path: "/etc", Type: format.TypeDir}, {Path: "/loop", Type: format.TypeSymlink, Target: "loop"},
			{Path: "/top", Type: format.TypeFile}, {Path: "/usr", Type: format.TypeDir}, {Path: "/usr/bin", Type: format.TypeDir},
			{Path: "/usr/bin/a", Type: format.TypeFile},
		})
		r, err := Repo{}.Load(context.Background(), tree)
		if err != nil || r == nil {
			return
		}
		pkgdbtest.Sound(t, tree, r)
	})
}
