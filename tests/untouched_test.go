package tests

import (
	"crypto/sha256"
	"database/sql"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pkg/xattr"
	"golang.org/x/sys/unix"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"chunkah/tests/clients"
	"chunkah/tests/pinnedroot"
)

// A site is a location for a root, together with the user who reads the root.
type site struct {
	name         string
	mount        []string // mount options; nil if the root is not mounted again
	owner, asUID uint32
}

// keepsAtime reports whether access times can stay unchanged: only a file's owner and root may
// request that.
func (s site) keepsAtime() bool { return s.mount != nil || s.asUID == 0 || s.asUID == s.owner }

var sites = []site{
	{name: "root"},
	{name: "the owner", owner: pinnedroot.Reader, asUID: pinnedroot.Reader},
	{name: "another user", asUID: pinnedroot.Reader},
	{name: "a read-only mount", mount: []string{"-o", "bind,ro"}},
	{name: "another user on a read-only mount", mount: []string{"-o", "bind,ro"}, asUID: pinnedroot.Reader},
	{name: "a read-only file system", mount: []string{"-o", "remount,ro"}},
	{name: "another user on a read-only file system", mount: []string{"-o", "remount,ro"}, asUID: pinnedroot.Reader},
}

// acts lists commands that run on a root in this order, in one working directory.
var acts = []struct{ name, script string }{
	{"build", `chunkah build --rootfs "$ROOT" --keep-special-files -o a.oci`},
	{"build into a pipe", `chunkah build --rootfs "$ROOT" --keep-special-files | cmp - a.oci`},
	{"build --previous", `chunkah build --rootfs "$ROOT" --keep-special-files --compress gzip --previous a.oci --plan plan -o b.oci`},
	{"build --verify", `chunkah build --rootfs "$ROOT" --keep-special-files --compress zstd --verify -o c.oci`},
	{"scan", `chunkah-scan --keep-special-files "$ROOT" >scanned`},
	{"assign", `chunkah-assign <scanned >assigned`},
	{"assign --explain", `chunkah-assign --explain /usr/bin/bash <scanned`},
	{"pack", `chunkah-pack <assigned >packed`},
	{"write", `chunkah-write <packed | cmp - a.oci`},
	{"diff", `chunkah diff --ignore-mtime "$ROOT" oci-archive:a.oci`},
	{"diff of two roots", `chunkah diff "$ROOT" "$ROOT"`},
	{"doctor", `chunkah doctor "$ROOT" >found || [ $? = 1 ] && grep -q . found`},
	{"its image", `chunkah-scan oci-archive:a.oci | chunkah-assign >again; grep -q '"rpm/bash"' again; ! grep '"rpm/` + deleted + `"' again`},
	{"over an image", `chunkah build --from oci-archive:a.oci --from "$ROOT" --keep-special-files -o d.oci`},
}

// Nothing in the root changes, with any command, location or user. The package database is read
// with its write-ahead log.
func TestLaw5SourceUntouched(t *testing.T) {
	for _, s := range sites {
		t.Run(s.name, func(t *testing.T) {
			disk := filesystem(t, "ext4")
			root := copyTo(t, pinnedRoot(t), disk+"/root")
			leaveOpen(t, root)
			if s.owner != 0 {
				clients.Run(t, exec.Command("chown", "--recursive", "--no-dereference", fmt.Sprintf("%d:%[1]d", s.owner), root))
			}
			work := t.TempDir()
			if s.asUID != 0 {
				for _, path := range []string{root, filepath.Join(work, "x"), filepath.Join(scratch, "bin", "x")} {
					openAbove(t, path)
				}
			}
			root = s.remount(t, disk, root)
			for _, a := range acts {
				untouched(t, root, s.keepsAtime(), func() { s.run(t, a.script, root, work) })
			}
			records, err := os.ReadFile(filepath.Join(work, "assigned"))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(records), `"rpm/`+deleted+`"`) {
				t.Errorf("the package %s, which the write-ahead log has deleted, is still there", deleted)
			}
			if !strings.Contains(string(records), `"rpm/bash"`) {
				t.Error("a package that was not deleted is missing")
			}
		})
	}
}

// remount makes the root of a disk available at its site, and returns the path.
func (s site) remount(t *testing.T, disk, root string) string {
	t.Helper()
	switch {
	case s.mount == nil:
	case strings.Contains(s.mount[1], "bind"):
		return mount(t, root, s.mount...)
	default:
		clients.Run(t, exec.Command("mount", append(s.mount, disk)...))
	}
	return root
}

// run runs a script in a working directory.
func (s site) run(t *testing.T, script, root, work string) {
	t.Helper()
	cmd := exec.Command("bash", "-e", "-o", "pipefail", "-c", script)
	cmd.Dir = work
	cmd.Env = append(os.Environ(), "ROOT="+root, "TMPDIR="+work)
	if s.asUID != 0 {
		if err := os.Chown(work, int(s.asUID), int(s.asUID)); err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: s.asUID, Gid: s.asUID}}
	}
	if res := start(t, cmd); res.code != 0 {
		t.Errorf("%s: status %d\n%s%s", script, res.code, res.stdout, res.stderr)
	}
}

// deleted is a package of the pinned root that leaveOpen deletes.
const deleted = "grep"

