package opkg

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/pkgdb"
	"chunkah/lib/repo/pkgdb/pkgdbtest"
	"chunkah/lib/repo/places/placestest"
	"chunkah/lib/rootfs"
	"chunkah/tests/bound"
)

// entry writes an entry of status as opkg does.
func entry(name, state string, more ...string) string {
	return fmt.Sprintf("Package: %s\nVersion: 1\nDepends: libc\nStatus: install user %s\nArchitecture: x86_64\n%sInstalled-Time: 1700000000\n\n",
		name, state, pkgdbtest.Lines(more...))
}

func TestDatabase(t *testing.T) {
	for _, folder := range folders {
		r := placestest.New(t).File(folder+"/status", entry("libssl3", "installed")+entry("openssl-util", "installed")+entry("busybox", "installed", "Conffiles:", " /etc/busybox.conf 00")+
			entry("gone", "not-installed")+entry("removed", "deinstalled", "Conffiles:", " /etc/removed 00", " /etc/busybox.conf 00"))
		r.File(folder+"/info/libssl3.list", "/usr/lib/libssl.so.3\n/usr/lib/nothing\n").File(folder+"/info/libssl3.control", "Package: libssl3\nSource: package/libs/openssl\n")
		r.File(folder+"/info/openssl-util.list", "/usr/bin/openssl\t0100755\n/usr/bin/c_rehash\t0120777\topenssl\n").File(folder+"/info/openssl-util.control", "Source: openssl_3.0.bb\n")
		r.File(folder+"/info/busybox.list", "/bin/busybox\n").File(folder+"/info/busybox.postinst", "").File("/usr/lib/opkg/alternatives/sh", "")
		r.File("/usr/lib/libssl.so.3", "").File("/usr/bin/openssl", "").Symlink("/usr/bin/c_rehash", "openssl").File("/bin/busybox", "").Symlink("/bin/sh", "busybox")
		r.File("/etc/busybox.conf", "").File("/etc/busybox.conf-opkg", "").File("/etc/removed", "").File("/etc/mine", "")
		a := r.Assign(Repo{})
		a.WantWarnings()
		a.Want(
			"/usr/lib/libssl.so.3", "opkg/openssl", "/usr/bin/openssl", "opkg/openssl", "/usr/bin/c_rehash", "opkg/openssl",
			"/bin/busybox", "opkg/busybox", "/bin/sh", "opkg/busybox", "/etc/busybox.conf", "opkg/busybox", "/etc/busybox.conf-opkg", "opkg/busybox",
			"/etc/removed", "opkg/removed", "/etc/mine", "chunkah/unclaimed",
			folder+"/status", "opkg/.database", folder+"/info/busybox.postinst", "opkg/.database", "/usr/lib/opkg/alternatives/sh", "opkg/.database",
		)
		if got := a.Summaries[0].Packages; got != 4 {
			t.Errorf("%d packages", got)
		}
	}
}

func TestDamage(t *testing.T) {
	const dir = "/var/lib/opkg/"
	r := placestest.New(t).File(dir+"status", entry("a", "installed", "nonsense")+entry("../b", "installed")+entry("listless", "installed"))
	r.File(dir+"info/a.list", "/a\nb\n/c\x00\n").File(dir+"info/lost.list", "/lost\n").File("/a", "").File("/lost", "")
	a := r.Assign(Repo{})
	a.WantWarnings(
		`package "a", line 1: "nonsense" is not a field`, `line 9: skipping an entry: "../b" is not a name`, `a file list of package "lost"`,
		`line 2: "b": is not an absolute path`, "line 3|contains a NUL", `package "listless": no file list`,
	)
	a.Want("/a", "opkg/a", "/lost", "opkg/lost")

	for text, want := range map[string]string{
		entry("a", "installed") + "Package: b\nVers": `package "b", line 8: is truncated`,
		"nonsense\n\n": "contains no package",
		"":             `contains no packages, but "/var/lib/opkg/info" contains file lists of "a"`,
	} {
		r := placestest.New(t).File(dir+"status", text).File(dir+"info/a.list", "/a\n")
		if _, err := (Repo{}).Load(t.Context(), r.Tree()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if r, err := (Repo{}).Load(t.Context(), placestest.New(t).File("/usr/lib/opkg/alternatives/sh", "").Tree()); r != nil || err != nil {
		t.Errorf("got %v, %v", r, err)
	}
}

func TestSources(t *testing.T) {
	for value, want := range map[string]string{
		"package/libs/openssl": "openssl", "bash_5.1.bb": "bash", "bash.bb": "bash", "http://example.org/x.tar.gz": "", "../x": "", ".bb": "",
	} {
		if got := sourceName(value); got != want {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	}
}

// FuzzDatabase reads a database of one package, with a small tree.
func FuzzDatabase(f *testing.F) {
	f.Add([]byte(entry("a", "installed", "Conffiles:", " /usr/x 00")), []byte("/usr/x\t0644\n/usr\n"), []byte("Source: a/b_1.bb\n"))
	f.Add([]byte("Package: a\n"), []byte("/../x\x00\n/loop/x"), []byte("Source:"))
	dir := f.TempDir()
	if err := os.MkdirAll(dir+"/var/lib/opkg/info", 0o755); err != nil {
		f.Fatal(err)
	}
	root, err := rootfs.Open(dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status, list, control []byte) {
		bound.Input(t, len(status)+len(list)+len(control))
		for name, raw := range map[string][]byte{"status": status, "info/a.list": list, "info/a.control": control} {
			if err := os.WriteFile(dir+"/var/lib/opkg/"+name, raw, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		tree := assign.NewTree(root, []*format.File{
			{Path: "/", Type: format.TypeDir}, {Path: "/loop", Type: format.TypeSymlink, Target: "loop"}, {Path: "/usr", Type: format.TypeDir},
			{Path: "/usr/x", Type: format.TypeFile},
		})
		if r, err := (Repo{}).Load(t.Context(), tree); err == nil && r != nil {
			pkgdbtest.Sound(t, tree, r)
		}
		if name := sourceName(string(control)); name != "" && pkgdb.CheckName(name) != nil {
			t.Errorf("got %q", name)
		}
	})
}
