package layer

import (
	"archive/tar"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"chunkah/format"
)

// seen is an entry as returned by a reader.
type seen struct {
	Name, Type, Link string
	Mode             int64
	UID, GID         int64
	Size, MTime      int64
	Major, Minor     int64
	Xattrs           map[string]string // hexadecimal
}

// wanted returns the entries that every reader must find in the tar with these records.
func wanted(files []*format.File) []seen {
	first := map[int64]string{}
	var list []seen
	for _, f := range files {
		s := seen{
			Name: f.Path[1:], Type: f.Type.String(), Link: f.Target, Mode: int64(f.Mode), UID: int64(f.UID), GID: int64(f.GID),
			Size: f.Size, MTime: f.MTime, Major: int64(f.DevMajor), Minor: int64(f.DevMinor), Xattrs: map[string]string{},
		}
		for _, x := range f.Xattrs {
			s.Xattrs[x.Name] = hex.EncodeToString(x.Value)
		}
		if name, linked := first[f.Hardlink]; linked {
			s.Type, s.Link, s.Size, s.Xattrs = "link", name, 0, map[string]string{}
		} else if f.Hardlink != 0 {
			first[f.Hardlink] = s.Name
		}
		list = append(list, s)
	}
	return list
}

func compare(t *testing.T, got, want []seen) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d entries, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if g, w := fmt.Sprintf("%#v", got[i]), fmt.Sprintf("%#v", want[i]); g != w {
			t.Errorf("entry %d:\n got %s\nwant %s", i, g, w)
		}
	}
}

// readGo reads a tar with archive/tar.
func readGo(data []byte) ([]seen, error) {
	kinds := map[byte]string{
		tar.TypeReg: "file", tar.TypeDir: "dir", tar.TypeSymlink: "symlink",
		tar.TypeFifo: "fifo", tar.TypeChar: "char", tar.TypeBlock: "block", tar.TypeLink: "link",
	}
	var list []seen
	for tr := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		s := seen{
			Name: trimName(h.Name), Type: kinds[h.Typeflag], Link: h.Linkname, Mode: h.Mode, UID: int64(h.Uid), GID: int64(h.Gid),
			Size: h.Size, MTime: h.ModTime.Unix(), Major: h.Devmajor, Minor: h.Devminor, Xattrs: map[string]string{},
		}
		for k, v := range h.PAXRecords {
			if name, ok := strings.CutPrefix(k, format.XattrKey); ok {
				s.Xattrs[name] = hex.EncodeToString([]byte(v))
			}
		}
		if isDir := strings.HasSuffix(h.Name, "/"); isDir != (h.Typeflag == tar.TypeDir) || h.ModTime.Nanosecond() != 0 {
			return nil, fmt.Errorf("%q has type %q, mtime %v", h.Name, h.Typeflag, h.ModTime)
		}
		content, err := io.ReadAll(tr)
		if err != nil {
			return nil, err
		}
		want, _ := io.ReadAll(io.LimitReader(&repeat{text: "/" + s.Name}, h.Size))
		if !bytes.Equal(content, want) {
			return nil, fmt.Errorf("%q has wrong contents", h.Name)
		}
		list = append(list, s)
	}
}

// trimName removes the prefix and suffix that tars add to a directory's name.
func trimName(name string) string {
	if name == "./" || name == "." {
		return ""
	}
	return strings.TrimSuffix(name, "/")
}

func TestReadByGo(t *testing.T) {
	got, err := readGo(write(t, kinds()...))
	if err != nil {
		t.Fatal(err)
	}
	compare(t, got, wanted(kinds()))
}

// python reads a tar and prints each entry as JSON, with strings in hexadecimal.
const python = `
import json, sys, tarfile
kinds = {tarfile.REGTYPE: "file", tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "symlink", tarfile.LNKTYPE: "link",
	tarfile.FIFOTYPE: "fifo", tarfile.CHRTYPE: "char", tarfile.BLKTYPE: "block"}
def text(s): return s.encode("utf-8", "surrogateescape").hex()
for m in tarfile.open(sys.argv[1], "r:", encoding="utf-8", errors="surrogateescape"):
	print(json.dumps({"Name": text(m.name), "Type": kinds[m.type], "Link": text(m.linkname), "Mode": m.mode, "UID": m.uid, "GID": m.gid,
		"Size": m.size, "MTime": int(m.mtime), "Major": m.devmajor, "Minor": m.devminor,
		"Xattrs": {k[13:]: text(v) for k, v in m.pax_headers.items() if k.startswith("SCHILY.xattr.")}}))
`