// leaveOpen leaves the root's package database as if a process had it open. A package is deleted
// only in the write-ahead log, and SQLite's shared-memory file is next to the log.
func leaveOpen(t *testing.T, root string) {
	t.Helper()
	place := root + pinnedroot.Database
	name := filepath.Join(t.TempDir(), "open")
	clients.Run(t, exec.Command("cp", place, name))
	db, err := sql.Open("sqlite", name)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, statement := range []string{
		"PRAGMA journal_mode=wal", "PRAGMA wal_autocheckpoint=0",
		"DELETE FROM Packages WHERE hnum = (SELECT hnum FROM Name WHERE key = '" + deleted + "')",
		"DELETE FROM Name WHERE key = '" + deleted + "'",
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	for _, ending := range []string{"", "-wal", "-shm"} {
		clients.Run(t, exec.Command("cp", name+ending, place+ending))
	}
}

// Commands do not change source images either.
func TestLaw5ImageUntouched(t *testing.T) {
	disk := filesystem(t, "ext4")
	images := disk + "/images"
	if err := os.Mkdir(images, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, output := range []string{"oci-archive:" + images + "/oci", "docker-archive:" + images + "/docker", "oci:" + images + "/layout"} {
		clients.Run(t, exec.Command("chunkah", "build", "--rootfs", pinnedRoot(t), "--keep-special-files", "-o", output))
	}
	work := t.TempDir()
	for path, kind := range map[string]string{"oci": "oci-archive:", "docker": "docker-archive:", "layout": "oci:"} {
		for _, script := range []string{
			`chunkah build --from "IMAGE" -o a.oci`,
			`chunkah-scan "IMAGE" | chunkah-assign | chunkah-pack | chunkah-write >b.oci`,
			`chunkah build --from "IMAGE" --previous "IMAGE" --compress gzip -o c.oci`,
			`chunkah-scan "IMAGE" | chunkah-assign | chunkah-pack --previous "$ROOT/PATH" >packed`,
			`chunkah diff "IMAGE" "IMAGE"`,
			`chunkah verify "IMAGE"`,
			`chunkah index -o d.oci "IMAGE"`,
		} {
			script = strings.NewReplacer("IMAGE", kind+"$ROOT/"+path, "PATH", path).Replace(script)
			untouched(t, images, true, func() { site{}.run(t, script, images, work) })
		}
	}
}

// snapshot detects changes.
func TestUntouchedSees(t *testing.T) {
	disk := filesystem(t, "ext4")
	file := filepath.Join(disk, "file")
	if err := os.WriteFile(file, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]string{
		"read": `cat "$0"`, "listed": `ls "$1"`, "written": `printf "%s" TEXT >"$0"`, "its mtime": `touch "$0"`,
		"its mode": `chmod 600 "$0"`, "an xattr": `setfattr -n user.x -v y "$0"`, "a new file": `touch "$0-shm"`,
	} {
		before := snapshot(t, disk, true)
		if len(before) < 3 || !maps.Equal(before, snapshot(t, disk, true)) {
			t.Fatalf("snapshot changes the tree: %q", before)
		}
		clients.Run(t, exec.Command("sh", "-c", change, file, disk))
		if maps.Equal(before, snapshot(t, disk, true)) {
			t.Errorf("%s: nothing is seen", name)
		}
	}
}

// untouched runs f and checks that the tree is unchanged.
func untouched(t *testing.T, root string, atimes bool, f func()) {
	t.Helper()
	before := snapshot(t, root, atimes)
	f()
	after := snapshot(t, root, atimes)
	for path, was := range before {
		if now, ok := after[path]; !ok {
			t.Errorf("%s is gone", path)
		} else if now != was {
			t.Errorf("%s was %s and is %s", path, was, now)
		}
	}
	for path := range after {
		if _, ok := before[path]; !ok {
			t.Errorf("%s is new", path)
		}
	}
}

// snapshot returns everything that is visible in a tree, by path. It changes only the access times
// of symlinks, which is unavoidable.
func snapshot(t *testing.T, path string, atimes bool) map[string]string {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	kind := st.Mode & unix.S_IFMT
	if !atimes || kind == unix.S_IFLNK {
		st.Atim = unix.Timespec{}
	}
	all := map[string]string{path: fmt.Sprintf("%+v %q", st, xattrs(t, path))}
	var what any
	var err error
	switch kind {
	case unix.S_IFLNK:
		what, err = os.Readlink(path)
	case unix.S_IFREG:
		h := sha256.New()
		f := openQuietly(t, path)
		defer f.Close()
		_, err = io.Copy(h, f)
		what = h.Sum(nil)
	case unix.S_IFDIR:
		f := openQuietly(t, path)
		defer f.Close()
		var names []string
		names, err = f.Readdirnames(-1)
		for _, name := range names {
			maps.Copy(all, snapshot(t, filepath.Join(path, name), atimes))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	all[path] += fmt.Sprintf(" %x", what)
	return all
}

// xattrs returns a file's extended attributes.
func xattrs(t *testing.T, path string) map[string]string {
	t.Helper()
	names, err := xattr.LList(path)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for _, name := range names {
		value, err := xattr.LGet(path, name)
		if err != nil {
			t.Fatal(err)
		}
		values[name] = string(value)
	}
	return values
}

// openQuietly opens a file or directory without changing its access time.
func openQuietly(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOATIME, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
