package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/mikelolasagasti/xz"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	mk "chunkah/tests/mkimage"
)

// small returns an image with one file. The text distinguishes images.
func small(t testing.TB, name, text string, packing ...string) *mk.Image {
	t.Helper()
	img := &mk.Image{Name: name}
	for _, p := range append(packing, mk.Gzip) {
		img.Layers = append(img.Layers, mk.Layer{Tar: mk.Tar(t, mk.File("text", text), mk.File("packed"+p, "")), Packing: p})
	}
	return img
}

// textOf opens a source and returns the text of its file.
func textOf(t testing.TB, src string, opt Options) (string, error) {
	t.Helper()
	parsed, err := parseSource(src)
	if err != nil {
		t.Fatal(err)
	}
	img, err := Open(context.Background(), parsed, opt)
	if err != nil {
		return "", err
	}
	defer mustClose(t, img)
	tree, err := Flatten(context.Background(), img, FlattenOptions{Spool: t.TempDir()})
	if err != nil {
		return "", err
	}
	defer mustClose(t, tree)
	st, err := tree.Stat("/text")
	if err != nil {
		return "", err
	}
	return text(t, tree, "/text", st.Size), nil
}

func TestForms(t *testing.T) {
	img := small(t, "localhost/app:1", "hello", mk.Zstd, mk.Plain)
	docker := small(t, "localhost/app:1", "hello", mk.Zstd, mk.Plain)
	docker.Docker = true
	blobs := mk.Blobs{}
	both := append(mk.LayoutFiles(blobs, img.Manifest(t, blobs)), mk.DockerFiles(t, img)...)
	for name, src := range map[string]string{
		"layout":                            "oci:" + img.Layout(t),
		"layout by name":                    "oci:" + img.Layout(t) + ":localhost/app:1",
		"layout with Docker's types":        "oci:" + docker.Layout(t),
		"archive":                           "oci-archive:" + img.Archive(t),
		"archive by name":                   "oci-archive:" + img.Archive(t) + ":localhost/app:1",
		"docker archive":                    "docker-archive:" + img.DockerArchive(t),
		"docker archive by name":            "docker-archive:" + img.DockerArchive(t) + ":localhost/app:1",
		"docker save 25, as docker archive": "docker-archive:" + both.WriteArchive(t),
		"docker save 25, as OCI archive":    "oci-archive:" + both.WriteArchive(t),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := textOf(t, src, Options{})
			if err != nil || got != "hello" {
				t.Fatalf("got %q, %v", got, err)
			}
			parsed, err := parseSource(src)
			if err != nil {
				t.Fatal(err)
			}
			opened, err := Open(context.Background(), parsed, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer mustClose(t, opened)
			if got, err := textOf(t, opened.Pinned(), Options{}); err != nil || got != "hello" {
				t.Errorf("%s: got %q, %v", opened.Pinned(), got, err)
			}
			if opened.Created == nil || !opened.Created.Equal(mk.Time) || opened.Platform.Architecture != "amd64" || !strings.HasPrefix(opened.Layers[0].History.CreatedBy, "layer ") {
				t.Errorf("the image is %+v", opened)
			}
			if got := digest.FromBytes(opened.Config.Data); got != digest.FromBytes(img.Config()) {
				t.Errorf("the config is %s", opened.Config.Data)
			}
		})
	}
}