func TestReadByPython(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("needs python3")
	}
	var got []seen
	for l := range strings.Lines(run(t, "python3", "-c", python, tarFile(t, kinds()))) {
		var s seen
		if err := json.Unmarshal([]byte(l), &s); err != nil {
			t.Fatal(err)
		}
		name, _ := hex.DecodeString(s.Name)
		link, _ := hex.DecodeString(s.Link)
		s.Name, s.Link = trimName(string(name)), string(link)
		got = append(got, s)
	}
	compare(t, got, wanted(kinds()))
}

// GNU tar unpacks the tar with all attributes. It prints warnings only about names that are not
// UTF-8.
func TestUnpackedByGNUTar(t *testing.T) {
	if out, err := exec.Command("tar", "--version").Output(); err != nil || !bytes.Contains(out, []byte("GNU tar")) {
		t.Skip("needs GNU tar")
	}
	files := unpackable(t)
	for _, locale := range locales {
		t.Run(locale, func(t *testing.T) {
			dir := t.TempDir()
			if out := runIn(t, locale, "tar", "-xpf", tarFile(t, files), "-C", dir, "--xattrs", "--xattrs-include=*", "--numeric-owner",
				"--warning=no-timestamp", "--warning=no-unknown-keyword"); out != "" {
				t.Errorf("tar printed %q", out)
			}
			compareTree(t, dir, files)
		})
	}
}

// compareTree compares the unpacked files, including hard links.
func compareTree(t *testing.T, dir string, files []*format.File) {
	t.Helper()
	linked := map[int64]uint64{}
	for _, f := range files {
		st, err := compareOnDisk(filepath.Join(dir, f.Path), f)
		if err != nil {
			t.Errorf("%q: %v", f.Path, err)
			continue
		}
		if ino, known := linked[f.Hardlink]; known && f.Hardlink != 0 && ino != st.Ino {
			t.Errorf("%q is not a hard link", f.Path)
		}
		linked[f.Hardlink] = st.Ino
	}
}

// unpackable returns the records that can be unpacked and compared on this machine.
func unpackable(t *testing.T) []*format.File {
	if os.Geteuid() != 0 {
		t.Skip("needs root: owners and devices are compared")
	}
	var files []*format.File
	for _, f := range kinds() {
		for _, x := range f.Xattrs {
			setXattr(t, x) // fails on some file systems
		}
		if len(f.Path) < 4096 && len(f.Target) < 4096 { // the limit of system calls
			files = append(files, f)
		}
	}
	return files
}

