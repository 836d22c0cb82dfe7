package extract

import (
	"archive/tar"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chunkah/lib/rootfs"
	mk "chunkah/tests/mkimage"
)

// A tar contains everything, for any user, and reads the same as the image.
func TestToTar(t *testing.T) {
	img := open(t, []mk.Entry{
		mk.Dir("./"), mk.Dir("d").But(func(h *tar.Header) { h.Uid, h.Mode = 1234, 0o1777 }), mk.File("d/a", "a").Xattr("security.capability", "x").Xattr("user.overlay.opaque", "y"),
		mk.Link("d/b", "d/a"), mk.Device(tar.TypeBlock, "dev", 8, 1), mk.Symlink("s", "nowhere"),
	})
	root := rootfs.Virtual("image", flatten(t, img, nil))
	var out bytes.Buffer
	report, err := ToTar(t.Context(), &out, root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if report.Files != 4 || report.Bytes != 1 || len(report.Losses) != 1 || report.Losses[0].What != "the xattr user.overlay.opaque" {
		t.Errorf("got %+v", report)
	}
	var got []string
	for r := tar.NewReader(&out); ; {
		h, err := r.Next()
		if err != nil {
			break
		}
		got = append(got, strings.TrimSpace(strings.Join([]string{string(h.Typeflag), h.Name, h.Linkname, h.PAXRecords["SCHILY.xattr.security.capability"]}, " ")))
	}
	want := []string{"5 ./", "5 d/", "0 d/a  x", "1 d/b d/a", "4 dev", "2 s nowhere"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := ToTar(t.Context(), &out, root, Options{Strict: true}); err == nil {
		t.Error("a lost xattr is no error")
	}
}

// A file appears only when it is complete. Until then an old file is kept.
func TestFile(t *testing.T) {
	name := t.TempDir() + "/out.tar"
	for i, commit := range []bool{false, true, false} {
		f, err := CreateFile(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		if commit {
			if err := f.Commit(); err != nil {
				t.Error(err)
			}
		}
		if err := f.Discard(); err != nil {
			t.Error(err)
		}
		data, err := os.ReadFile(name)
		if i == 0 && !errors.Is(err, fs.ErrNotExist) || i > 0 && !bytes.Equal(data, []byte{1}) {
			t.Errorf("run %d: %v, %v", i, data, err)
		}
		if names := listing(t, filepath.Dir(name)); len(names) > 1 {
			t.Errorf("run %d: %q", i, names)
		}
	}
}

// Files are written while layers are read. All layers together determine their final names and
// metadata.
