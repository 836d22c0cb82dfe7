package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/compress"
)

// set measures one package set, and prints one line per layer limit and layout.
func (b *bench) set(name, packages string, limits []int) error {
	before, after, err := b.roots(name, packages)
	if err != nil {
		return err
	}
	old, err := b.read(before)
	if err != nil {
		return err
	}
	now, err := b.read(after)
	if err != nil {
		return err
	}
	if err := b.describe(name, old, now, before, after); err != nil {
		return err
	}
	u := &update{bench: b, before: before, after: after, old: old, now: now, zipped: make(map[string]int64)}
	one, err := u.cost(layout{options: []string{"--max", "1"}})
	if err != nil {
		return err
	}
	for _, limit := range limits {
		err := u.layouts(limit, func(l layout) error {
			cost, err := u.cost(l)
			if err == nil {
				fmt.Printf("| %s | %d | %s | %s |\n", name, limit, l.name, cost)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	fmt.Printf("| %s | 1 | one layer | %s |\n", name, one)
	return nil
}

// describe prints the size of the update on standard error.
func (b *bench) describe(name string, old, now *state, before, after string) error {
	was, err := b.sources(before)
	if err != nil {
		return err
	}
	is, err := b.sources(after)
	if err != nil {
		return err
	}
	updated := 0
	for source, version := range is {
		if was[source] != version {
			updated++
		}
	}
	n, size := changed(old, now, component.fileSize)
	fmt.Fprintf(os.Stderr, "bench-update: %s: %d of %d source packages updated, %d of %d components changed: %s\n",
		name, updated, len(is), n, len(now.components), megabytes(size))
	return nil
}

// update is a root before and after an update.
type update struct {
	*bench
	before, after string
	old, now      *state
	// zipped caches the gzip sizes of layers by digest, because layouts share many layers.
	zipped map[string]int64
}

// layout is a way to divide a root into layers.
type layout struct {
	name string
	// The options for both builds are in "options", those for only the first build in "was", and
	// those for only the second build in "is".
	options, was, is []string
	// has contains the layers of the first build if that build has already been made.
	has []layer
	// stack sorts the layers of a root, if chunkah does not sort them.
	stack func(*state, []layer) []layer
}

// layouts calls f with each layout for this layer limit: with the previous image, with patch
// layers, with neither, and like chunkah 0.6.
func (u *update) layouts(limit int, f func(layout) error) error {
	most := []string{"--max", strconv.Itoa(limit)}
	plan := filepath.Join(u.dir, "previous.plan")
	base := []string{filepath.Join(u.dir, "old.plan"), filepath.Join(u.dir, "new.plan")}
	for i, s := range []*state{u.old, u.now} {
		if err := writePlan(base[i], chunkah06(s, limit)); err != nil {
			return err
		}
	}
	for _, name := range append(base, plan) {
		defer os.Remove(name)
	}
	old := filepath.Join(u.dir, "previous.oci")
	defer os.Remove(old)
	has, err := u.store(old, append([]string{"--plan", plan}, most...))
	if err != nil {
		return err
	}
	layouts := []layout{{name: "with `--previous`", options: most, has: has, is: []string{"--previous", plan}}}
	for _, stale := range []string{"2%", "5%", "10%"} {
		layouts = append(layouts, layout{
			name: "`--max-stale " + stale + "`", options: most, has: has, is: []string{"--previous", "oci-archive:" + old, "--max-stale", stale},
		})
	}
	for _, l := range append(layouts, []layout{
		{name: "without", options: most, has: has},
		{name: "chunkah 0.6", options: most, was: []string{"--previous", base[0]}, is: []string{"--previous", base[1]}, stack: (*state).stableFirst},
	}...) {
		if err := f(l); err != nil {
			return err
		}
	}
	return nil
}

// store writes the image of the old root to an archive. The builds with patch layers use this image
// as their previous image. store returns its layers.
func (u *update) store(name string, options []string) ([]layer, error) {
	args := append([]string{"--quiet", "--rootfs", u.before, "--skip-special-files", "-o", name}, options...)
	if out, err := u.chunkah(args).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("chunkah build: %w\n%s", err, out)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readImage(f, unzipped)
}

// chunkah returns the command that builds an image.
func (b *bench) chunkah(options []string) *exec.Cmd {
	return exec.CommandContext(b.ctx, filepath.Join(b.bin, "chunkah"), append([]string{"build"}, options...)...)
}

// cost is the cost of an update for clients.
type cost struct {
	bytes, gzip int64 // size of the new blobs, as tars and compressed
	docker      int64 // download of docker's graph drivers: by chain, compressed
	podman      int64 // disk growth: by chain, as tars
}

func (c cost) String() string {
	return strings.Join([]string{megabytes(c.bytes), megabytes(c.gzip), megabytes(c.docker), megabytes(c.podman)}, " | ")
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// cost builds a layout of both roots and compares the layers.
func (u *update) cost(l layout) (c cost, err error) {
	has := l.has
	if has == nil {
		if has, err = u.build(u.before, slices.Concat(l.options, l.was), unzipped); err != nil {
			return c, err
		}
	}
	pool := compress.NewPool(0)
	defer pool.Close()
	layers, err := u.build(u.after, slices.Concat(l.options, l.is), func(digest string, r io.Reader) (n int64, err error) {
		n, known := u.zipped[digest]
		if !known {
			n, err = zipped(u.ctx, pool, r)
			u.zipped[digest] = n
		}
		return n, err
	})
	if err != nil {
		return c, err
	}
	if l.stack != nil {
		has, layers = l.stack(u.old, has), l.stack(u.now, layers)
	}
	kept := 0 // number of layers in the common chain
	for kept < min(len(has), len(layers)) && has[kept].digest == layers[kept].digest {
		kept++
	}
	known := map[string]bool{}
	for _, l := range has {
		known[l.digest] = true
	}
	for _, l := range layers[kept:] {
		c.docker, c.podman = c.docker+l.zipped, c.podman+l.size
		if !known[l.digest] {
			c.bytes, c.gzip = c.bytes+l.size, c.gzip+l.zipped
		}
	}
	return c, nil
}

// layer is a layer of an image.
type layer struct {
	digest string
	blob
	components []string
}

// blob is a blob of the archive, with its compressed size if requested.
type blob struct{ size, zipped int64 }

// maxJSON is the largest size of a blob that is kept in memory because it could be the manifest.
const maxJSON = 4 << 20 // bytes

// build makes an image without storing it, and passes each blob to zip. It returns the layers from
// the bottom up.
func (b *bench) build(root string, options []string, zip func(string, io.Reader) (int64, error)) ([]layer, error) {
	cmd := b.chunkah(append([]string{"--rootfs", root, "--skip-special-files"}, options...))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	layers, err := readImage(out, zip)
	if waited := cmd.Wait(); waited != nil {
		return nil, fmt.Errorf("chunkah build: %w\n%s", waited, stderr.Bytes())
	}
	return layers, err
}

// readImage reads the only image of an OCI archive. It returns the layers from the bottom up.
func readImage(r io.Reader, zip func(string, io.Reader) (int64, error)) ([]layer, error) {
	blobs, small, err := readArchive(r, zip)
	if err != nil {
		return nil, err
	}
	var index v1.Index
	if err := json.Unmarshal(small["index.json"], &index); err != nil {
		return nil, err
	}
	var manifest v1.Manifest
	if err := json.Unmarshal(small[index.Manifests[0].Digest.Encoded()], &manifest); err != nil {
		return nil, err
	}
	var layers []layer
	for _, l := range manifest.Layers {
		digest := l.Digest.Encoded()
		layers = append(layers, layer{digest, blobs[digest], strings.Split(l.Annotations["org.chunkah.component"], ", ")})
	}
	return layers, nil
}

// readArchive reads an OCI archive: the sizes of its blobs by digest, and the contents of small
// files.
func readArchive(r io.Reader, zip func(string, io.Reader) (int64, error)) (map[string]blob, map[string][]byte, error) {
	blobs, small := map[string]blob{}, map[string][]byte{}
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if err == io.EOF {
			_, err = io.Copy(io.Discard, r) // padding after the end of the tar
			return blobs, small, err
		}
		if err != nil {
			return nil, nil, err
		}
		name, content := path.Base(h.Name), io.Reader(in)
		if h.Size <= maxJSON {
			if small[name], err = io.ReadAll(in); err != nil {
				return nil, nil, err
			}
			content = bytes.NewReader(small[name])
		}
		n, err := zip(name, content)
		if err != nil {
			return nil, nil, err
		}
		blobs[name] = blob{h.Size, n}
	}
}

// count counts the bytes written to it.
type count int64

func (c *count) Write(p []byte) (int, error) {
	*c += count(len(p))
	return len(p), nil
}

// unzipped does not compress the blob and returns 0.
func unzipped(string, io.Reader) (int64, error) { return 0, nil }

// zipped returns the size of a blob after chunkah has compressed it.
func zipped(ctx context.Context, pool *compress.Pool, r io.Reader) (int64, error) {
	var n count
	z, err := pool.NewWriter(ctx, &n, compress.Settings{Algorithm: compress.Gzip}, 0)
	if err != nil {
		return 0, err
	}
	if _, err := io.Copy(z, r); err != nil {
		return 0, err
	}
	err = z.Close()
	return int64(n), err
}