func setXattr(t *testing.T, x format.Xattr) {
	name := filepath.Join(t.TempDir(), "probe")
	if err := os.WriteFile(name, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setxattr(name, x.Name, x.Value, 0); err != nil {
		t.Skipf("setting xattr %q: %v", x.Name, err)
	}
}

func compareOnDisk(path string, f *format.File) (*syscall.Stat_t, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	st := info.Sys().(*syscall.Stat_t)
	modes := map[format.Type]uint32{
		format.TypeFile: unix.S_IFREG, format.TypeDir: unix.S_IFDIR, format.TypeSymlink: unix.S_IFLNK,
		format.TypeFifo: unix.S_IFIFO, format.TypeChar: unix.S_IFCHR, format.TypeBlock: unix.S_IFBLK,
	}
	want := fmt.Sprint(uint32(f.Mode)|modes[f.Type], f.UID, f.GID, f.MTime, f.DevMajor, f.DevMinor)
	got := fmt.Sprint(st.Mode, st.Uid, st.Gid, st.Mtim.Sec, unix.Major(st.Rdev), unix.Minor(st.Rdev))
	if got != want {
		return nil, fmt.Errorf("mode, owner, mtime, device are %s, want %s", got, want)
	}
	if f.Type == format.TypeFile && st.Size != f.Size {
		return nil, fmt.Errorf("size %d, want %d", st.Size, f.Size)
	}
	if target, _ := os.Readlink(path); target != f.Target {
		return nil, fmt.Errorf("target %q, want %q", target, f.Target)
	}
	for _, x := range f.Xattrs {
		buf := make([]byte, len(x.Value)+1)
		n, err := unix.Lgetxattr(path, x.Name, buf)
		if err != nil || !bytes.Equal(buf[:n], x.Value) {
			return nil, errors.Join(fmt.Errorf("xattr %q is %q, want %q", x.Name, buf[:max(n, 0)], x.Value), err)
		}
	}
	return st, nil
}

// locales are the locales in which readers run: one with UTF-8 and one without. Without UTF-8,
// libarchive cannot convert records of non-ASCII names. ostree reads layers in such a locale.
var locales = []string{"C.UTF-8", "C"}

// bsdtar unpacks the tar too.
func TestUnpackedByBSDTar(t *testing.T) {
	if _, err := exec.LookPath("bsdtar"); err != nil {
		t.Skip("needs bsdtar")
	}
	files := unpackable(t)
	for _, locale := range locales {
		t.Run(locale, func(t *testing.T) {
			dir := t.TempDir()
			if out := runIn(t, locale, "bsdtar", "-xpf", tarFile(t, files), "-C", dir, "--xattrs", "--numeric-owner"); out != "" {
				t.Errorf("bsdtar printed %q", out)
			}
			compareTree(t, dir, files[1:]) // it does not set the time of the target directory
		})
	}
}

func tarFile(t *testing.T, files []*format.File) string {
	name := filepath.Join(t.TempDir(), "layer.tar")
	if err := os.WriteFile(name, write(t, files...), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func run(t *testing.T, args ...string) string {
	t.Helper()
	return runIn(t, locales[0], args...)
}

func runIn(t *testing.T, locale string, args ...string) string {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL="+locale)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", args[0], err, stderr.Bytes())
	}
	return string(out) + stderr.String()
}

// The records of an entry are sorted by key.
func TestRecordOrder(t *testing.T) {
	f := with(file("/é", 1<<33), func(f *format.File) {
		f.UID, f.GID, f.MTime = 1<<21, 1<<21, -1
		f.Xattrs = []format.Xattr{{Name: "user.a", Value: []byte("1")}, {Name: "user.b", Value: []byte("2")}}
	})
	e := newEntry(f, "")
	var keys []string
	for l := range strings.Lines(string(appendRecords(nil, &e, false))) {
		_, record, _ := strings.Cut(l, " ")
		key, _, _ := strings.Cut(record, "=")
		keys = append(keys, key)
	}
	want := []string{"SCHILY.xattr.user.a", "SCHILY.xattr.user.b", "gid", "hdrcharset", "mtime", "path", "size", "uid"}
	if !slices.Equal(keys, want) || !slices.IsSorted(keys) {
		t.Errorf("got %q, want %q", keys, want)
	}
}

// Sizes above the ustar limit are in a record. This test writes no contents.
func TestHugeSizes(t *testing.T) {
	for _, size := range []int64{1<<33 - 1, 1 << 33, 1<<53 - 1} {
		f := file("/huge", size)
		e := newEntry(f, "")
		var enc encoder
		h, err := tar.NewReader(bytes.NewReader(enc.header(&e))).Next()
		if err != nil {
			t.Fatal(err)
		}
		_, recorded := h.PAXRecords["size"]
		if h.Size != size || recorded != (size > maxOctal11) {
			t.Errorf("size %d is read as %d, %v", size, h.Size, maps.Collect(maps.All(h.PAXRecords)))
		}
		if want := int64(len(enc.header(&e))) + size + padding(size); EntrySize(f) != want {
			t.Errorf("EntrySize of %d is %d, want %d", size, EntrySize(f), want)
		}
	}
}

// An empty value is written to a record, although readers based on archive/tar drop it.
func TestEmptyXattr(t *testing.T) {
	data := write(t, with(file("/a", 0), func(f *format.File) { f.Xattrs = []format.Xattr{{Name: "user.empty"}} }))
	if !bytes.Contains(data, []byte("28 SCHILY.xattr.user.empty=\n")) {
		t.Errorf("no record in %q", data[:1024])
	}
}
