package oci

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/temp"
)

// readArchive lists the entries of an archive and returns its files.
func readArchive(t *testing.T, path string) (string, map[string]string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return readTar(t, data)
}

func readTar(t *testing.T, data []byte) (string, map[string]string) {
	t.Helper()
	var list strings.Builder
	files := map[string]string{}
	r := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return list.String(), files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = string(content)
		fmt.Fprintf(&list, "%c %#o %d:%d %q %d %d %s\n", h.Typeflag, h.Mode, h.Uid, h.Gid, h.Uname+h.Gname, h.ModTime.Unix(), h.Size, h.Name)
	}
}

func TestArchiveGolden(t *testing.T) {
	var one, two bytes.Buffer
	for _, w := range []*bytes.Buffer{&one, &two} {
		if err := writeImage(t, NewArchive(w), testImage(t)); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("the same image gives other bytes")
	}
	list, files := readTar(t, one.Bytes())
	golden(t, "archive.txt", []byte(strings.TrimSuffix(list, "\n")))
	if files["oci-layout"] != `{"imageLayoutVersion":"1.0.0"}` || files["index.json"] != string(build(t, testImage(t)).Index) {
		t.Errorf("got %q and %q", files["oci-layout"], files["index.json"])
	}
	if n := one.Len(); n%blockSize != 0 || !bytes.HasSuffix(one.Bytes(), make([]byte, 2*blockSize)) {
		t.Errorf("%d bytes, not ending with two blocks of zeros", n)
	}
}

func TestArchiveBlobTwice(t *testing.T) {
	var out bytes.Buffer
	a := NewArchive(&out)
	for range 2 {
		if err := a.Blob(descriptor("one"), Hint{}, Data([]byte("one"))); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeImage(t, a, testImage(t)); err != nil {
		t.Fatal(err)
	}
	if list, _ := readTar(t, out.Bytes()); strings.Count(list, descriptor("one").Digest.Encoded()) != 1 {
		t.Errorf("got\n%s", list)
	}
	a = NewArchive(&out)
	if err := a.Blob(descriptor("one"), Hint{}, Data([]byte("one"))); err != nil {
		t.Fatal(err)
	}
	if err := a.Blob(v1.Descriptor{Digest: descriptor("one").Digest, Size: 4}, Hint{}, Data(nil)); err == nil {
		t.Error("two sizes of one blob: no error")
	}
}

func TestArchiveBigBlob(t *testing.T) {
	for size, format := range map[int64]tar.Format{maxUstar: tar.FormatUSTAR, maxUstar + 1: tar.FormatPAX} {
		header, err := blobHeader(descriptor("").Digest, size)
		if err != nil {
			t.Fatal(err)
		}
		h, err := tar.NewReader(bytes.NewReader(header)).Next()
		if err != nil || h.Size != size || h.Format != format {
			t.Errorf("size %d: got %+v, %v", size, h, err)
		}
	}
}

func TestCreateArchive(t *testing.T) {
	dir := t.TempDir()
	out := dir + "/out"
	if err := os.WriteFile(out, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	a, err := CreateArchive(out, Options{})
	if err != nil {
		t.Fatal(err)
	}
	old, err := os.Stat(out)
	if err != nil {
		t.Fatal(err)
	}
	if o := a.Traits().Files; len(o) != 2 || !os.SameFile(o[1], old) || !temp.Is(o[0].Name()) {
		t.Errorf("occupies %v", o)
	}
	if err := a.Discard(); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(out); err != nil || string(data) != "old" {
		t.Errorf("after an abort: %q, %v", data, err)
	}
	wantListing(t, dir, "out")
	if err := archiveTo(t, out); err != nil {
		t.Fatal(err)
	}
	wantListing(t, dir, "out")
	if _, files := readArchive(t, out); files["index.json"] == "" {
		t.Error("no archive")
	}
	if info, err := os.Stat(out); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the mode has become %v, %v", info.Mode(), err)
	}
}

func archiveTo(t *testing.T, path string) error {
	t.Helper()
	a, err := CreateArchive(path, Options{})
	if err != nil {
		return err
	}
	return writeImage(t, a, testImage(t))
}

func TestCreateArchiveMode(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o027))
	out := t.TempDir() + "/out"
	if err := archiveTo(t, out); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(out); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestCreateArchiveSymlink(t *testing.T) {
	dir := t.TempDir()
	for name, to := range map[string]string{"a": "b", "b": dir + "/sub/../sub/target", "loop": "loop", "dangling": "sub/new"} {
		if err := os.Symlink(to, dir+"/"+name); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(dir+"/sub", 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/sub/target", nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"a": "target", "dangling": "new"} {
		if err := archiveTo(t, dir+"/"+name); err != nil {
			t.Fatal(err)
		}
		if _, files := readArchive(t, dir+"/sub/"+target); files["index.json"] == "" {
			t.Errorf("%s: no archive in its target", name)
		}
		if _, err := os.Readlink(dir + "/" + name); err != nil {
			t.Error(err)
		}
	}
	if err := archiveTo(t, dir+"/loop"); err == nil || !strings.Contains(err.Error(), "more than 40 symlinks") {
		t.Errorf("loop: got error %v", err)
	}
	wantListing(t, dir, "a", "b", "dangling", "loop", "sub", "sub/new", "sub/target")
}

func TestCreateArchiveErrors(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		"": "the path is empty", dir: "is a directory", dir + "/": "is a directory", dir + "/new/": "no such directory exists",
		dir + "/no/out": "no such file",
	} {
		if _, err := CreateArchive(path, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want one with %q", path, err, want)
		}
	}
	wantListing(t, dir)
}

