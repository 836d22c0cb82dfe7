package alpm

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/pkgdb/pkgdbtest"
	"chunkah/tests/mkroot"
)

var lines = pkgdbtest.Lines

const local = "/var/lib/pacman/local/"

func file(path, text string) string { return fmt.Sprintf("file %q text=%q\n", path, text) }

func zipped(text string) string {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if _, err := io.WriteString(z, text); err != nil {
		panic(err)
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return buf.String()
}

// pack is a package in pacman's database. A path that ends with a slash is a directory, and a path
// that contains " -> " is a symlink.
type pack struct {
	name, base string
	built      int64
	paths      []string
}

func (p pack) desc() string {
	text := "%NAME%\n" + p.name + "\n\n%VERSION%\n1.0-2\n\n"
	if p.base != "" {
		text += "%BASE%\n" + p.base + "\n\n"
	}
	return text + "%DESC%\nSome text\n\n%ARCH%\nx86_64\n\n" + fmt.Sprintf("%%BUILDDATE%%\n%d\n\n", p.built) + "%DEPENDS%\nglibc\n%odd\n\n"
}

// all returns the package's paths with their parent directories.
func (p pack) all() (list []string) {
	for _, file := range p.paths {
		name, _, _ := strings.Cut(file, " -> ")
		for i := range name {
			if name[i] == '/' && !slices.Contains(list, name[:i+1]) {
				list = append(list, name[:i+1])
			}
		}
		if !strings.HasSuffix(file, "/") {
			list = append(list, file)
		}
	}
	return list
}

func (p pack) files() string {
	var text strings.Builder
	text.WriteString("%FILES%\n")
	for _, file := range p.all() {
		name, _, _ := strings.Cut(file, " -> ")
		fmt.Fprintln(&text, name)
	}
	return text.String() + "\n%BACKUP%\netc/conf\t00\n\n"
}

func (p pack) mtree() string {
	var text strings.Builder
	text.WriteString("#mtree\n/set type=file uid=0 gid=0 mode=644\n./.BUILDINFO time=1.0 size=1\n./.PKGINFO time=1.0 size=1\n")
	for _, file := range p.all() {
		name, target, _ := strings.Cut(file, " -> ")
		name = "./" + strings.NewReplacer("\\", `\134`, " ", `\040`).Replace(name)
		switch {
		case target != "":
			fmt.Fprintf(&text, "%s time=1.0 type=link link=%s\n", name, target)
		case strings.HasSuffix(name, "/"):
			fmt.Fprintf(&text, "%s time=1.0 mode=755 type=dir\n", strings.TrimSuffix(name, "/"))
		default:
			fmt.Fprintf(&text, "%s time=1.0 size=0 sha256digest=00\n", name)
		}
	}
	return text.String()
}

// root writes a database as text for mkroot.
func root(packs ...pack) string {
	text := file(local+"ALPM_DB_VERSION", "9\n")
	for _, p := range packs {
		dir := local + p.name + "-1.0-2/"
		text += file(dir+"desc", p.desc()) + file(dir+"files", p.files()) + file(dir+"mtree", zipped(p.mtree()))
	}
	return text
}

// check runs the repo and compares the warnings, and the claims on files outside the database, with
// the expected results.
func check(t *testing.T, root, want string, warnings ...string) *assign.Outcome {
	t.Helper()
	tree, outcome := pkgdbtest.Run(t, mkroot.Make(t, root), Repo{})
	var text strings.Builder
	for line := range strings.Lines(pkgdbtest.Claims(tree, Repo{}, true)) {
		if !strings.HasPrefix(line, "/var/lib/pacman/") {
			text.WriteString(line)
		} else if !strings.HasSuffix(line, " alpm/.database\n") {
			t.Errorf("got %s", line)
		}
	}
	pkgdbtest.Equal(t, "claims", text.String(), want)
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
	outcome := check(t, root(
		pack{"gcc-libs", "gcc", 20, []string{"usr/lib/libgcc_s.so.1", "usr/lib/libgcc_s.so -> libgcc_s.so.1", "usr/share/both"}},
		pack{"libstdc++", "gcc", 30, []string{"usr/lib/libstdc++.so.6", `usr/lib/a\x2db c.slice`}},
		pack{"old", "", 10, []string{"lib/old.so", "usr/share/both", "usr/isdir", "usr/islink", "usr/isfile -> x", "usr/wasdir/", "etc/conf", "var/lib/pacman/"}},
	)+`
symlink /lib to=usr/lib
file /usr/lib/libgcc_s.so.1
symlink /usr/lib/libgcc_s.so to=libgcc_s.so.1
file /usr/lib/libstdc++.so.6
file "/usr/lib/a\\x2db c.slice"
file /usr/lib/old.so
file /usr/share/both
dir /usr/isdir
symlink /usr/islink to=/nowhere
file /usr/isfile
file /usr/wasdir
file /etc/conf
file /etc/conf.pacnew
symlink /etc/systemd/wants/x to=/usr/lib/old.so
file /var/lib/pacman/sync/core.db
file /var/log/pacman.log
`, lines(
		"/etc/conf alpm/old",
		"/etc/conf.pacnew alpm/old",
		"/etc/systemd/wants/x alpm/old",
		`/usr/lib/a\x2db c.slice alpm/gcc`,
		"/usr/lib/libgcc_s.so alpm/gcc",
		"/usr/lib/libgcc_s.so.1 alpm/gcc",
		"/usr/lib/libstdc++.so.6 alpm/gcc",
		"/usr/lib/old.so alpm/old",
		"/usr/share/both alpm/.shared",
		"/var/log/pacman.log alpm/.database",
	))
	pkgdbtest.Equal(t, "components", pkgdbtest.Components(outcome.Components), lines(
		"alpm/.database days=1",
		"alpm/.shared clamp=30 updates=10 20 30",
		"alpm/gcc clamp=30 updates=20 30",
		"alpm/old clamp=10 updates=10",
	))
}

// TestPlaces checks that the database is found at the configured path, or else at the usual path.
func TestPlaces(t *testing.T) {
	db := root(pack{"a", "a", 1, []string{"usr/a"}}) + "file /usr/a\n"
	at := func(dir string) string { return strings.ReplaceAll(db, "/var/lib/pacman/", dir+"/") }
	conf := func(text string) string { return file("/etc/pacman.conf", text) }
	for name, text := range map[string]string{
		"usual":          db,
		"configured":     at("/opt/db") + conf("# DBPath = /x\n[options]\nDBPath=/x\n DBPath   = /opt/db/ # here\n[core]\nDBPath = /y\n"),
		"commented":      db + conf("[options]\n#DBPath = /opt/db/\n"),
		"absent":         db + conf("[options]\nDBPath = /opt/db/\n"),
		"relative":       at("/opt/db") + conf("[options]\nDBPath = opt/db\n"),
		"empty":          db + conf("[options]\nDBPath =\n"),
		"image":          at("/usr/lib/sysimage/lib/pacman"),
		"linked":         at("/usr/lib/sysimage/lib/pacman") + "symlink /var/lib/pacman to=../../usr/lib/sysimage/lib/pacman\n",
		"empty leftover": at("/usr/lib/sysimage/lib/pacman") + "dir /var/lib/pacman/local\n",
	} {
		tree, outcome := pkgdbtest.Run(t, mkroot.Make(t, text), Repo{})
		if got := pkgdbtest.Claims(tree, Repo{}, true); !strings.Contains(got, "/usr/a alpm/a\n") || strings.Count(got, " alpm/.database\n") != 4 || len(outcome.Warnings) > 0 {
			t.Errorf("%s: got\n%s%q", name, got, outcome.Warnings)
		}
	}
	for _, text := range []string{"dir /usr", "dir /var/lib/pacman/sync", "file /var/lib/pacman/local", conf("[options]\nDBPath = /\n") + "dir /local/x"} {
		r, err := Repo{}.Load(context.Background(), pkgdbtest.Tree(t, mkroot.Make(t, text)))
		if r != nil || err != nil {
			t.Errorf("%s: got %v, %v", text, r, err)
		}
	}
}

func TestDamage(t *testing.T) {
	p := pack{"bad", "base", 5, []string{"usr/bad", "usr/worse"}}
	dir := local + "bad-1.0-2/"
	version := file(local+"ALPM_DB_VERSION", "9\n")
	files := "file /usr/bad\nfile /usr/worse\n"
	packed := zipped(p.mtree())
	whole := file(dir+"files", p.files()) + file(dir+"mtree", packed)
	both := func(comp string) string { return lines("/usr/bad alpm/"+comp, "/usr/worse alpm/"+comp) }
	for name, c := range map[string]struct {
		text, want string
		warn       []string
	}{
		"no desc":     {whole, both("bad"), []string{`reading package "bad": "/var/lib/pacman/local/bad-1.0-2/desc" is missing`}},
		"empty desc":  {file(dir+"desc", "") + whole, both("bad"), []string{`bad-1.0-2/desc": package "": is truncated`}},
		"cut desc":    {file(dir+"desc", "%NAME%\nbad\n\n%BASE%\nba") + whole, both("ba"), []string{`desc": line 5 has no end`, `package "bad": is truncated`}},
		"bad date":    {file(dir+"desc", strings.Replace(p.desc(), "\n5\n", "\nfive\n", 1)) + whole, both("base"), []string{`package "bad": build date "five" is not a number`, `is truncated`}},
		"bad name":    {file(dir+"desc", strings.Replace(p.desc(), "base", "../x", 1)) + whole, "", []string{`skipping a package: "../x" is not a name`}},
		"stray line":  {file(dir+"desc", "stray\n"+p.desc()) + whole, both("base"), []string{`line 1: package "": "stray" is in no section`}},
		"NUL":         {file(dir+"desc", p.desc()) + file(dir+"files", strings.Replace(p.files(), "usr/bad\n", "usr/bad\nx\x00\n", 1)) + file(dir+"mtree", packed), both("base"), []string{`line 4: package "bad": contains a NUL`}},
		"CRLF":        {file(dir+"desc", strings.ReplaceAll(p.desc(), "\n", "\r\n")) + file(dir+"files", strings.ReplaceAll(p.files(), "\n", "\r\n")), both("base"), nil},
		"cut files":   {file(dir+"desc", p.desc()) + file(dir+"files", "%FILES%\nusr/\nusr/bad\n") + file(dir+"mtree", packed), both("base"), []string{`files": the list is truncated: package "bad" also has "usr/worse"`}},
		"cut line":    {file(dir+"desc", p.desc()) + file(dir+"files", "%FILES%\nusr/\nusr/bad\nusr/wor") + file(dir+"mtree", packed) + file("/usr/wor", ""), both("base"), []string{`files": line 4 has no end`, `also has "usr/worse"`}},
		"no files":    {file(dir+"desc", p.desc()) + file(dir+"mtree", packed), both("base"), []string{`files" is missing, so its mtree is used`}},
		"cut mtree":   {file(dir+"desc", p.desc()) + file(dir+"files", p.files()) + file(dir+"mtree", packed[:len(packed)/2]), both("base"), []string{`package "bad": reading "/var/lib/pacman/local/bad-1.0-2/mtree"`}},
		"no mtree":    {file(dir+"desc", p.desc()) + file(dir+"files", p.files()), both("base"), nil},
		"plain mtree": {file(dir+"desc", p.desc()) + file(dir+"files", p.files()) + file(dir+"mtree", p.mtree()), both("base"), []string{`mtree"`}},
		"lock":        {file(dir+"desc", p.desc()) + whole + file("/var/lib/pacman/db.lck", ""), both("base"), []string{`found "/var/lib/pacman/db.lck": pacman is running`}},
	} {
		t.Run(name, func(t *testing.T) { check(t, version+c.text+files, c.want, c.warn...) })
	}
	fails(t, file(local+"ALPM_DB_VERSION", "10\n")+whole, `ALPM_DB_VERSION": database format "10" is unknown`)
	fails(t, file(local+"ALPM_DB_VERSION", "\x00")+whole, `database format "" is unknown`)
	fails(t, version+"dir "+dir+"desc", `desc": is not a regular file`)
	fails(t, version+"file "+dir+"desc sparse=1 size=1073741824", `is 1073741824 bytes`)
}

// TestArch assigns the files of a root like Arch's with several hundred files.
func TestArch(t *testing.T) {
	var packs []pack
	var files, want []string
	for i := range 30 {
		p := pack{name: fmt.Sprintf("pkg%02d", i), base: fmt.Sprintf("base%02d", i/2), built: int64(1 + i)}
		for k := range 12 {
			p.paths = append(p.paths, fmt.Sprintf("usr/share/%s/%d/file", p.name, k))
		}
		p.paths = append(p.paths, "usr/lib/"+p.name+".so -> "+p.name+".so.1", "usr/lib/"+p.name+".so.1", "usr/bin/"+p.name)
		for _, name := range p.paths {
			name, target, isLink := strings.Cut(name, " -> ")
			if isLink {
				files = append(files, "symlink /"+name+" to="+target)
			} else {
				files = append(files, "file /"+name)
			}
			want = append(want, "/"+name+" alpm/"+p.base)
		}
		packs = append(packs, p)
	}
	slices.SortFunc(want, func(a, b string) int {
		return slices.Compare(strings.Split(path.Dir(a)+"/"+path.Base(a), "/"), strings.Split(path.Dir(b)+"/"+path.Base(b), "/"))
	})
	outcome := check(t, root(packs...)+lines(files...)+"symlink /bin to=usr/bin\nsymlink /lib to=usr/lib\n", lines(want...))
	if s := outcome.Summaries[0]; s.Packages != 30 || s.Components != 16 {
		t.Errorf("got %+v", s)
	}
}

// TestReal reads a real database, if there is one, together with a tree that contains the files
// listed in it.
func TestReal(t *testing.T) {
	packed, err := os.Open(filepath.Join(os.Getenv("CHUNKAH_TESTDATA"), "arch-pkgdb.tar.gz"))
	if err != nil {
		t.Skip("CHUNKAH_TESTDATA names no folder with arch-pkgdb.tar.gz")
	}
	defer packed.Close()
	dir := t.TempDir()
	packs, paths := unpack(t, packed, dir)
	tree := listed(pkgdbtest.Tree(t, dir), paths)
	outcome, err := assign.Assign(context.Background(), tree, []assign.Repo{Repo{}})
	if err != nil {
		t.Fatal(err)
	}
	if n := outcome.Summaries[0].Packages; n != packs || len(outcome.Warnings) > 0 {
		t.Errorf("got %d of %d packages, %q", n, packs, outcome.Warnings)
	}
	t.Logf("%d records, %+v", len(tree.Files), outcome.Summaries)
}

// listed adds records for paths to a tree without creating files: directories, and regular files
// for everything else.
func listed(tree *assign.Tree, paths []string) *assign.Tree {
	files := slices.Clone(tree.Files)
	for _, p := range paths {
		kind := format.TypeFile
		if strings.HasSuffix(p, "/") {
			kind = format.TypeDir
		}
		files = append(files, &format.File{Path: path.Clean("/" + p), Type: kind})
	}
	slices.SortStableFunc(files, func(a, b *format.File) int { return format.ComparePaths(a.Path, b.Path) })
	files = slices.CompactFunc(files, func(a, b *format.File) bool { return a.Path == b.Path })
	return assign.NewTree(tree.Root, files)
}

// unpack unpacks a database and returns the number of its packages and their paths.
func unpack(t *testing.T, r io.Reader, dir string) (packs int, paths []string) {
	t.Helper()
	z, err := gzip.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	for tr := tar.NewReader(z); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return packs, paths
		}
		if err != nil {
			t.Fatal(err)
		}
		full := filepath.Join(dir, filepath.Clean("/"+h.Name))
		err = os.MkdirAll(filepath.Dir(full), 0o755)
		if err == nil && h.Typeflag == tar.TypeReg {
			var raw []byte
			if raw, err = io.ReadAll(tr); err == nil {
				err = os.WriteFile(full, raw, 0o644)
			}
			switch path.Base(h.Name) {
			case "desc":
				packs++
			case "files":
				list, _, _ := strings.Cut(strings.TrimPrefix(string(raw), "%FILES%\n"), "\n\n")
				paths = append(paths, strings.Fields(list)...)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
