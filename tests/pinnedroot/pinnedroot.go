// Package pinnedroot makes the root of the images with pinned digests. The root has the same bytes
// on every machine and for every user. It contains everything that an image can contain: packages
// of rpm, dpkg and Python, every type of file, owners, xattrs, capabilities, ACLs, hard links, odd
// names, and a component larger than a compressed block. Creating the root requires root
// privileges, and reading it requires the permissions of Reader.
package pinnedroot

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"chunkah/tests/mkroot"
)

// Reader is the ID of the user and group that can read the whole root. Only this user or this group
// can read two of the files.
const Reader = 65534

// Many is a directory of the root that contains so many names that their order on disk depends on
// the file system.
const Many = "/usr/share/many"

// manyNames is the number of names in Many. It is more than xfs stores in an inode of 512 bytes,
// and less than fits into a block of ext4.
const manyNames = 64

// Database is the path of the rpm database in the root.
const Database = "/var/lib/rpm/rpmdb.sqlite"

// module is a Go module whose test data contain an rpm database from a container of CBL-Mariner 2.0
// with 129 packages.
const (
	module   = "github.com/knqyf263/go-rpmdb"
	database = "pkg/testdata/cbl-mariner-2.0/rpmdb.sqlite"
)

// text describes the files of the root, with generated contents. The files that the rpm database
// lists come first.
const text = `
dir /tmp mode=1777
symlink /bin to=usr/bin
file /usr/bin/bash size=120000 mode=0755 mtime=1643073563
symlink /usr/bin/sh to=bash mtime=1643073563
file /usr/bin/grep size=70000 mode=0755 mtime=1643075672
file /usr/bin/egrep text="grep -E\n" mode=0755 mtime=1643075672
file /usr/lib/libz.so.1.2.11 size=102800 mode=0755 mtime=1643072463
symlink /usr/lib/libz.so.1 to=libz.so.1.2.11 mtime=1643072463
file /usr/share/licenses/zlib/LICENSE_1_0.txt text="the same licence\n" mtime=1643072463
link /usr/share/licenses/grep/COPYING to=/usr/share/licenses/zlib/LICENSE_1_0.txt
file /etc/hosts text="127.0.0.1 localhost\n" mtime=1643072259
file /etc/bash.bashrc text="umask 027\n" mtime=1700000001

file /var/lib/dpkg/status text="Package: libtool1\nStatus: install ok installed\nArchitecture: amd64\nSource: tool (1.0)\nVersion: 1.0\nDescription: x\n\nPackage: tool\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0\nDescription: x\n\n"
file /var/lib/dpkg/info/format text="1\n"
file /var/lib/dpkg/info/libtool1:amd64.list text="/.\n/usr\n/usr/lib\n/usr/lib/libtool.so.1\n"
file /var/lib/dpkg/info/tool.list text="/.\n/usr\n/usr/bin\n/usr/bin/tool\n/usr/bin/send\n"
file /usr/lib/libtool.so.1 size=40000 mtime=1650000000
file /usr/bin/tool size=5000 mode=4755 mtime=1650000000
file /usr/bin/send text=x mode=0755 xattr:security.capability="\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

file /usr/lib/python3/dist-packages/six.py size=30000
file /usr/lib/python3/dist-packages/six-1.17.0.dist-info/METADATA text="Metadata-Version: 2.1\nName: six\nVersion: 1.17.0\n"
file /usr/lib/python3/dist-packages/six-1.17.0.dist-info/RECORD text="six.py,,\nsix-1.17.0.dist-info/METADATA,,\nsix-1.17.0.dist-info/RECORD,,\n"

file /opt/web/html/index.html size=3000 xattr:user.component=web mtime=1660000000
file /opt/web/html/undated text=x xattr:user.component=web xattr:user.update-interval=weekly mtime=-5
file /opt/app/run size=900 mode=0755
file /srv/small.bin size=1200000 mtime=1680000000
file /srv/large.bin size=5000000 mtime=1690000000
file /srv/sparse.bin size=1500000 sparse=1
dir /srv/empty mode=2775 uid=1234 gid=3000000

dir /home/reader mode=0700 uid=65534 gid=65534
file /home/reader/notes text=secret mode=0600 uid=65534 gid=65534 xattr:user.note="a\x00b=c\nd" xattr:trusted.note=x
file /home/owned uid=1234 gid=3000000 mode=6755 text=x
file /home/listed text=x xattr:system.posix_acl_access="\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x04\x00\x07\x00\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff\x10\x00\x04\x00\xff\xff\xff\xff\x20\x00\x04\x00\xff\xff\xff\xff"
link /home/link to=/home/listed
symlink /home/dangling to=../../nowhere
symlink "/home/undecodable-\xfe" to="/\xfd"
file "/home/undecodable-\xff" text=y
file "/home/new\nline" text=x
file "/home/back\\slash" text=x
file /home/-dash text=x
file "/home/ space " text=x

fifo /var/pipe mode=0622
socket /var/socket
char /var/null dev=1:3 mode=0666
block /var/disk dev=259:262143
`

// Write creates the directory dir and makes the root in it.
func Write(dir string) error {
	var spec strings.Builder
	spec.WriteString(text)
	fmt.Fprintf(&spec, "file /home/%0255d text=longest\n", 1)
	for i := range manyNames {
		fmt.Fprintf(&spec, "file %s/%d text=%d mtime=%d\n", Many, i*7919%1000, i, 1600000000+i)
	}
	place := filepath.Join(dir, Database)
	if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
		return err
	}
	if err := copyDatabase(place); err != nil {
		return fmt.Errorf("copying an rpm database: %w", err)
	}
	return mkroot.Write(dir, spec.String())
}

// copyDatabase copies the module's database to path.
func copyDatabase(path string) error {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return fmt.Errorf("looking for the module %s: %w", module, err)
	}
	from, err := os.Open(filepath.Join(strings.TrimSpace(string(out)), database))
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.Copy(to, from); err != nil {
		to.Close()
		return err
	}
	return to.Close()
}
