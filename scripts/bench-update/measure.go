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

// set measures one set of packages, in a line for each number of layers and layout.
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
	u := &update{bench: b, before: before, after: after, old: old, now: now}
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

// describe says on standard error how large the update is.
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
	n, size := changed(old, now)
	fmt.Fprintf(os.Stderr, "bench-update: %s: %d of %d source packages updated, %d of %d components changed: %s\n",
		name, updated, len(is), n, len(now.components), megabytes(size))
	return nil
}

// update is a root before and after an update.
type update struct {
	*bench
	before, after string
	old, now      *state
}

// layout is a way to lay out layers.
type layout struct {
	name string
	// options are those of both builds; was and is those of the first and second one.
	options, was, is []string
	// stack sorts the layers of a root, if chunkah is not to do it.
	stack func(*state, []layer) []layer
}

// layouts calls f with the ways to lay out so many layers: with the previous image, with patch
// layers, without, and as chunkah 0.6.
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
	if err := u.store(old, most); err != nil {
		return err
	}
	layouts := []layout{{name: "with `--previous`", options: most, was: []string{"--plan", plan}, is: []string{"--previous", plan}}}
	for _, stale := range []string{"2%", "5%", "10%"} {
		layouts = append(layouts, layout{
			name: "`--max-stale " + stale + "`", options: most, is: []string{"--previous", "oci-archive:" + old, "--max-stale", stale},
		})
	}
	for _, l := range append(layouts, []layout{
		{name: "without", options: most},
		{name: "chunkah 0.6", options: most, was: []string{"--previous", base[0]}, is: []string{"--previous", base[1]}, stack: (*state).stableFirst},
	}...) {
		if err := f(l); err != nil {
			return err
		}
	}
	return nil
}

// store writes the image of the root before the update to an archive, whose layers patch layers
// keep.
func (u *update) store(name string, options []string) error {
	args := append([]string{"build", "--quiet", "--rootfs", u.before, "--skip-special-files", "-o", name}, options...)
	if out, err := exec.CommandContext(u.ctx, filepath.Join(u.bin, "chunkah"), args...).CombinedOutput(); err != nil {
		return fmt.Errorf("chunkah build: %w\n%s", err, out)
	}
	return nil
}

// cost is what clients need for an update.
type cost struct {
	bytes, gzip int64 // of the blobs that are new, as tars and compressed
	docker      int64 // download of docker's graph drivers: by chain, compressed
	podman      int64 // disk growth: by chain, as tars
}

func (c cost) String() string {
	return strings.Join([]string{megabytes(c.bytes), megabytes(c.gzip), megabytes(c.docker), megabytes(c.podman)}, " | ")
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// cost builds a layout of both roots and compares the layers.
func (u *update) cost(l layout) (c cost, err error) {
	has, err := u.layers(u.before, u.old, l, l.was, nil)
	if err != nil {
		return c, err
	}
	layers, err := u.layers(u.after, u.now, l, l.is, nil)
	if err != nil {
		return c, err
	}
	kept := 0 // layers of the common chain
	for kept < min(len(has), len(layers)) && has[kept].digest == layers[kept].digest {
		kept++
	}
	above := map[string]bool{}
	for _, l := range layers[kept:] {
		above[l.digest] = true
	}
	// They are built once more, because only now it is known which to compress.
	if layers, err = u.layers(u.after, u.now, l, l.is, above); err != nil {
		return c, err
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

// layers builds an image and returns its layers from the bottom up, those in zip with
// their compressed sizes.
func (u *update) layers(root string, s *state, l layout, options []string, zip map[string]bool) ([]layer, error) {
	pool := compress.NewPool(0)
	defer pool.Close()
	layers, err := u.build(root, slices.Concat(l.options, options), func(digest string, r io.Reader) (int64, error) {
		if !zip[digest] {
			return 0, nil
		}
		return zipped(u.ctx, pool, r)
	})
	if err == nil && l.stack != nil {
		layers = l.stack(s, layers)
	}
	return layers, err
}

// layer is a layer of an image.
type layer struct {
	digest string
	blob
	components []string
}

// blob is a blob as it went by, with its size if it is compressed.
type blob struct{ size, zipped int64 }

// maxJSON bounds the blobs that are kept to look for the manifest in.
const maxJSON = 4 << 20 // bytes

// build makes an image without storing it: each blob is handed to zip on its way. It
// returns the layers from the bottom up.
func (b *bench) build(root string, options []string, zip func(string, io.Reader) (int64, error)) ([]layer, error) {
	cmd := exec.CommandContext(b.ctx, filepath.Join(b.bin, "chunkah"),
		append([]string{"build", "--rootfs", root, "--skip-special-files"}, options...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	blobs, small, err := readArchive(out, zip)
	if waited := cmd.Wait(); waited != nil {
		return nil, fmt.Errorf("chunkah build: %w\n%s", waited, stderr.Bytes())
	}
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

// readArchive reads an OCI archive: its blobs by digest, and what is small as it is.
func readArchive(r io.Reader, zip func(string, io.Reader) (int64, error)) (map[string]blob, map[string][]byte, error) {
	blobs, small := map[string]blob{}, map[string][]byte{}
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if err == io.EOF {
			_, err = io.Copy(io.Discard, r) // what tar leaves behind its end
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

// count counts bytes.
type count int64

func (c *count) Write(p []byte) (int, error) {
	*c += count(len(p))
	return len(p), nil
}

// zipped is the size of a blob as chunkah compresses it.
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
