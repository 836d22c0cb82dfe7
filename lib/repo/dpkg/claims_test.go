package dpkg

import (
	"testing"

	"chunkah/lib/repo/pkgdb/pkgdbtest"
)

var lines = pkgdbtest.Lines

func TestClaims(t *testing.T) {
	check(t, root(
		deb{name: "libc6", fields: "Source: glibc (2.36-9)\nMulti-Arch: same\n", arch: "amd64", list: "/usr/lib/libc.so.6 /usr/lib/libm.so.6 /usr/share/both /gone"},
		deb{name: "libc6", fields: "Source: glibc (2.36-9)\nMulti-Arch: same\n", arch: "i386", list: "/usr/lib/i386/libc.so.6"},
		deb{name: "libc6-dev", fields: "Source: glibc\n", arch: "amd64", list: "/usr/include/stdio.h"},
		deb{name: "libc-bin", fields: "source: glibc\r\n", list: "/usr/bin/ldd"},
		deb{name: "zsh", list: "/bin/zsh /etc/zsh /usr/share/both /usr/share/lost+found"},
	)+file("/var/lib/dpkg/statoverride", "root crontab 2755 /nobody\n", installed)+`
file /usr/include/stdio.h
file /usr/lib/i386/libc.so.6
file /usr/lib/libc.so.6
symlink /usr/lib/libm.so.6 to=libc.so.6
file /usr/share/both
file /usr/bin/ldd
file /bin/zsh
file /etc/zsh/rc
file /nobody
`, lines(
		"/bin/zsh dpkg/zsh",
		"/usr/bin/ldd dpkg/glibc",
		"/usr/include/stdio.h dpkg/glibc",
		"/usr/lib/i386/libc.so.6 dpkg/glibc",
		"/usr/lib/libc.so.6 dpkg/glibc",
		"/usr/lib/libm.so.6 dpkg/glibc",
		"/usr/share/both dpkg/.shared",
	))
}

// TestMerged checks that files listed in /bin and /lib are claimed if these directories are links
// into /usr, and vice versa. The links do not belong to packages that list files below them.
func TestMerged(t *testing.T) {
	check(t, root(
		deb{name: "bash", list: "/bin/bash /usr/bin/bashbug"},
		deb{name: "libfoo", list: "/lib/x86_64-linux-gnu/libfoo.so.1"},
		deb{name: "tool", list: "/usr/sbin/tool"},
		deb{name: "base-files", list: "/lib /lib64 /usr/lib/os-release"},
	)+`
symlink /bin to=usr/bin
symlink /lib to=/usr/lib
symlink /lib64 to=usr/lib64
symlink /usr/sbin to=../sbin
file /usr/bin/bash
file /usr/bin/bashbug
file /usr/lib/x86_64-linux-gnu/libfoo.so.1
file /usr/lib/os-release
dir /usr/lib64
file /sbin/tool
`, lines(
		"/lib dpkg/base-files",
		"/lib64 dpkg/base-files",
		"/sbin/tool dpkg/tool",
		"/usr/bin/bash dpkg/bash",
		"/usr/bin/bashbug dpkg/bash",
		"/usr/lib/os-release dpkg/base-files",
		"/usr/lib/x86_64-linux-gnu/libfoo.so.1 dpkg/libfoo",
	))
}

// TestMergedLinks checks the owners of links that replaced top-level directories, which many
// packages list. These links belong to base-files and libc6, which every Debian system contains, so
// that adding another package moves no link.
func TestMergedLinks(t *testing.T) {
	check(t, root(
		deb{name: "acl", list: "/bin /bin/getfacl /opt /opt/x"},
		deb{name: "base-files", list: "/bin /lib /lib/x /opt /opt/y"},
		deb{name: "libc6", fields: "Source: glibc (2.36-9)\n", list: "/lib /lib/libc.so.6 /lib64 /lib64/ld-linux.so.2 /usr/lib /usr/lib/libc.so"},
		deb{name: "libfoo", list: "/lib64 /lib64/libfoo.so /sbin /sbin/foo"},
	)+`
symlink /bin to=usr/bin
symlink /lib to=usr/lib
symlink /lib64 to=usr/lib64
symlink /opt to=var/opt
symlink /sbin to=usr/sbin
dir /usr/bin
symlink /usr/lib to=lib64
file /usr/lib64/ld-linux.so.2
dir /usr/sbin
dir /var/opt
`, lines(
		"/bin dpkg/base-files",
		"/lib dpkg/.shared",
		"/lib64 dpkg/glibc",
		"/opt dpkg/base-files",
		"/usr/lib64/ld-linux.so.2 dpkg/glibc",
	))
}

