package tests

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/rootfs"
	"chunkah/lib/scan"
	"chunkah/tests/clients"
	mk "chunkah/tests/mkimage"
	"chunkah/tests/treediff"
)

// mounted loads an OCI archive into a podman with a storage driver, and mounts it.
func mounted(t *testing.T, driver, archive string) string {
	t.Helper()
	e := clients.NewEngineOn(t, driver)
	return e.Mount(e.Load(archive))
}

// imageOf makes an image from layers.
func imageOf(t *testing.T, layers [][]mk.Entry) *mk.Image {
	t.Helper()
	img := &mk.Image{Name: "localhost/layers:1"}
	for i, entries := range layers {
		img.Layers = append(img.Layers, mk.Layer{Tar: mk.Tar(t, entries...), Packing: []string{mk.Gzip, mk.Plain, mk.Zstd}[i%3]})
	}
	return img
}

// withoutRoot removes differences in the root directory's own entry, "./", which podman ignores.
func withoutRoot(diffs []string) []string {
	return slices.DeleteFunc(diffs, func(d string) bool { return strings.HasPrefix(d, `"/": `) })
}

// The tree of the ten layers is the same as in podman, for every image format.
func TestSourceOfTenLayers(t *testing.T) {
	img := imageOf(t, tenLayers())
	plain, docker := imageOf(t, tenLayers()), imageOf(t, tenLayers())
	docker.Docker = true
	for i := range plain.Layers {
		plain.Layers[i].Packing = mk.Plain
	}
	archive := img.Archive(t)
	trees := map[string]string{}
	for form, source := range map[string]string{
		"OCI archive, mixed": "oci-archive:" + archive, "layout, mixed": "oci:" + img.Layout(t), "docker archive, mixed": "docker-archive:" + img.DockerArchive(t),
		"OCI archive, plain": "oci-archive:" + plain.Archive(t), "layout, plain": "oci:" + plain.Layout(t), "docker archive, plain": "docker-archive:" + plain.DockerArchive(t),
		"layout, Docker's types": "oci:" + docker.Layout(t),
	} {
		trees[form] = unpack(t, flatten(t, source))
	}
	for driver, want := range map[string][]string{
		"overlay": nil,
		// vfs copies the lower layers file by file, and loses hard links to symlinks.
		"vfs": {
			`"/hard/s": names of the inode: ["/hard/s" "/hard/t"] and ["/hard/s"]`,
			`"/hard/t": names of the inode: ["/hard/s" "/hard/t"] and ["/hard/t"]`,
		},
	} {
		t.Run(driver, func(t *testing.T) {
			mount := mounted(t, driver, archive)
			for form, tree := range trees {
				diffs, err := treediff.Compare(tree, mount, treediff.Options{Mtimes: true})
				if err != nil {
					t.Fatal(err)
				}
				if got := withoutRoot(diffs); !slices.Equal(got, want) {
					t.Errorf("%s:\n%s\nwant\n%s", form, strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
			}
		})
	}
}

// records returns the stream of records of a tree, including the contents of files.
func records(t *testing.T, root *rootfs.Root) string {
	t.Helper()
	var out bytes.Buffer
	opt := scan.Options{Special: scan.SpecialKeep}
	for f, err := range scan.Walk(context.Background(), root, opt, &scan.Report{}) {
		if err != nil {
			t.Fatal(err)
		}
		if f.MTime, f.MTimeNsec, f.Stamp = 0, 0, ""; f.Type == format.TypeFile {
			in, err := root.OpenFile(f.Path)
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.New()
			if _, err := io.Copy(sum, in); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&out, "%x ", sum.Sum(nil))
			in.Close()
		}
		fmt.Fprintf(&out, "%+v\n", *f)
	}
	return out.String()
}

// An image of a Debian system has the same records as the root, after any conversion by skopeo.
func TestSourceOfADebianRoot(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root", "skopeo")
	root := debianRoot(t)
	archive := build(t, root, "--keep-special-files")
	dir, err := rootfs.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	want := records(t, dir)
	for _, test := range []struct {
		form, path string
		args       []string
	}{
		{"oci-archive:", "", nil}, // as chunkah wrote it: uncompressed
		{"oci:", "/layout", []string{"--dest-compress-format", "zstd"}},
		{"oci-archive:", "/archive", []string{"--dest-compress"}},
		{"docker-archive:", "/docker", nil},
		{"oci:", "/v2s2", []string{"--format", "v2s2"}},
	} {
		source := test.form + archive
		if test.path != "" {
			to := t.TempDir() + test.path
			args := append([]string{"--insecure-policy", "copy", "--quiet"}, test.args...)
			clients.Run(t, exec.Command("skopeo", append(args, "oci-archive:"+archive, test.form+to)...))
			source = test.form + to
		}
		tree := rootfs.Virtual(source, flatten(t, source))
		if got := records(t, tree); got != want {
			t.Errorf("%s %q: %s", test.form, test.args, firstDifference(want, got))
		}
	}
}

// firstDifference shows the first lines that differ.
func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d is\n%s\nwant\n%s", i, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

// Inodes of different images are distinct, so hard links stay within their image.
func TestSourceInodesOfTwoImages(t *testing.T) {
	linked := func(name string) string {
		img := imageOf(t, [][]mk.Entry{{mk.File(name, name), mk.Link(name+"-link", name)}})
		return "oci:" + img.Layout(t)
	}
	got := clients.Run(t, exec.Command("chunkah-scan", linked("a"), linked("b")))
	for path, group := range map[string]string{"/a": "1", "/a-link": "1", "/b": "2", "/b-link": "2"} {
		if !regexp.MustCompile(`"path":"` + path + `",.*"hardlink":` + group).MatchString(got) {
			t.Errorf("%s is not in group %s:\n%s", path, group, got)
		}
	}
}
