package rpm

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/assign"
)

// spec describes two packages from one source package, with all special kinds of files: a shared
// directory, a ghost, documentation, a link and a moved file.
const spec = `
Name: one
Version: 1.0
Release: 1
Summary: s
License: l
BuildArch: noarch
%description
d
%package libs
Summary: s
%description libs
d
%build
%install
mkdir -p %{buildroot}/usr/lib/one %{buildroot}/usr/share/doc/one %{buildroot}/var/cache/one %{buildroot}/etc
echo program > %{buildroot}/usr/lib/one/program
echo library > %{buildroot}/usr/lib/one/library
echo moved > %{buildroot}/etc/moved
echo text > %{buildroot}/usr/share/doc/one/text
echo cache > %{buildroot}/var/cache/one/cache
ln -s program %{buildroot}/usr/lib/one/link
%files
%dir /usr/lib/one
/usr/lib/one/program
/usr/lib/one/link
/etc/moved
%doc /usr/share/doc/one/text
%ghost /var/cache/one/cache
%files libs
%dir /usr/lib/one
/usr/lib/one/library
%changelog
* Tue Mar 05 2024 A <a@example.org> - 1.0-1
- b
* Wed Mar 01 2023 A <a@example.org> - 0.9-1
- a
`

// rpmRoot builds the packages of spec and installs them with the real rpm.
func rpmRoot(t *testing.T, dbpath string) string {
	t.Helper()
	for _, program := range []string{"rpm", "rpmbuild"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("rpm --root takes root")
	}
	work := t.TempDir()
	file := filepath.Join(work, "one.spec")
	if err := os.WriteFile(file, []byte(spec), 0o644); err != nil {
		t.Fatal(err)
	}
	command(t, "rpmbuild", "-bb", "--define", "_topdir "+work, file)
	packages, err := filepath.Glob(filepath.Join(work, "RPMS/noarch/*.rpm"))
	if err != nil || len(packages) != 2 {
		t.Fatal(packages, err)
	}
	root := filepath.Join(work, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	command(t, "rpm", append([]string{"--root", root, "--dbpath", dbpath, "-i", "--nodeps", "--excludedocs"}, packages...)...)
	return root
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Skipf("%s does not work here: %v\n%s", name, err, out)
	}
}

func TestRealRPM(t *testing.T) {
	tr := &tree{t: t, dir: rpmRoot(t, "/usr/lib/sysimage/rpm")}
	if err := os.Rename(tr.dir+"/etc/moved", tr.dir+"/usr/lib/moved"); err != nil {
		t.Fatal(err)
	}
	tr.file("/var/cache/one/cache", "made later").file("/usr/share/doc/one/text", "text\n")
	tr.files = nil
	err := filepath.WalkDir(tr.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		kind, size := format.TypeFile, info.Size()
		switch d.Type() {
		case os.ModeDir:
			kind, size = format.TypeDir, 0
		case os.ModeSymlink:
			kind, size = format.TypeSymlink, 0
		}
		tr.record("/"+strings.TrimPrefix(strings.TrimPrefix(path, tr.dir), "/"), kind, size)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(tr.tagged(), "\n")
	got = slices.DeleteFunc(got, func(line string) bool { return strings.HasSuffix(line, " rpm/.database") })
	equal(t, lines(got...), lines(
		"/usr/lib/moved rpm/one",
		"/usr/lib/one rpm/one",
		"/usr/lib/one/library rpm/one",
		"/usr/lib/one/link rpm/one",
		"/usr/lib/one/program rpm/one",
	))
	r, err := Repo{}.Load(context.Background(), assign.NewTree(tr.open().Root, tr.files))
	if err != nil {
		t.Fatal(err)
	}
	list := componentsOf(r)
	one := list[slices.IndexFunc(list, func(c *format.Component) bool { return c.Name == "rpm/one" })]
	if len(r.Packages) != 2 || len(one.Updates) != 3 || one.Updates[1] != 1709640000 || one.MtimeClamp != one.Updates[2] {
		t.Errorf("got %d packages, %+v", len(r.Packages), one)
	}
}