func TestDiversions(t *testing.T) {
	check(t, root(
		deb{name: "perl-base", fields: "Source: perl\n", list: "/usr/bin/perldoc /usr/bin/perl"},
		deb{name: "perl-doc", list: "/usr/bin/perldoc"},
		deb{name: "other", list: "/usr/bin/perldoc /usr/bin/local /usr/bin/stayed"},
		deb{name: "diverter", list: "/usr/share/x"},
	)+file("/var/lib/dpkg/diversions", lines(
		"/usr/bin/perldoc", "/usr/bin/perldoc.stub", "perl-doc",
		"/usr/bin/local", "/usr/bin/local.real", ":",
		"/usr/bin/stayed", "/usr/bin/stayed.real", "absent",
		"/etc/unlisted", "/etc/unlisted.orig", "diverter",
	), installed)+`
file /usr/bin/perldoc
file /usr/bin/perldoc.stub
file /usr/bin/perl
file /usr/bin/local
file /usr/bin/local.real
file /usr/bin/stayed
file /etc/unlisted
file /etc/unlisted.orig
`, lines(
		"/etc/unlisted dpkg/diverter",
		"/etc/unlisted.orig dpkg/diverter",
		"/usr/bin/local.real dpkg/other",
		"/usr/bin/perl dpkg/perl",
		"/usr/bin/perldoc dpkg/perl-doc",
		"/usr/bin/perldoc.stub dpkg/.shared",
		"/usr/bin/stayed dpkg/other",
	))
}

// TestAlternatives checks that the chosen alternatives are in their own component, so that the
// candidates' layers do not depend on the choice.
func TestAlternatives(t *testing.T) {
	outcome := check(t, root(
		deb{name: "mawk", list: "/usr/bin/mawk"},
		deb{name: "dpkg", list: "/etc/alternatives/README /usr/bin/update-alternatives"},
		deb{name: "owner", list: "/usr/bin/listed"},
	)+file("/var/lib/dpkg/alternatives/awk", "auto\n/usr/bin/awk\n\n/usr/bin/mawk\n5\n\n", installed)+`
file /usr/bin/mawk
file /usr/bin/update-alternatives
file /etc/alternatives/README
symlink /etc/alternatives/awk to=/usr/bin/mawk
symlink /etc/alternatives/editor to=/gone
symlink /usr/bin/awk to=/etc/alternatives/awk
symlink /usr/bin/listed to=/etc/alternatives/awk
symlink /usr/local/bin/awk to=/etc/alternatives/awk
symlink /etc/service to=/usr/bin/mawk
`, lines(
		"/etc/alternatives/README dpkg/dpkg",
		"/etc/alternatives/awk dpkg/.alternatives",
		"/etc/alternatives/editor dpkg/.alternatives",
		"/etc/service dpkg/mawk",
		"/usr/bin/awk dpkg/.alternatives",
		"/usr/bin/listed dpkg/owner",
		"/usr/bin/mawk dpkg/mawk",
		"/usr/bin/update-alternatives dpkg/dpkg",
	))
	if c := outcome.Components[0]; c.Name != "dpkg/.alternatives" || !c.HasMtimeClamp || c.MtimeClamp != 0 {
		t.Errorf("got %+v", c)
	}
}

// TestStates checks the claims of packages in every state.
func TestStates(t *testing.T) {
	outcome := check(t, root(
		deb{name: "removed", status: "deinstall ok config-files", list: "/etc/removed /etc/taken", fields: "Conffiles:\n /etc/removed 00 \n /etc/cron.d/more 00\n"},
		deb{name: "taker", list: "/etc/taken"},
		deb{name: "purged", status: "purge ok not-installed", fields: "", list: ""},
		deb{name: "half", status: "install reinstreq half-installed", list: "/usr/half"},
		deb{name: "unpacked", status: "install ok unpacked", list: "/usr/unpacked"},
		deb{name: "waits", status: "install ok triggers-awaited", list: "/usr/waits"},
		deb{name: "held", status: "hold ok installed", list: "/usr/held"},
		deb{name: "confs", list: "/usr/confs", fields: "Conffiles:\n /etc/confs 00\n /etc/with blank 00\n /etc/old 00 obsolete\n /etc/moved 00 obsolete\n /etc/going newconffile remove-on-upgrade\n"},
		deb{name: "newhome", list: "/etc/moved"},
	)+`
file /etc/removed
file /etc/cron.d/more
file /etc/taken
file /usr/half
file /usr/unpacked
file /usr/waits
file /usr/held
file /usr/confs
file /etc/confs
file "/etc/with blank"
file /etc/old
file /etc/moved
file /etc/going
file /etc/confs.dpkg-dist
`, lines(
		"/etc/confs dpkg/confs",
		"/etc/confs.dpkg-dist dpkg/confs",
		"/etc/cron.d/more dpkg/removed",
		"/etc/going dpkg/confs",
		"/etc/moved dpkg/newhome",
		"/etc/old dpkg/confs",
		"/etc/removed dpkg/removed",
		"/etc/taken dpkg/taker",
		"/etc/with blank dpkg/confs",
		"/usr/confs dpkg/confs",
		"/usr/half dpkg/half",
		"/usr/held dpkg/held",
		"/usr/unpacked dpkg/unpacked",
		"/usr/waits dpkg/waits",
	), `found packages that dpkg did not finish installing (dpkg --configure -a finishes them): "half", "unpacked"`)
	if n := outcome.Summaries[0].Packages; n != 8 {
		t.Errorf("got %d packages", n)
	}
}