// chunkah reads archives and layers in every compression format. testdata/packed was made with the
// xz and bzip2 commands. Its layer consists of two streams, one of them with a filter.
func TestPacked(t *testing.T) {
	for _, name := range []string{"image.tar.xz", "image.tar.bz2"} {
		if got, err := textOf(t, "oci-archive:testdata/packed/"+name, Options{Spool: t.TempDir()}); err != nil || got != "hello" {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	if _, err := textOf(t, "oci-archive:testdata/packed/large-window.tar.xz", Options{}); !errors.Is(err, xz.ErrMemlimit) {
		t.Errorf("a window of 1 GiB: %v", err)
	}
	for _, name := range []string{"layer.tar.xz", "layer.tar.bz2"} {
		blob := readFile(t, "testdata/packed/"+name)
		if err := damaged(t, func(m *v1.Manifest, _ *v1.Image, b mk.Blobs) {
			m.Layers[0] = b.Add(v1.MediaTypeImageLayerGzip, blob)
		}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for cut := range blob {
			if err := damaged(t, func(m *v1.Manifest, _ *v1.Image, b mk.Blobs) {
				m.Layers[0] = b.Add(v1.MediaTypeImageLayerGzip, blob[:cut])
			}); err == nil {
				t.Fatalf("%s: it is read when it is cut off after %d bytes", name, cut)
			}
		}
	}
}

// Archives can be compressed or come from a pipe.
func TestSpooledArchives(t *testing.T) {
	archive := small(t, "", "hello", mk.Plain).Archive(t)
	data, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/gz", packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(dir+"/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- os.WriteFile(dir+"/pipe", data, 0) }()
	for _, name := range []string{"gz", "pipe"} {
		if got, err := textOf(t, "oci-archive:"+dir+"/"+name, Options{Spool: t.TempDir()}); err != nil || got != "hello" {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := textOf(t, "oci-archive:"+dir+"/gz", Options{MaxBytes: 100}); err == nil || !strings.Contains(err.Error(), "more than 100 bytes") {
		t.Errorf("a bound of 100 bytes: %v", err)
	}
}

func TestSeveralImages(t *testing.T) {
	one, two := small(t, "one:1", "1"), small(t, "docker.io/library/two:latest", "2")
	blobs := mk.Blobs{}
	manifests := []v1.Descriptor{one.Manifest(t, blobs), two.Manifest(t, blobs)}
	layout := "oci:" + mk.LayoutFiles(blobs, manifests...).WriteFolder(t)
	docker := "docker-archive:" + mk.DockerFiles(t, one, two, small(t, "three:1", "1")).WriteArchive(t)
	for src, want := range map[string]string{
		layout + ":one:1":                                      "1",
		layout + ":docker.io/library/two:latest":               "2",
		layout + ":@" + string(manifests[1].Digest):            "2",
		docker + ":one:1":                                      "1",
		docker + ":two":                                        "2",
		docker + ":three:1":                                    "1", // its layer is a symlink
		docker + ":@" + string(digest.FromBytes(two.Config())): "2",
		layout:             `error: opening "` + layout + `": contains several images: choose one of "docker.io/library/two:latest", "one:1"`,
		layout + ":two":    `error: opening "` + layout + `:two": contains no image "two", only "docker.io/library/two:latest", "one:1"`,
		docker:             `error: opening "` + docker + `": contains 3 images: choose one of "one:1", "docker.io/library/two:latest", "three:1"`,
		docker + ":four:4": `error: opening "` + docker + `:four:4": contains no image "four:4", only "one:1", "docker.io/library/two:latest", "three:1"`,
	} {
		got, err := textOf(t, src, Options{})
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", src, got, want)
		}
	}
}

func TestPlatforms(t *testing.T) {
	blobs := mk.Blobs{}
	var manifests []v1.Descriptor
	for _, arch := range []string{"amd64", "arm/v6", "arm/v7", "arm64", "s390x"} {
		img := small(t, "", arch)
		var variant string
		img.Arch, variant, _ = strings.Cut(arch, "/")
		d := img.Manifest(t, blobs)
		d.Platform.Variant = variant
		manifests = append(manifests, d)
	}
	attestation := manifests[0]
	attestation.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest"}
	list := blobs.Add(v1.MediaTypeImageIndex, mk.Index(append([]v1.Descriptor{attestation}, manifests...)...))
	nested := "oci:" + mk.LayoutFiles(blobs, list).WriteFolder(t)
	silent := append([]v1.Descriptor(nil), manifests...)
	for i := range silent {
		silent[i].Platform = nil // only the configs contain platforms
	}
	quiet := "oci:" + mk.LayoutFiles(blobs, silent...).WriteFolder(t)
	old := blobs.Add("application/vnd.docker.distribution.manifest.v1+prettyjws", []byte(`{"schemaVersion":1,"fsLayers":[]}`))
	old.Platform = nil
	mixed := "oci:" + mk.LayoutFiles(blobs, append([]v1.Descriptor{old}, manifests...)...).WriteFolder(t)
	alone := "oci:" + mk.LayoutFiles(blobs, manifests[4]).WriteFolder(t)
	for _, test := range []struct{ src, platform, want string }{
		{nested, "linux/amd64", "amd64"},
		{nested, "x86_64", "amd64"},
		{nested, "linux/arm64/v8", "arm64"},
		{nested, "linux/arm64/v9", "arm64"},
		{nested, "linux/arm/v7", "arm/v7"},
		{nested, "arm/v8", "arm/v7"},
		{nested, "armel", "error: is for"},
		{nested, "armv6l", "arm/v6"},
		{nested, "riscv64", `is for "linux/amd64", "linux/arm/v6", "linux/arm/v7", "linux/arm64", "linux/s390x", not for linux/riscv64`},
		{nested, "windows/amd64", "unknown architecture"},
		{quiet, "arm64", "arm64"},
		{quiet, "s390x", "s390x"},
		{mixed, "arm64", "arm64"},
		{alone, "", "s390x"},
		{alone, "s390x", "s390x"},
		{alone, "amd64", "is for linux/s390x, not for amd64"},
	} {
		got, err := textOf(t, test.src, Options{Platform: test.platform})
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != test.want && (err == nil || !strings.Contains(got, strings.TrimPrefix(test.want, "error: "))) {
			t.Errorf("%s: got %s, want %s", test.platform, got, test.want)
		}
	}
}

// Plain layers are not copied, and spools are unnamed temporary files.
func TestInPlace(t *testing.T) {
	for form, path := range map[string]string{
		"oci:": small(t, "", "x").Layout(t),
	} {
		spool := t.TempDir()
		src, err := parseSource(form + path)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := flattenSource(t, src, FlattenOptions{Spool: spool})
		if err != nil {
			t.Fatal(err)
		}
		if entries, err := os.ReadDir(spool); err != nil || len(entries) > 0 {
			t.Errorf("the spool has names: %v, %v", entries, err)
		}
		if text(t, tree, "/text", 1) != "x" {
			t.Error("contents differ")
		}
	}
	plain := &mk.Image{Layers: []mk.Layer{{Tar: mk.Tar(t, mk.File("text", "in place"))}}}
	for form, path := range map[string]string{
		"oci:": plain.Layout(t), "oci-archive:": plain.Archive(t), "docker-archive:": plain.DockerArchive(t),
	} {
		src, err := parseSource(form + path)
		if err != nil {
			t.Fatal(err)
		}
		// The directory does not exist, so spooling would fail.
		tree, err := flattenSource(t, src, FlattenOptions{Spool: filepath.Join(t.TempDir(), "none")})
		if err != nil {
			t.Fatal(err)
		}
		if got := text(t, tree, "/text", 8); got != "in place" {
			t.Errorf("%s: got %q", form, got)
		}
	}
}

// A sparse file is expanded, even if it is in a plain layer.
func TestSparse(t *testing.T) {
	const body = "0123456789"
	raw := oldGNUSparse("s", 200_000, []int64{0, 5, 150_000, 5}, body)
	rest := mk.Tar(t, mk.File("text", "after"))
	for _, packing := range []string{mk.Plain, mk.Gzip} {
		img := &mk.Image{Layers: []mk.Layer{{Tar: append(bytes.Clone(raw), rest...), Packing: packing}}}
		tree, err := flattenSource(t, Location{Transport: testLayout, Path: img.Layout(t)}, FlattenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		want := make([]byte, 200_000)
		copy(want, body[:5])
		copy(want[150_000:], body[5:])
		if got := text(t, tree, "/s", 200_000); got != string(want) {
			t.Errorf("%q: contents differ", packing)
		}
		if got := text(t, tree, "/text", 5); got != "after" {
			t.Errorf("%q: the next file is %q", packing, got)
		}
	}
}

// Holes take no space in a layer, so their size is limited like the size of a decompression bomb.
// The limit applies whether contents or hashes are stored, and also to the sum over many files.
func TestSparseBombs(t *testing.T) {
	half := oldGNUSparse("a", freeSparse/2, []int64{0, 5}, "01234")
	for name, raw := range map[string][]byte{
		"20 GiB": oldGNUSparse("s", 20<<30, []int64{0, 5}, "01234"),
		"many":   slices.Concat(half, half, half, mk.Tar(t)),
	} {
		for _, packing := range []string{mk.Plain, mk.Gzip} {
			for _, sums := range []bool{false, true} {
				img := &mk.Image{Layers: []mk.Layer{{Tar: raw, Packing: packing}}}
				_, err := flattenSource(t, Location{Transport: testLayout, Path: img.Layout(t)}, FlattenOptions{Sums: sums, MaxBytes: 1 << 50})
				if err == nil || !strings.Contains(err.Error(), "is sparse with a size of") {
					t.Errorf("%s, %q, sums %t: %v", name, packing, sums, err)
				}
			}
		}
	}
	r := &layerReader{blob: &verified{}, budget: newBudget(1)}
	r.blob.read.Store(1 << 20)
	if err := r.sparse(freeSparse + maxRatio<<20); err == nil || !strings.Contains(err.Error(), "all layers contain more than") {
		t.Errorf("a bound on bytes: %v", err)
	}
}

// oldGNUSparse makes the entry of a sparse file in the old GNU format, with up to four pairs of
// offset and length.
func oldGNUSparse(name string, size int64, pairs []int64, body string) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(body)), Format: tar.FormatGNU, ModTime: mk.Time})
	_, _ = io.WriteString(w, body)
	_ = w.Flush()
	block := out.Bytes()
	block[156] = tar.TypeGNUSparse
	number := func(at int, n int64) {
		field := block[at : at+12]
		field[0] = 0x80 // base 256
		for i := 11; i > 0; i-- {
			field[i] = byte(n)
			n >>= 8
		}
	}
	for i, n := range pairs {
		number(386+i*12, n)
	}
	if len(pairs)/2 < 4 {
		number(386+len(pairs)*12, size)
		number(386+len(pairs)*12+12, 0)
	}
	number(483, size)
	setChecksum(block[:512])
	return block
}

func setChecksum(header []byte) {
	sum := int64(0)
	copy(header[148:156], "        ")
	for _, b := range header {
		sum += int64(b)
	}
	copy(header[148:156], octal(sum))
}

func octal(n int64) string {
	digits := make([]byte, 0, 8)
	for i := 5; i >= 0; i-- {
		digits = append(digits, byte('0'+n>>(3*i)&7))
	}
	return string(digits) + "\x00 "
}
