// Package rpmroot makes a root file system with rpm itself: packages are built with rpmbuild and
// installed with rpm --root, without a network. Then the files of a system in use are added. This
// requires root privileges.
//
// The root contains the difficult cases for images: a setuid file, capabilities, ACLs, user xattrs,
// hard links between packages, a merged /usr, long, odd and invalid names, and listed files that
// are missing.
package rpmroot

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// These are the names of the source packages.
const (
	Filesystem = "filesystem"
	Runtime    = "runtime"
	Tools      = "tools"
	Extra      = "extra"
)

// DB is the path of the package database's directory in the root.
const DB = "/usr/lib/sysimage/rpm"

// BuildTime is the build time of each source package, in unix seconds.
var BuildTime = map[string]int64{
	Filesystem: 1600000000,
	Runtime:    1650000000,
	Tools:      1660000000,
	Extra:      1670000000,
}

// Packages contains the names and versions of the packages, as rpm lists them.
var Packages = []string{"extra-3-1", "filesystem-1-1", "runtime-4.18-1", "runtime-libs-4.18-1", "tools-2.0-1"}

// ByHand changes the root after the packages are installed. /usr/share/extra/moved.dat is moved,
// and the licences of two packages become one file. The file whose name has 255 bytes is created
// here, because rpm unpacks a file under a temporary name that is longer.
const ByHand = `
ln -f usr/share/tools/LICENSE usr/share/extra/LICENSE
mkdir -p usr/share/elsewhere opt/web/html opt/app srv/data home/user etc/app.d
mv usr/share/extra/moved.dat usr/share/elsewhere/moved.dat
echo log >var/log/made.log
echo '<p>' >opt/web/html/index.html
setfattr -n user.component -v web opt/web
setfattr -n user.update-interval -v weekly opt/web
head -c 3000000 /dev/zero >srv/data/big.img
ln srv/data/big.img srv/data/big.link
echo app >opt/app/run
chown 1234:2345 opt/app/run
setfattr -n user.note -v 0x6100623d0a63 opt/app/run
setfattr -n user.empty opt/app/run
echo secret >home/user/notes
setfacl -m u:7:r,g:9:rw home/user/notes
setfacl -m u:7:rwx,d:u:7:rwx,d:g:9:rx etc/app.d
printf 'x\n' >"etc/app.d/$(printf 'new\nline')"
deep=$(find usr/share/tools -type d -name '*3')
echo longest >"$deep/$(printf '%0255d' 5)"
ln -s ../../nowhere etc/app.d/dangling
`

type source struct{ name, version, spec string }

// Build creates the directory dir and makes the root in it. work is a directory for intermediate
// files.
func Build(dir, work string) error {
	stage := filepath.Join(work, "stage")
	if err := run(work, nil, "sh", "-ec", stageRuntime, stage); err != nil {
		return fmt.Errorf("gathering rpm and its libraries: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, s := range sources {
		text := "%define stage " + stage + defines + fmt.Sprintf(preamble, s.name, s.version) + s.spec + fmt.Sprintf(changelog, day(s.name, 0), day(s.name, -400))
		if err := build(s.name, text, work); err != nil {
			return err
		}
		// Each source is installed in its own transaction, so that /lib is already a symlink when
		// later packages are installed.
		rpms, _ := filepath.Glob(filepath.Join(work, "out", s.name, "*/*.rpm"))
		args := []string{"--root", dir, "--dbpath", DB, "--install", "--nosignature", "--nodeps", "--excludedocs", "--force-debian"}
		if err := run(work, nil, "rpm", append(args, rpms...)...); err != nil {
			return err
		}
	}
	return run(dir, nil, "sh", "-ec", ByHand)
}

// day returns a date for a changelog, which is this number of days after the package's build time.
func day(name string, days int) string {
	return time.Unix(BuildTime[name], 0).UTC().AddDate(0, 0, days).Format("Mon Jan 02 2006")
}

// build makes the binary packages of one spec below work/out/NAME.
func build(name, text, work string) error {
	spec := filepath.Join(work, name+".spec")
	if err := os.WriteFile(spec, []byte(text), 0o644); err != nil {
		return err
	}
	epoch := fmt.Sprintf("SOURCE_DATE_EPOCH=%d", BuildTime[name])
	return run(work, []string{epoch}, "rpmbuild", "-bb", "--define", "_topdir "+work, "--define",
		"_rpmdir "+filepath.Join(work, "out", name), "--define", "_tmppath "+work, spec)
}

// stageRuntime copies rpm, its libraries and a static busybox from this machine to the directory
// $0. The paths of the libraries stay the same, and are added to the file list of their package.
const stageRuntime = `
mkdir -p "$0/lib/rpm" "$0/lib64"
cp "$(command -v busybox)" "$(command -v rpm)" "$0/"
cp /usr/lib/rpm/rpmrc /usr/lib/rpm/macros "$0/lib/rpm/"
ldd "$(command -v rpm)" | grep -o '/[^ ]*' | sed 's,^/usr,,' | sort -u | while read -r lib; do
	mkdir -p "$0$(dirname "$lib")"
	cp -L "$lib" "$0$lib"
	echo "/usr$lib"
done >"$0/files"
`

// run runs a command in dir. If the command fails, the error contains its output.
func run(dir string, env []string, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "LC_ALL=C"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args[:min(4, len(cmd.Args))], " "), err, out)
	}
	return nil
}
