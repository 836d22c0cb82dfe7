package image

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"

	"chunkah/tests/bound"
	mk "chunkah/tests/mkimage"
)

// FuzzArchive checks that every file found in an arbitrary archive can be read, and that a
// compressed copy contains the same files.
func FuzzArchive(f *testing.F) {
	img := small(f, "name:1", "x")
	blobs := mk.Blobs{}
	oci := readFile(f, mk.LayoutFiles(blobs, img.Manifest(f, blobs)).WriteArchive(f))
	docker := readFile(f, img.DockerArchive(f))
	f.Add(oci)
	f.Add(docker)
	f.Add(gzipped(f, docker))
	f.Add(mk.Layer{Tar: oci, Packing: mk.Zstd}.Blob(f))
	f.Add(mk.Tar(f, mk.File("a", "1"), mk.Symlink("b", "a"), mk.Link("c", "b"), mk.Symlink("d/e", "../d/e")))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, raw []byte) {
		bound.Input(t, len(raw))
		if len(raw) > 1<<20 {
			t.Skip("larger than what there is to be found")
		}
		raw = withChecksums(raw)
		opt := Options{Spool: dir, MaxBytes: 4 << 20}
		found, err := archiveListing(filepath.Join(dir, "plain"), raw, opt)
		if err != nil && !strings.Contains(err.Error(), `plain"`) {
			t.Fatalf("the error does not name the archive: %v", err)
		}
		if is, derr := detect(bufio.NewReader(bytes.NewReader(raw))); derr != nil || is != plain {
			return
		}
		again, againErr := archiveListing(filepath.Join(dir, "packed"), gzipped(t, raw), opt)
		if (err == nil) != (againErr == nil) || again != found {
			t.Fatalf("plain: %v\n%s\npacked: %v\n%s", err, found, againErr, again)
		}
		for _, kind := range []*Transport{testArchive, testDockerArchive} {
			if img, err := Open(context.Background(), Location{Transport: kind, Path: filepath.Join(dir, "plain")}, opt); err == nil {
				checkOpened(t, img)
				mustClose(t, img)
			}
		}
	})
}

// archiveListing writes an archive and lists the files that can be read.
func archiveListing(name string, raw []byte, opt Options) (string, error) {
	if err := os.WriteFile(name, raw, 0o600); err != nil {
		return "", err
	}
	a, err := openArchive(context.Background(), name, opt)
	if err != nil {
		return "", err
	}
	defer a.Close()
	var b strings.Builder
	for _, name := range sortedNames(a.items) {
		in, err := a.open(name)
		if err != nil {
			fmt.Fprintf(&b, "%q: no file\n", name) // a dangling link
			continue
		}
		data, err := io.ReadAll(in)
		if err != nil || int64(len(data)) != in.Size() {
			// The tar reader must find all bytes or report an error.
			return "", fmt.Errorf("%q has %d of %d bytes: %w", name, len(data), in.Size(), err)
		}
		fmt.Fprintf(&b, "%q: %d bytes, %s\n", name, len(data), digest.FromBytes(data))
	}
	return b.String(), nil
}

func sortedNames(items map[string]item) []string {
	var names []string
	for name := range items {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// FuzzUnpack checks that the decompressed size of an arbitrary blob is limited, and that a reused
// unpacker produces the same result.
func FuzzUnpack(f *testing.F) {
	for _, packing := range []string{mk.Plain, mk.Gzip, mk.Zstd} {
		f.Add(mk.Layer{Tar: bytes.Repeat([]byte("text "), 100), Packing: packing}.Blob(f))
	}
	f.Add([]byte("\x50\x2a\x4d\x18\x04\x00\x00\x00skip\x28\xb5\x2f\xfd\x04\x00\x09\x00\x00x")) // a skippable frame
	f.Add([]byte("\x28\xb5\x2f\xfd\x00\x88\x01\x00\x00"))                                      // a window of 128 MiB
	f.Add([]byte("\x1f\x8b\x08\x1f\x00\x00\x00\x00\x00\x03\x05\x00extraname\x00comment\x00"))
	used := &unpacker{}
	f.Cleanup(used.close)
	for _, name := range []string{"layer.tar.xz", "layer.tar.bz2", "large-window.tar.xz"} {
		f.Add(readFile(f, "testdata/packed/"+name))
	}
	brokenOff := []byte("\x1f\x8b\x08\x000044\x80\x00444d") // ends within the codes of a block
	f.Fuzz(func(t *testing.T, raw []byte) {
		bound.Memory(t, 2*maxWindow+16<<20)
		fresh := &unpacker{}
		defer fresh.close()
		if _, _, err := unpack(used, brokenOff); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
		sum, n, err := unpack(fresh, raw)
		again, m, againErr := unpack(used, raw)
		if sum != again || n != m || fmt.Sprint(err) != fmt.Sprint(againErr) {
			t.Fatalf("got %d bytes, %v, and %d bytes, %v", n, err, m, againErr)
		}
		if n > maxUnpacked {
			t.Fatalf("%d bytes unpack to %d", len(raw), n)
		}
	})
}

// maxUnpacked is the largest number of decompressed bytes in this test.
const maxUnpacked = 8 << 20

func unpack(u *unpacker, raw []byte) (digest.Digest, int64, error) {
	buffered := bufio.NewReader(bytes.NewReader(raw))
	packing, err := detect(buffered)
	if err != nil {
		return "", 0, err
	}
	in, err := u.open(buffered, packing)
	if err != nil {
		return "", 0, err
	}
	sum := digest.SHA256.Digester()
	n, err := io.CopyN(sum.Hash(), struct{ io.Reader }{in}, maxUnpacked)
	return sum.Digest(), n, err
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func gzipped(t testing.TB, raw []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err == nil {
		_, err = w.Write(raw)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
