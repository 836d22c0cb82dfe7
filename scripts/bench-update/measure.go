package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/compress"
)

// set measures one set of packages, in a line for each number of layers.
func (b *bench) set(name, packages string, limits []int) error {
	before, after, err := b.roots(name, packages)
	if err != nil {
		return err
	}
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
	old, err := b.read(before)
	if err != nil {
		return err
	}
	now, err := b.read(after)
	if err != nil {
		return err
	}
	one, err := b.update(before, after, "--max", "1")
	if err != nil {
		return err
	}
	n, bytes := changed(old, now)
	for _, limit := range limits {
		cells, err := b.ways(before, after, old, now, limit)
		if err != nil {
			return err
		}
		fmt.Printf("| %s | %d | %d | %d of %d: %s | %d | %s | %s |\n", name, len(is), updated, n, len(now.components), megabytes(bytes),
			limit, strings.Join(cells, " | "), one)
	}
	return nil
}

// ways are the ways to lay out so many layers: with the previous image, without,
// and as chunkah 0.6.
func (b *bench) ways(before, after string, old, now *state, limit int) ([]string, error) {
	most := []string{"--max", strconv.Itoa(limit)}
	plan := filepath.Join(b.dir, "previous.plan")
	base := []string{filepath.Join(b.dir, "old.plan"), filepath.Join(b.dir, "new.plan")}
	for i, s := range []*state{old, now} {
		if err := writePlan(base[i], chunkah06(s, limit)); err != nil {
			return nil, err
		}
	}
	for _, name := range append(base, plan) {
		defer os.Remove(name)
	}
	var cells []string
	for _, way := range [][2][]string{
		{append(most, "--plan", plan), append(most, "--previous", plan)},
		{most, most},
		{append(most, "--previous", base[0]), append(most, "--previous", base[1])},
	} {
		d, err := b.download(before, after, way[0], way[1])
		if err != nil {
			return nil, err
		}
		cells = append(cells, d.String())
	}
	return cells, nil
}

// update is the download between two builds with the same options.
func (b *bench) update(before, after string, options ...string) (download, error) {
	return b.download(before, after, options, options)
}

// download is what a client fetches that has the old image.
type download struct{ bytes, gzip int64 }

func (d download) String() string { return megabytes(d.bytes) + ", gzip " + megabytes(d.gzip) }

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// download builds both images and adds up the layers that only the new one has.
func (b *bench) download(before, after string, oldOptions, newOptions []string) (download, error) {
	image := filepath.Join(b.dir, "image")
	defer os.RemoveAll(image)
	layers, err := b.build(before, image, oldOptions)
	if err != nil {
		return download{}, err
	}
	has := map[string]bool{}
	for _, l := range layers {
		has[l.Digest.Encoded()] = true
	}
	if layers, err = b.build(after, image, newOptions); err != nil {
		return download{}, err
	}
	var d download
	pool := compress.NewPool(0)
	defer pool.Close()
	for _, l := range layers {
		if has[l.Digest.Encoded()] {
			continue
		}
		n, err := zipped(b.ctx, pool, filepath.Join(image, "blobs/sha256", l.Digest.Encoded()))
		if err != nil {
			return d, err
		}
		d.bytes, d.gzip = d.bytes+l.Size, d.gzip+n
	}
	return d, nil
}

// build makes an image in a new folder and returns its layers.
func (b *bench) build(root, image string, options []string) ([]v1.Descriptor, error) {
	if err := os.RemoveAll(image); err != nil {
		return nil, err
	}
	args := append([]string{"build", "--rootfs", root, "--skip-special-files", "-o", "oci:" + image}, options...)
	if out, err := exec.CommandContext(b.ctx, filepath.Join(b.bin, "chunkah"), args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("chunkah build: %w\n%s", err, out)
	}
	var index v1.Index
	var manifest v1.Manifest
	if err := decode(filepath.Join(image, "index.json"), &index); err != nil {
		return nil, err
	}
	if err := decode(filepath.Join(image, "blobs/sha256", index.Manifests[0].Digest.Encoded()), &manifest); err != nil {
		return nil, err
	}
	return manifest.Layers, nil
}

func decode(name string, v any) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

// count counts bytes.
type count int64

func (c *count) Write(p []byte) (int, error) {
	*c += count(len(p))
	return len(p), nil
}

// zipped is the size of a file as chunkah compresses it.
func zipped(ctx context.Context, pool *compress.Pool, name string) (int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var n count
	z, err := pool.NewWriter(ctx, &n, compress.Settings{Algorithm: compress.Gzip})
	if err != nil {
		return 0, err
	}
	if _, err := io.Copy(z, f); err != nil {
		return 0, err
	}
	err = z.Close()
	return int64(n), err
}
