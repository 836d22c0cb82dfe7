package oci

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// writeImage writes an image with the layers "one" and "two".
func writeImage(t *testing.T, d Destination, img *Image) error {
	t.Helper()
	index, err := writeBlobs(t, d, img)
	if err != nil {
		return err
	}
	return appear(d, index)
}

// finishImage writes and finishes an image that is not visible yet.
func finishImage(t *testing.T, d Destination, img *Image) []Finished {
	t.Helper()
	index, err := writeBlobs(t, d, img)
	if err != nil {
		t.Fatal(err)
	}
	at, err := d.Finish(index)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func writeBlobs(t *testing.T, d Destination, img *Image) (index []byte, err error) {
	t.Helper()
	for _, l := range img.Layers {
		if err := d.Blob(l.Descriptor, Hint{}, Data([]byte(l.History.Comment))); err != nil {
			return nil, err
		}
	}
	b := build(t, img)
	for _, doc := range []Document{b.Config, b.Manifest} {
		if err := d.Blob(doc.Descriptor, Hint{}, Data(doc.Data)); err != nil {
			return nil, err
		}
	}
	return b.Index, nil
}

// appear finishes and commits an image.
func appear(d Destination, index []byte) error {
	if _, err := d.Finish(index); err != nil {
		return err
	}
	return d.Commit()
}

// listing lists a directory and everything below it.
func listing(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if path != dir {
			names = append(names, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func wantListing(t *testing.T, dir string, want ...string) {
	t.Helper()
	if got := listing(t, dir); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("folder holds %q, want %q", got, want)
	}
}

func descriptor(text string) v1.Descriptor { return testLayers(text)[0].Descriptor }

// opened contains functions that open each kind of destination at a path, for tests that all
// destinations must pass.
var opened = map[string]func(path string, opt Options) (Destination, error){
	"archive":        func(path string, opt Options) (Destination, error) { return CreateArchive(path, opt) },
	"docker archive": func(path string, opt Options) (Destination, error) { return createDockerArchive(path, opt) },
	"layout":         func(path string, opt Options) (Destination, error) { return OpenLayout(path, "", opt) },
	"empty folder": func(path string, opt Options) (Destination, error) {
		if err := os.Mkdir(path, 0o777); err != nil {
			return nil, err
		}
		return OpenLayout(path, "", opt)
	},
	"stream": func(_ string, opt Options) (Destination, error) { return NewArchive(io.Discard), nil },
}

func TestBlobErrors(t *testing.T) {
	boom := errors.New("boom")
	good := descriptor("one")
	text := func(s string) func(io.Writer) error { return Data([]byte(s)) }
	for name, test := range map[string]struct {
		d     v1.Descriptor
		write func(io.Writer) error
		want  string
	}{
		"short":            {good, text("on"), "1 of 3 bytes are missing"},
		"long":             {good, text("onee"), "more bytes than expected"},
		"other bytes":      {good, text("0ne"), "content has the wrong digest"},
		"failing":          {good, func(io.Writer) error { return boom }, "boom"},
		"error lost":       {good, func(w io.Writer) error { w.Write(make([]byte, 9)); return nil }, "more bytes than expected"},
		"bad digest":       {v1.Descriptor{Digest: "sha256:../x"}, text(""), `digest "sha256:../x"`},
		"negative size":    {v1.Descriptor{Digest: good.Digest, Size: -1}, text(""), "is negative"},
		"empty blob, long": {descriptor(""), text("x"), "more bytes"},
	} {
		for kind, open := range opened {
			t.Run(name+"/"+kind, func(t *testing.T) {
				dir := t.TempDir()
				d, err := open(dir+"/out", Options{})
				if err != nil {
					t.Fatal(err)
				}
				err = d.Blob(test.d, Hint{}, test.write)
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got error %v, want one with %q", err, test.want)
				}
				if again := writeImage(t, d, testImage(t)); again == nil {
					t.Error("an image came after the error")
				}
				if err := d.Discard(); err != nil {
					t.Error(err)
				}
				if kind == "empty folder" {
					wantListing(t, dir, "out")
				} else {
					wantListing(t, dir)
				}
			})
		}
	}
}

func TestCommitChecks(t *testing.T) {
	for kind, open := range opened {
		for name, index := range map[string]string{
			"no JSON": "x", "no images": "{}", "manifest not written": string(build(t, testImage(t)).Index),
		} {
			dir := t.TempDir()
			d, err := open(dir+"/out", Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := appear(d, []byte(index)); err == nil {
				t.Errorf("%s, %s: no error", kind, name)
			}
			if got := listing(t, dir); len(got) > 1 || len(got) == 1 && kind != "empty folder" {
				t.Errorf("%s, %s: Commit left %q", kind, name, got)
			}
		}
	}
}

func TestDiscardAndCommitTwice(t *testing.T) {
	for kind, open := range opened {
		dir := t.TempDir()
		d, err := open(dir+"/out", Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := writeImage(t, d, testImage(t)); err != nil {
			t.Fatal(err)
		}
		before := listing(t, dir)
		if err := d.Discard(); err != nil {
			t.Errorf("%s: discard after commit: %v", kind, err)
		}
		if err := appear(d, build(t, testImage(t)).Index); !errors.Is(err, errFinished) {
			t.Errorf("%s: second commit: %v", kind, err)
		}
		wantListing(t, dir, before...)
	}
}

// If the disk is full, an error is returned, and no file remains.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip("mounting a small tmpfs:", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	big := bytes.Repeat([]byte("x"), 1<<20)
	d := v1.Descriptor{Digest: digest.FromBytes(big), Size: int64(len(big))}
	for kind, open := range opened {
		if kind == "stream" {
			continue
		}
		dest, err := open(dir+"/out", Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := dest.Blob(d, Hint{}, Data(big)); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), dir+"/out") {
			t.Errorf("%s: got error %v", kind, err)
		}
		if err := dest.Discard(); err != nil {
			t.Error(err)
		}
		if kind == "empty folder" {
			wantListing(t, dir, "out")
			if err := os.Remove(dir + "/out"); err != nil {
				t.Fatal(err)
			}
		}
		wantListing(t, dir)
	}
}

// If the disk is too full for a blob, the error names the layout and not the blob's temporary name.
func TestFullDiskUnderABlob(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip("mounting a small tmpfs:", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	l, err := OpenLayout(dir+"/out", "", Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.NewBlob(0, true)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("writing layout %q: no space left on device", dir+"/out")
	if _, err := b.Write(make([]byte, 1<<20)); err == nil || err.Error() != want {
		t.Errorf("writing: %v, want %s", err, want)
	}
	if err := b.Commit(descriptor("").Digest, 0); err == nil || err.Error() != want {
		t.Errorf("at its end: %v, want %s", err, want)
	}
	if err := l.Discard(); err != nil {
		t.Error(err)
	}
	wantListing(t, dir)
}

// skopeo, as an independent reader, finds the image that Build made in each destination.
func TestSkopeo(t *testing.T) {
	if _, err := exec.LookPath("skopeo"); err != nil {
		t.Skip(err)
	}
	img := testImage(t)
	built := build(t, img)
	for kind, source := range map[string]string{"archive": "oci-archive:", "layout": "oci:", "empty folder": "oci:"} {
		out := filepath.Join(t.TempDir(), "out")
		d, err := opened[kind](out, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := writeImage(t, d, img); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{out, out + ":localhost/app:1"} {
			config, err := exec.Command("skopeo", "inspect", "--raw", "--config", source+name).CombinedOutput()
			if err != nil || string(config) != string(built.Config.Data) {
				t.Errorf("%s: config %s, %v", name, config, err)
			}
			manifest, err := exec.Command("skopeo", "inspect", "--raw", source+name).CombinedOutput()
			if err != nil || string(manifest) != string(built.Manifest.Data) {
				t.Errorf("%s: manifest %s, %v", name, manifest, err)
			}
		}
	}
}