// A pipe or a device is written to instead of being replaced.
func TestCreateArchivePipe(t *testing.T) {
	dir := t.TempDir()
	pipe := dir + "/pipe"
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	type result struct {
		data []byte
		err  error
	}
	got := make(chan result)
	go func() {
		data, err := os.ReadFile(pipe)
		got <- result{data, err}
	}()
	if err := archiveTo(t, pipe); err != nil {
		t.Fatal(err)
	}
	r := <-got
	if r.err != nil {
		t.Fatal(r.err)
	}
	if _, files := readTar(t, r.data); files["index.json"] == "" {
		t.Error("no archive")
	}
	wantListing(t, dir, "pipe")
	if err := archiveTo(t, "/dev/null"); err != nil {
		t.Error(err)
	}
	if err := archiveTo(t, "/dev/full"); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), `"/dev/full"`) {
		t.Errorf("/dev/full: got error %v", err)
	}
}

// The archive is appended to an open file, such as /dev/stdout.
func TestCreateArchiveOpenFile(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("before"); err != nil {
		t.Fatal(err)
	}
	if err := archiveTo(t, fmt.Sprintf("/dev/fd/%d", f.Fd())); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	rest, ok := bytes.CutPrefix(data, []byte("before"))
	if _, files := readTar(t, rest); !ok || files["index.json"] == "" {
		t.Error("no archive")
	}
}

// named is a writer with a name.
type named struct{ io.Writer }

func (named) Name() string { return "/dev/stdout" }

// Messages contain the name that the user gave for the output.
func TestArchiveName(t *testing.T) {
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("/dev/full", link); err != nil {
		t.Fatal(err)
	}
	if err := writeImage(t, NewArchive(named{f}), testImage(t)); err == nil || !strings.Contains(err.Error(), `writing archive "/dev/stdout": `) {
		t.Errorf("a writer with a name: got error %v", err)
	}
	for _, path := range []string{link, fmt.Sprintf("/dev/fd/%d", f.Fd())} {
		if err := archiveTo(t, path); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("writing archive %q: ", path)) {
			t.Errorf("%s: got error %v", path, err)
		}
	}
}
