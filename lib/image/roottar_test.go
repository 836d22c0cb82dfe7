package image

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"chunkah/tests/bound"
	mk "chunkah/tests/mkimage"
)

var testTar = &Transport{Prefix: "tar:", File: true}

// rootTarOf writes the data to a file and flattens it.
func rootTarOf(t testing.TB, data []byte, opt FlattenOptions) (*Tree, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "root.tar")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return flattenTar(t, path, opt)
}

func flattenTar(t testing.TB, path string, opt FlattenOptions) (*Tree, error) {
	t.Helper()
	opt.Spool = t.TempDir()
	tree, err := FlattenTar(context.Background(), Location{Transport: testTar, Path: path}, Options{}, opt)
	if err == nil {
		t.Cleanup(func() { mustClose(t, tree) })
	}
	return tree, err
}

// A root tar produces the same tree as a layer, in every compression format and from a pipe.
func TestFlattenTar(t *testing.T) {
	data := mk.Tar(t, mk.Dir("./"), mk.Dir("./d/"), mk.File("./d/f", "text"), mk.Link("./h", "./d/f"), mk.Symlink("s", "d"),
		mk.Device(tar.TypeChar, "c", 1, 3), mk.File("x", strings.Repeat("x", 70_000)).Xattr("user.x", "y"))
	data = append(data, make([]byte, 10240)...) // tar pads to a full record
	layer := &mk.Image{Layers: []mk.Layer{{Tar: data}}}
	want, err := flattenSource(t, Location{Transport: testLayout, Path: layer.Layout(t)}, FlattenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, packing := range []string{mk.Plain, mk.Gzip, mk.Zstd} {
		blob := mk.Layer{Tar: data, Packing: packing}.Blob(t)
		tree, err := rootTarOf(t, blob, FlattenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := listing(t, tree); got != listing(t, want) {
			t.Errorf("%q:\n%s\nwant\n%s", packing, got, listing(t, want))
		}
		in, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = out.Write(blob)
			out.Close()
		}()
		tree, err = flattenTar(t, fmt.Sprintf("/dev/fd/%d", in.Fd()), FlattenOptions{})
		in.Close()
		if err != nil {
			t.Fatal(err)
		}
		if got := listing(t, tree); got != listing(t, want) {
			t.Errorf("%q from a pipe:\n%s", packing, got)
		}
	}
}

// A tar is refused if it is not a root file system, or if a directory could not have the same
// contents.
func TestFlattenTarRefuses(t *testing.T) {
	global := func(key string) mk.Entry {
		return mk.File("pax_global_header", "").But(func(h *tar.Header) {
			*h = tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{key: "1"}}
		})
	}
	acl := func(text string) mk.Entry {
		return mk.File("f", "").But(func(h *tar.Header) { h.PAXRecords = map[string]string{"SCHILY.acl.access": text} })
	}
	for name, test := range map[string]struct {
		entries []mk.Entry
		want    string
	}{
		"whiteout":         {[]mk.Entry{mk.File("d/.wh.f", "")}, `entry "d/.wh.f": has a name that begins with ".wh."`},
		"opaque":           {[]mk.Entry{mk.File(".wh..wh..opq", "")}, `has a name that begins with ".wh."`},
		"aufs":             {[]mk.Entry{mk.File(".wh..wh.aufs", "")}, `has a name that begins with ".wh."`},
		"below a whiteout": {[]mk.Entry{mk.File(".wh.d/f", "")}, `has a name that begins with ".wh."`},
		"global time":      {[]mk.Entry{global("mtime")}, `sets "mtime" for all entries`},
		"leads out":        {[]mk.Entry{mk.File("../f", "")}, `leads out of the root with ".."`},
		"link to nothing":  {[]mk.Entry{mk.Link("f", "g")}, "which does not exist"},
		"OCI archive":      {[]mk.Entry{mk.File("oci-layout", ""), mk.File("index.json", ""), mk.Dir("blobs/")}, "use oci-archive:FILE"},
		"docker archive":   {[]mk.Entry{mk.File("manifest.json", "[]"), mk.Dir("0123/")}, "use docker-archive:FILE"},
		"ACL of a name":    {[]mk.Entry{acl("user::rw-\nuser:nobody:r--\ngroup::r--\nmask::r--\nother::r--\n")}, `contains the name "nobody" without a numeric ID`},
		"ACL of nothing":   {[]mk.Entry{acl("what")}, `entry "what" is not an ACL`},
		"ACL of letters":   {[]mk.Entry{acl("user:1:rwy")}, "is not an ACL"},
		"ACL of no ID":     {[]mk.Entry{acl("user:4294967295:r")}, "without a numeric ID"},
	} {
		if _, err := rootTarOf(t, mk.Tar(t, test.entries...), FlattenOptions{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		} else if !strings.Contains(err.Error(), "root.tar") || strings.Contains(err.Error(), "layer 0") {
			t.Errorf("%s: %v does not name the tar", name, err)
		}
	}
	if _, err := rootTarOf(t, mk.Tar(t, global("comment"), mk.File("f", "")), FlattenOptions{}); err != nil {
		t.Errorf("a global comment: %v", err)
	}
}

// ACLs in text form become the xattrs that the kernel uses, and the mode contains their mask.
func TestFlattenTarACLs(t *testing.T) {
	// Both ACLs are u:nobody:r u:12345:rw g:games:r. This is the xattr in the form that getfattr
	// prints.
	const want = "\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x06\x00\x39\x30\x00\x00\x02\x00\x04\x00\xfe\xff\x00\x00" +
		"\x04\x00\x04\x00\xff\xff\xff\xff\x08\x00\x04\x00\x3c\x00\x00\x00\x10\x00\x06\x00\xff\xff\xff\xff\x20\x00\x04\x00\xff\xff\xff\xff"
	for name, text := range map[string]string{
		"bsdtar":  "user::rw-,group::r--,other::r--,user:12345:rw-,user:nobody:r--:65534,group:games:r--:60,mask::rw-",
		"GNU tar": "user::rw-\nuser:12345:rw-\nuser:65534:r--\ngroup::r--\ngroup:60:r--\t#effective:r--\nmask::rw-\nother::r--\n",
	} {
		tree, err := rootTarOf(t, mk.Tar(t, mk.File("f", "").But(func(h *tar.Header) {
			h.Mode = 0o644
			h.PAXRecords = map[string]string{"SCHILY.acl.access": text}
		}), mk.File("g", "").But(func(h *tar.Header) {
			h.PAXRecords = map[string]string{"SCHILY.acl.access": "user::rw-\ngroup::r--\nother::r--\n"}
		})), FlattenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		xattrs, err := tree.Xattrs("/f")
		if err != nil || len(xattrs) != 1 || xattrs[0].Name != "system.posix_acl_access" || string(xattrs[0].Value) != want {
			t.Errorf("%s: got %q, %v", name, xattrs, err)
		}
		if st, err := tree.Stat("/f"); err != nil || st.Mode&0o777 != 0o664 {
			t.Errorf("%s: mode %o, %v", name, st.Mode, err)
		}
		if xattrs, _ := tree.Xattrs("/g"); len(xattrs) > 0 {
			t.Errorf("%s: the mode alone is %q", name, xattrs)
		}
	}
}

// The limits of a layer also apply to a root tar, even if it comes from a pipe.
func TestFlattenTarBounds(t *testing.T) {
	zeros := mk.Layer{Tar: mk.Tar(t, mk.File("zeros", strings.Repeat("\x00", 1<<20))), Packing: mk.Zstd}.Blob(t)
	if _, err := rootTarOf(t, zeros, FlattenOptions{MaxBytes: 1 << 19}); err == nil || !strings.Contains(err.Error(), "contain more than 524288 bytes") {
		t.Errorf("bytes: %v", err)
	}
	holes := oldGNUSparse("s", freeSparse+1<<30, []int64{0, 5}, "01234")
	if _, err := rootTarOf(t, holes, FlattenOptions{}); err == nil || !strings.Contains(err.Error(), "is sparse with a size of") {
		t.Errorf("holes: %v", err)
	}
	if _, err := rootTarOf(t, []byte("no tar at all"), FlattenOptions{}); err == nil || !strings.Contains(err.Error(), "reading the tar") {
		t.Errorf("no tar: %v", err)
	}
	two := mk.Tar(t, mk.File("a", ""))
	tree, err := rootTarOf(t, append(bytes.Clone(two), two...), FlattenOptions{})
	if err != nil || len(tree.Notes) != 1 || !strings.Contains(tree.Notes[0], "bytes after the end of the tar") {
		t.Errorf("two tars: %v, %q", err, tree.Notes)
	}
}

// Reading from a stalled pipe can be cancelled.
func TestFlattenTarStalled(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	other, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	why := errors.New("enough")
	go cancel(why)
	if _, err := FlattenTar(ctx, Location{Transport: testTar, Path: pipe}, Options{}, FlattenOptions{}); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}

// A change after the first read is detected by the next read.
func TestFlattenTarChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root.tar")
	data := mk.Tar(t, mk.File("f", "before"))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	tree, err := flattenTar(t, path, FlattenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(data, []byte("before"), []byte("later!"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := tree.Open("/f")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(io.NewSectionReader(in, 0, 6)); err == nil {
		t.Errorf("read %q", got)
	}
}

// FuzzRootTar checks that an arbitrary root tar is refused, or produces the same tree as a layer
// except for ACLs.
func FuzzRootTar(f *testing.F) {
	f.Add(mk.Tar(f, mk.Dir("d"), mk.File("d/f", "text"), mk.Link("h", "d/f"), mk.Symlink("s", "d"), mk.File("s/x", "").Xattr("user.x", "y")))
	f.Add(oldGNUSparse("s", 200_000, []int64{0, 5, 150_000, 5}, "0123456789"))
	f.Add(mk.Tar(f, mk.File("f", "").But(func(h *tar.Header) {
		h.PAXRecords = map[string]string{"SCHILY.acl.access": "user::rw-\nuser:1:rw-\ngroup::r--\nmask::r--\nother::r--\n"}
	})))
	f.Fuzz(func(t *testing.T, data []byte) {
		bound.Input(t, len(data))
		if len(data) > 1<<20 {
			t.Skip("larger than what there is to be found")
		}
		if packing, _ := detect(bufio.NewReader(bytes.NewReader(data))); packing != plain {
			t.Skip("has no diffID as a layer")
		}
		tree, err := rootTarOf(t, withChecksums(data), FlattenOptions{})
		if err != nil || bytes.Contains(data, []byte("SCHILY.acl")) {
			return
		}
		layer := &mk.Image{Layers: []mk.Layer{{Tar: withChecksums(data)}}}
		want, err := flattenSource(t, Location{Transport: testLayout, Path: layer.Layout(t)}, FlattenOptions{Sums: true})
		if err != nil {
			t.Fatalf("the layer is refused: %v", err)
		}
		checkTree(t, tree, want)
	})
}
