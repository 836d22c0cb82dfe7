package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"chunkah/format"
	"chunkah/lib/chain"
	"chunkah/lib/oci"
	"chunkah/lib/pipeline"
	"chunkah/lib/rootfs"
	"chunkah/lib/scan"
	"chunkah/tests/mkroot"
)

// packaged is the component of everything below /usr/pkg in these tests. Its mtime clamp is
// packagedTime.
const packaged, packagedTime = "dpkg/pkg", int64(mkroot.Epoch - 1000)

// examine creates the root that a text describes and examines it. The files listed in now get an
// mtime with nanoseconds.
func examine(t *testing.T, text string, header format.Header, opt Options, now ...string) []Finding {
	t.Helper()
	dir := mkroot.Make(t, text)
	for _, name := range now {
		at := time.Unix(mkroot.Epoch, 1)
		if err := os.Chtimes(dir+name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	return examineDir(t, dir, header, opt)
}

func examineDir(t *testing.T, dir string, header format.Header, opt Options) []Finding {
	t.Helper()
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	opt.Root = root
	e := New(opt)
	var faults *scan.FaultsError
	err = pipeline.Run(context.Background(),
		pipeline.Stage{Name: "scan", Run: func(ctx context.Context, _ format.Source, out format.Sink) error {
			_, err := scan.Run(ctx, root, header, scan.Options{Components: components}, withPackage{out})
			if errors.As(err, &faults) {
				return out.Finish()
			}
			return err
		}},
		pipeline.Stage{Name: "doctor", Run: func(ctx context.Context, in format.Source, _ format.Sink) error { return e.Run(ctx, in) }},
	)
	if err != nil {
		t.Fatal(err)
	}
	if faults != nil {
		e.Faults(faults.Faults)
	}
	return e.Findings()
}

func components(f *format.File) ([]string, error) {
	if strings.HasPrefix(f.Path, "/usr/pkg/") || f.Path == "/etc/hosts" {
		return []string{packaged}, nil
	}
	return []string{"chunkah/unclaimed"}, nil
}

// withPackage inserts the component packaged after the header.
type withPackage struct{ format.Sink }

func (w withPackage) Write(rec format.Record) error {
	if err := w.Sink.Write(rec); err != nil {
		return err
	}
	if _, first := rec.(*format.Header); first {
		return w.Sink.Write(&format.Component{Name: packaged, MtimeClamp: packagedTime, HasMtimeClamp: true})
	}
	return nil
}

// show formats a finding and its places in one line.
func show(f Finding) string {
	line := string(f.ID) + ":"
	for _, p := range f.Places {
		line += " " + p.Path
	}
	return line
}

func showAll(list []Finding) (lines []string) {
	for _, f := range list {
		lines = append(lines, show(f))
	}
	return lines
}

const (
	hashedPyc = `"\xf3\x0d\x0d\x0a\x03\x00\x00\x00AAAABBBBcode"`
	timedPyc3 = `"\xf3\x0d\x0d\x0a\x00\x00\x00\x00\x00\xf1\x53\x65BBBBcode"` // Epoch
)

// Each kind of problem is found, and similar harmless files are not reported.
func TestFindings(t *testing.T) {
	dated := format.Header{SourceDate: mkroot.Epoch, HasSourceDate: true}
	found := make(map[ID]bool)
	for _, test := range []struct {
		name, root string
		header     format.Header
		now        []string
		want       []string
	}{
		{name: "a good root", root: `
dir /boot/efi
dir /run/lock/subsys mode=0755
dir /tmp mode=1777
dir /var/tmp mode=1777
dir /sysroot
symlink /ostree to=sysroot/ostree
dir /var/log/journal
file /var/log/wtmp
symlink /var/log/README to=../doc
file /var/cache/apt/archives/lock
dir /var/cache/apt/archives/partial
file /var/lib/apt/lists/lock
file /var/lib/dpkg/status text=s
file /var/lib/dpkg/lock
file /usr/lib/sysimage/rpm/rpmdb.sqlite text=s
file /var/lib/rpm/.rpm.lock
file /etc/machine-id
file /etc/hostname text="localhost\n"
file /etc/resolv.conf text="# nameserver 192.0.2.1\n"
file /etc/ssh/sshd_config text=x
file /root/.bashrc text=x
file /root/.cache/ms-playwright/browser text=x
`},
		{name: "boot", root: "file /boot/vmlinuz-6 text=k\nfile /boot/initrd.img-6 text=ii", want: []string{"boot-files: /boot/initrd.img-6 /boot/vmlinuz-6"}},
		{name: "run", root: "file /run/x.pid text=1\nsymlink /run/y to=x", want: []string{"run-files: /run/x.pid /run/y"}},
		{name: "tmp", root: "file /tmp/x\nfile /var/tmp/d/y", want: []string{"tmp-files: /tmp/x /var/tmp/d/y"}},
		{name: "ostree", root: "file /sysroot/ostree/repo/objects/00/a.file\nfile /sysroot/ostree/repo/config text=c", want: []string{
			"ostree-sysroot: /sysroot/ostree/repo/config /sysroot/ostree/repo/objects/00/a.file"}},
		{name: "package-manager caches", root: "file /var/lib/apt/lists/x_Packages text=p\nfile /var/cache/apt/pkgcache.bin text=p\nfile /home/u/.cache/pip/http/a text=x\nfile /var/cache/dnf/x.solv text=x", want: []string{
			"package-cache: /home/u/.cache/pip/http/a /var/cache/apt/pkgcache.bin /var/cache/dnf/x.solv /var/lib/apt/lists/x_Packages"}},
		{name: "logs", root: "file /var/log/dpkg.log text=1\nfile /var/log/journal/0/system.journal text=1", want: []string{"log-files: /var/log/dpkg.log /var/log/journal/0/system.journal"}},
		{name: "caches of the system", root: "file /var/cache/ldconfig/aux-cache text=x\nfile /var/cache/man/de/index.db text=x", want: []string{"system-caches: /var/cache/ldconfig/aux-cache /var/cache/man/de/index.db"}},
		{name: "rpm database", root: "file /var/lib/rpm/__db.001 text=x\nfile /usr/lib/sysimage/rpm/rpmdb.sqlite-shm text=x\nfile /usr/lib/sysimage/rpm/rpmdb.sqlite-wal", want: []string{
			"rpmdb-leftovers: /usr/lib/sysimage/rpm/rpmdb.sqlite-shm /usr/lib/sysimage/rpm/rpmdb.sqlite-wal /var/lib/rpm/__db.001"}},
		{name: "history of dnf", root: "file /var/lib/dnf/history.sqlite text=x\nfile /var/lib/dnf/history.sqlite-wal text=x", want: []string{"rpm-history: /var/lib/dnf/history.sqlite /var/lib/dnf/history.sqlite-wal"}},
		{name: "dpkg", root: "file /var/lib/dpkg/status-old text=x\nfile /var/backups/dpkg.status.0 text=x", want: []string{"dpkg-leftovers: /var/backups/dpkg.status.0 /var/lib/dpkg/status-old"}},
		{name: "dpkg, stopped", root: "file /var/lib/dpkg/updates/0001 text=x\nfile /var/lib/dpkg/tmp.ci/control text=x", want: []string{"dpkg-unfinished: /var/lib/dpkg/tmp.ci/control /var/lib/dpkg/updates/0001"}},
		{name: "files of the builder", root: `file /etc/hostname text="builder7\n"` + "\n" + `file /etc/resolv.conf text="# x\nnameserver 192.0.2.1\n"`, want: []string{"builder-files: /etc/hostname /etc/resolv.conf"}},
		{name: "resolver of systemd", root: "symlink /etc/resolv.conf to=../run/systemd/resolve/stub-resolv.conf"},
		{name: "machine ID", root: `file /etc/machine-id text="0123456789abcdef0123456789abcdef\n"`, want: []string{"machine-id: /etc/machine-id"}},
		{name: "machine ID of D-Bus", root: `file /var/lib/dbus/machine-id text="0123456789abcdef0123456789abcdef\n"`, want: []string{"machine-id: /var/lib/dbus/machine-id"}},
		{name: "no machine ID yet", root: `file /etc/machine-id text="uninitialized\n"` + "\nsymlink /var/lib/dbus/machine-id to=/etc/machine-id"},
		{name: "keys", root: "file /etc/ssh/ssh_host_rsa_key text=k\nfile /etc/ssh/ssh_host_rsa_key.pub text=k\nfile /etc/ssh/ssh_config text=c", want: []string{"ssh-host-keys: /etc/ssh/ssh_host_rsa_key /etc/ssh/ssh_host_rsa_key.pub"}},
		{name: "seed", root: "file /var/lib/systemd/random-seed text=r\nfile /var/lib/dhcp/dhclient.leases", want: []string{"machine-secrets: /var/lib/systemd/random-seed"}},
		{name: "history", root: "file /root/.bash_history text=h\nfile /home/u/.python_history", want: []string{"shell-history: /root/.bash_history"}},
		{name: "compiled Python", root: "file /srv/a.pyc text=" + timedPyc3 + "\nfile /srv/b.pyc text=" + hashedPyc + "\nfile /srv/c.pyc text=short\nfile /usr/pkg/d.pyc text=" + timedPyc3, want: []string{"pyc-times: /srv/a.pyc"}},
		{name: "compiled Python, dated", root: "file /srv/a.pyc text=" + timedPyc3, header: dated},
		{name: "compiled Python, dated earlier", root: "file /srv/a.pyc text=" + timedPyc3, header: format.Header{SourceDate: mkroot.Epoch - 1, HasSourceDate: true}, want: []string{
			"pyc-times: /srv/a.pyc", "newer-than-source-date: /srv/a.pyc"}},
		{name: "files of this build", root: "file /srv/a text=x\nfile /srv/b text=x\nfile /usr/pkg/c text=x\ndir /srv/d", now: []string{"/srv/a", "/usr/pkg/c", "/srv/d"}, want: []string{"build-times: /srv/a"}},
		{name: "files of this build, with a date", root: "file /srv/a text=x", now: []string{"/srv/a"}, header: dated},
		{name: "newer files", root: fmt.Sprintf("file /srv/a mtime=%d\nfile /srv/b mtime=%d\nfile /usr/pkg/c mtime=%d\nsymlink /srv/l to=x mtime=%[1]d", mkroot.Epoch+1, mkroot.Epoch, mkroot.Epoch+1), header: dated, want: []string{
			"newer-than-source-date: /srv/a /srv/l"}},
		{name: "a package newer than the date", root: "file /usr/pkg/c\nfile /usr/pkg/d mtime=1", header: format.Header{SourceDate: packagedTime - 1, HasSourceDate: true}, want: nil},
		{name: "a bootable root", root: bootable},
		{name: "/var/run", root: strings.Replace(bootable, "symlink /var/run to=../run", "dir /var/run", 1), want: []string{"var-run: /var/run"}},
		{name: "/usr/etc", root: bootable + "file /usr/etc/x\n", want: []string{"etc-usretc: /etc/ /usr/etc/"}},
		{name: "two kernels", root: bootable + "file /usr/lib/modules/7/vmlinuz\nfile /usr/lib/modules/7/x/vmlinuz\n", want: []string{"kernel-count: /usr/lib/modules/6/ /usr/lib/modules/7/"}},
		{name: "mount points", root: strings.NewReplacer("dir /dev\n", "", "dir /tmp\n", "symlink /tmp to=var/tmp\n").Replace(bootable), want: []string{"api-directories: /dev /tmp"}},
		{name: "another link", root: strings.Replace(bootable, "sysroot/ostree", "/sysroot/ostree", 1), want: []string{"ostree-link: /ostree /sysroot"}},
		{name: "a base image", root: bootable + "dir " + baseImage + "/sysroot\nsymlink " + baseImage + "/ostree to=sysroot/ostree\n"},
		{name: "a base image without the link", root: bootable + "dir " + baseImage + "/sysroot\n", want: []string{"ostree-link: " + baseImage + "/ostree " + baseImage + "/sysroot"}},
		{name: "no bootable root", root: "dir /var/run\ndir /etc\ndir /usr/etc\n"},
		{name: "sealed kernels", root: bootable + sealed("/usr/lib/modules/6/a.efi", "quiet composefs="+strings.Repeat("ab", 64)+"\x00") +
			sealed("/usr/lib/modules/6/plain.efi", "quiet") + "file /usr/lib/modules/6/no.efi text=MZ\n" + sealed("/boot/EFI/Linux/b.efi", "composefs=?ab"),
			want: []string{"sealed-image: /boot/EFI/Linux/b.efi /usr/lib/modules/6/a.efi", "boot-files: /boot/EFI/Linux/b.efi"}},
		{name: "kernel arguments", root: bootable + `file /usr/lib/bootc/kargs.d/10-a.toml text="kargs = [\"quiet\"]\n"` + "\n" +
			"file /usr/lib/bootc/kargs.d/20-b.toml text=\"kargs = quiet\"\nfile /usr/lib/bootc/kargs.d/README text=x\n", want: []string{"bootc-kargs: /usr/lib/bootc/kargs.d/20-b.toml"}},
		{name: "names that are not UTF-8", root: `file "/srv/caf\xe9"` + "\n" + `symlink /srv/l to="\xff"` + bootable + "\nfile /srv/é", want: []string{"non-utf8-names: /srv/caf\xe9 /srv/l"}},
		{name: "names that are not UTF-8, without a kernel", root: `file "/srv/caf\xe9"`},
		{name: "FIFO and socket", root: "fifo /run/p\nsocket /srv/s", want: []string{"special-files: /run/p /srv/s"}},
		{name: "whiteout", root: "file /srv/.wh.x", want: []string{"whiteout-names: /srv/.wh.x"}},
		{name: "hard links across checks", root: "file /tmp/x text=abc\nlink /srv/x to=/tmp/x", want: []string{"tmp-files: /tmp/x"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			list := examine(t, test.root, test.header, Options{}, test.now...)
			for _, f := range list {
				found[f.ID] = true
				if f.What == "" || f.Advice == "" || len(f.Places) == 0 {
					t.Errorf("%+v", f)
				}
			}
			if got := showAll(list); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	found["unreadable-files"], found["overlay-whiteouts"], found["xattr-names"], found["overlong-paths"] = true, true, true, true               // TestFaults
	found["layer-order"], found["ostree-labels"], found["fat-jar"], found["sparse-file"], found["removed-files"] = true, true, true, true, true // separate tests
	for _, id := range IDs() {
		if !found[id] {
			t.Errorf("no test finds %s", id)
		}
	}
}

// chunkah build keeps the special files of an image, so they do not stop the build.
func TestSpecialFilesOfImage(t *testing.T) {
	e := New(Options{Config: &oci.Config{}})
	e.Faults([]scan.Fault{{Kind: scan.FaultSpecial, Path: "/dev/null"}})
	if list := e.Findings(); len(list) != 1 || list[0].Harm != HarmClient {
		t.Errorf("got %+v", list)
	}
}

// Each fault reported by scan becomes a finding.
func TestFaults(t *testing.T) {
	e := New(Options{Dir: "/srv/my root"})
	e.Faults([]scan.Fault{
		{Kind: scan.FaultUnreadable, Path: "/root"}, {Kind: scan.FaultOverlay, Path: "/a"}, {Kind: scan.FaultXattr, Path: "/x y"},
		{Kind: scan.FaultSpecial, Path: "/dev/null"}, {Kind: scan.FaultDeep, Path: "/deep…"},
	})
	list := e.Findings()
	want := []string{"special-files: /dev/null", "unreadable-files: /root", "overlay-whiteouts: /a", "xattr-names: /x y", "overlong-paths: /deep…"}
	if got := showAll(list); !slices.Equal(got, want) {
		t.Fatalf("got %q", got)
	}
	if list[0].Harm != HarmBuild {
		t.Errorf("a special file in a directory: %q", list[0].Harm)
	}
	if want := []string{"--prune", "/dev/"}; !slices.Equal(list[0].Options, want) {
		t.Errorf("got %q", list[0].Options)
	}
	if want := "setfattr --remove=NAME '/srv/my root/x y'"; !strings.HasSuffix(list[3].Advice, want) {
		t.Errorf("got %q", list[3].Advice)
	}
}

// If the source date is older than the packages, the times of more files than necessary are clamped
// to it.
func TestAdviceOnSourceDate(t *testing.T) {
	for date, want := range map[int64]string{
		packagedTime - 1: fmt.Sprintf("set SOURCE_DATE_EPOCH no earlier than the newest package, which is from 2023-11-14 (%d); build with --previous", packagedTime),
		packagedTime:     "build with --previous",
	} {
		list := examine(t, "file /srv/a\nfile /usr/pkg/c", format.Header{SourceDate: date, HasSourceDate: true}, Options{Dir: "/r"})
		if len(list) != 1 || !strings.HasPrefix(list[0].Advice, want) {
			t.Errorf("%d: got %+v, want %q", date, list, want)
		}
	}
}

// Ignored checks are skipped. Other checks then examine their files.
func TestIgnore(t *testing.T) {
	got := showAll(examine(t, "file /tmp/x\nfifo /p", format.Header{}, Options{Ignore: []ID{"tmp-files", "special-files"}}, "/tmp/x"))
	if want := []string{"build-times: /tmp/x"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// Many files in one directory become one place. If a check is about a whole directory, that
// directory becomes one place too. Hard links count once.
func TestPlaces(t *testing.T) {
	var root strings.Builder
	for i := range 30 {
		fmt.Fprintf(&root, "file /var/log/app/%02d.log size=10\nfile /sysroot/ostree/%02d/f size=1\n", i, i)
	}
	root.WriteString("link /var/log/app/again.log to=/var/log/app/00.log\nfile /var/log/other.log size=7")
	list := examine(t, root.String(), format.Header{}, Options{Dir: "/r"})
	want := []Finding{
		{ID: "ostree-sysroot", Files: 30, Bytes: 30, Places: []Place{{"/sysroot/", 30, 30}}, Options: []string{"--prune", "/sysroot/"}},
		{ID: "log-files", Files: 32, Bytes: 307, Places: []Place{{"/var/log/app/", 31, 300}, {"/var/log/other.log", 1, 7}}},
	}
	if len(list) != len(want) {
		t.Fatalf("got %+v", list)
	}
	for i, w := range want {
		g := list[i]
		if g.ID != w.ID || g.Files != w.Files || g.Bytes != w.Bytes || !slices.Equal(g.Places, w.Places) || !slices.Equal(g.Options, w.Options) {
			t.Errorf("got %+v, want %+v", g, w)
		}
	}
	if want := "delete them: find /r/var/log -type f -delete"; list[1].Advice != want {
		t.Errorf("got %q", list[1].Advice)
	}
}

// The advice keeps the only kernel, and a write-ahead log with packages that the database lacks.
func TestConditionalAdvice(t *testing.T) {
	for _, test := range []struct{ name, root, want string }{
		{"the only kernel", "file /boot/vmlinuz-6", "for a bootable image, move kernel and initramfs to /usr/lib/modules/VERSION/vmlinuz and initramfs.img; then exclude them: --prune /boot/"},
		{"another kernel", "file /boot/vmlinuz-6" + bootable, "exclude them: --prune /boot/"},
		{"Berkeley DB", "file /var/lib/rpm/__db.001 text=x", "exclude them: --prune /var/lib/rpm/__db.001"},
		{"open database", "file /var/lib/rpm/rpmdb.sqlite-shm text=x", "close the database: sqlite3 /r/var/lib/rpm/rpmdb.sqlite 'PRAGMA journal_mode = DELETE'"},
		{"log", "file /var/lib/rpm/rpmdb.sqlite-wal text=x", "close the database, which merges its log: sqlite3 /r/var/lib/rpm/rpmdb.sqlite 'PRAGMA journal_mode = DELETE'"},
		{"machine ID", "file /etc/machine-id text=x\nfile /var/lib/dbus/machine-id text=x", "clear it, so that each machine creates its own ID: truncate --size=0 /r/etc/machine-id && ln -sf /etc/machine-id /r/var/lib/dbus/machine-id"},
		{"FIFO", "fifo /srv/p\nfifo /dev/p", "exclude them: --skip-special-files; or keep FIFOs and devices: --keep-special-files"},
		{"home", "file /home/u/.npm/_cacache/x text=x", "exclude them: --prune /home/u/.npm/_cacache/"},
		{"odd name", `file "/home/a b'c/.bash_history" text=x`, `exclude them: --prune '/home/a b'\''c/.bash_history'`},
	} {
		t.Run(test.name, func(t *testing.T) {
			list := examine(t, test.root, format.Header{}, Options{Dir: "/r"})
			if len(list) != 1 || list[0].Advice != test.want {
				t.Errorf("got %+v", list)
			}
		})
	}
}

// At most one page is read from a file.
func TestLargeFiles(t *testing.T) {
	got := showAll(examine(t, "file /etc/machine-id size=1099511627776 sparse=1\nfile /etc/resolv.conf size=1099511627776 sparse=1", format.Header{}, Options{}))
	if want := []string{"machine-id: /etc/machine-id"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestJSON(t *testing.T) {
	list := examine(t, `file "/tmp/\xff"`, format.Header{}, Options{})
	got, err := json.Marshal(list[0])
	want := `{"id":"tmp-files","spoils":"reuse","what":"files in a directory for temporary files","files":1,"bytes":0,` +
		`"paths":[{"path":"/tmp/�","path_raw":"L3RtcC//","files":1,"bytes":0}],"advice":"exclude them: --prune /tmp/","options":["--prune","/tmp/"]}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
}

// Each kind of finding is documented, and no other kind is.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "\n## Findings\n")
	if !found {
		t.Fatal("no table found")
	}
	var documented []ID
	for line := range strings.Lines(table) {
		if rest, row := strings.CutPrefix(line, "| `"); row {
			id, _, _ := strings.Cut(rest, "`")
			documented = append(documented, ID(id))
		}
	}
	slices.Sort(documented)
	ids := IDs()
	slices.Sort(ids)
	if !slices.Equal(documented, ids) {
		t.Errorf("documented: %q, existing: %q", documented, ids)
	}
}

// The order of an image's layers is a finding if it costs more than twice the best order.
func TestLayerOrder(t *testing.T) {
	stable, volatile := chain.Layer{Bytes: 10_000_000, Stay: 0.99}, chain.Layer{Bytes: 100_000, Stay: 0.3}
	for _, tt := range []struct {
		name   string
		layers []chain.Layer
		what   string
	}{
		{"no image", nil, ""},
		{"one layer", []chain.Layer{volatile}, ""},
		{"the best order", []chain.Layer{stable, stable, volatile}, ""},
		{"another order of equal layers", []chain.Layer{stable, {Bytes: 10_000_000, Stay: 0.98}}, ""},
		{"the volatile one at the bottom", []chain.Layer{volatile, stable, stable},
			"with this order of layers, docker (overlay2) downloads 38.3 times as much per week as with stable layers at the bottom"},
		{"no layer ever changes", []chain.Layer{{Bytes: 5, Stay: 1}, {Bytes: 6, Stay: 1}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found := New(Options{Layers: tt.layers}).Findings()
			if tt.what == "" {
				if len(found) != 0 {
					t.Errorf("got %+v", found)
				}
				return
			}
			if len(found) != 1 || found[0].ID != "layer-order" || found[0].What != tt.what || found[0].Files != 0 || found[0].Bytes != 13_790_103 {
				t.Errorf("got %+v, want %q", found, tt.what)
			}
			if got := New(Options{Layers: tt.layers, Ignore: []ID{"layer-order"}}).Findings(); len(got) != 0 {
				t.Errorf("ignored: got %+v", got)
			}
		})
	}
}