// TestTypes checks that directories are claimed only as directories, and that md5sums claims only
// regular files.
func TestTypes(t *testing.T) {
	tree := root(
		deb{name: "a", list: "/usr/share/a/empty /usr/share/filedir"},
		deb{name: "b", list: "/usr/share/a/b"},
		deb{name: "listless", sums: "usr/bin/real usr/bin/link usr/bin/dir ./usr/bin/dotted"},
	) + `
dir /usr/share/a/empty
dir /usr/share/filedir
file /usr/share/a/b
file /usr/bin/real
file /usr/bin/dotted
symlink /usr/bin/link to=/nowhere
dir /usr/bin/dir
`
	check(t, tree, lines("/usr/bin/dotted dpkg/listless", "/usr/bin/real dpkg/listless", "/usr/share/a/b dpkg/b"),
		`the file lists of "listless" are missing, so only files with digests are assigned to these packages`)
}

// TestGenerated checks the owners of files that are in no list.
func TestGenerated(t *testing.T) {
	check(t, root(
		deb{name: "ca-certificates", list: "/usr/share/ca-certificates/one.crt"},
		deb{name: "python3-x", fields: "Source: x\n", list: "/usr/lib/python3/dist-packages/x.py"},
		deb{name: "cron", list: "/lib/systemd/system/cron.service"},
	)+`
symlink /lib to=usr/lib
file /usr/share/ca-certificates/one.crt
file /etc/ssl/certs/ca-certificates.crt
symlink /etc/ssl/certs/one.pem to=/usr/share/ca-certificates/one.crt
symlink /etc/ssl/certs/0a1b.0 to=one.pem
file /usr/lib/python3/dist-packages/x.py
file /usr/lib/python3/dist-packages/__pycache__/x.cpython-311.pyc
file /usr/lib/systemd/system/cron.service
symlink /etc/systemd/system/multi-user.target.wants/cron.service to=/lib/systemd/system/cron.service
file /etc/ld.so.cache
`, lines(
		"/etc/ssl/certs/0a1b.0 dpkg/ca-certificates",
		"/etc/ssl/certs/ca-certificates.crt dpkg/ca-certificates",
		"/etc/ssl/certs/one.pem dpkg/ca-certificates",
		"/etc/systemd/system/multi-user.target.wants/cron.service dpkg/cron",
		"/usr/lib/python3/dist-packages/__pycache__/x.cpython-311.pyc dpkg/x",
		"/usr/lib/python3/dist-packages/x.py dpkg/x",
		"/usr/lib/systemd/system/cron.service dpkg/cron",
		"/usr/share/ca-certificates/one.crt dpkg/ca-certificates",
	))
}

// TestDistroless checks status.d, where files can have any name.
func TestDistroless(t *testing.T) {
	entry := func(name, more string) string {
		return "Package: " + name + "\nVersion: 1\nArchitecture: amd64\n" + more + "Description: x"
	}
	outcome := check(t, file("/var/lib/dpkg/status.d/base-files", entry("base-files", ""), 0)+
		file("/var/lib/dpkg/status.d/base-files.md5sums", sumsOf("/usr/lib/os-release"), 0)+
		file("/var/lib/dpkg/status.d/bGliYzY=", entry("libc6", "Source: glibc\n"), 0)+
		file("/var/lib/dpkg/status.d/bGliYzY=.md5sums", sumsOf("/usr/lib/libc.so.6"), 0)+
		file("/var/lib/dpkg/status.d/ssl", entry("libssl3", "Source: openssl (3)\n"), 0)+
		file("/var/lib/dpkg/status.d/libssl3.md5sums", sumsOf("/usr/lib/libssl.so.3"), 0)+
		file("/var/lib/dpkg/status.d/libssl3.conffiles", "/etc/ssl/openssl.cnf\n/etc/gone\n", 0)+
		file("/var/lib/dpkg/status.d/tz", entry("tzdata", ""), 0)+
		file("/var/lib/dpkg/info/tzdata.list", listOf("/usr/share/zoneinfo/UTC"), 0)+
		file("/var/lib/dpkg/status.d/nothing", entry("nothing", ""), 0)+
		`
file /usr/lib/os-release mtime=1400000000
file /usr/lib/libc.so.6
file /usr/lib/libssl.so.3
symlink /usr/lib/libssl.so to=libssl.so.3
file /etc/ssl/openssl.cnf
file /usr/share/zoneinfo/UTC
`, lines(
		"/etc/ssl/openssl.cnf dpkg/openssl",
		"/usr/lib/libc.so.6 dpkg/glibc",
		"/usr/lib/libssl.so dpkg/openssl",
		"/usr/lib/libssl.so.3 dpkg/openssl",
		"/usr/lib/os-release dpkg/base-files",
		"/usr/share/zoneinfo/UTC dpkg/tzdata",
	), `the file lists of "nothing" are missing`)
	if c := outcome.Components[1]; c.Name != "dpkg/base-files" || c.MtimeClamp != 1400000000 {
		t.Errorf("got %+v", c)
	}
}
