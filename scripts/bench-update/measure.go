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
	one, err := b.download(after, nil, "--max", "1")
	if err != nil {
		return err
	}
	n, size := changed(old, now)
	for _, limit := range limits {
		cells, err := b.ways(before, after, old, now, limit)
		if err != nil {
			return err
		}
		fmt.Printf("| %s | %d | %d | %d of %d: %s | %d | %s | %s |\n", name, len(is), updated, n, len(now.components), megabytes(size),
			limit, strings.Join(cells, " | "), one)
	}
	return nil
}

// ways are the ways to lay out so many layers: with the previous image, without,
// and as chunkah 0.6.
func (b *bench) ways(before, after string, old, now *state, limit int) ([]string, error) {
	most := []string{"--max", strconv.Itoa(limit)}[:2:2]
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
	has, err := b.digests(before, append(most, "--plan", plan)...)
	if err != nil {
		return nil, err
	}
	hasBase, err := b.digests(before, append(most, "--previous", base[0])...)
	if err != nil {
		return nil, err
	}
	var cells []string
	for _, way := range []struct {
		has     map[string]int64
		options []string
	}{
		{has, append(most, "--previous", plan)}, {has, most}, {hasBase, append(most, "--previous", base[1])},
	} {
		d, err := b.download(after, way.has, way.options...)
		if err != nil {
			return nil, err
		}
		cells = append(cells, d.String())
	}
	return cells, nil
}

// download is what a client fetches that has the old image.
type download struct{ bytes, gzip int64 }

func (d download) String() string { return megabytes(d.bytes) + ", gzip " + megabytes(d.gzip) }

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// download builds an image and adds up the layers that are not among those that
// the client has.
func (b *bench) download(root string, has map[string]int64, options ...string) (d download, err error) {
	pool := compress.NewPool(0)
	defer pool.Close()
	layers, err := b.build(root, options, func(digest string, r io.Reader) (int64, error) {
		if _, known := has[digest]; known {
			return 0, nil
		}
		return zipped(b.ctx, pool, r)
	})
	for digest, l := range layers {
		if _, known := has[digest]; !known {
			d.bytes, d.gzip = d.bytes+l.size, d.gzip+l.zipped
		}
	}
	return d, err
}

// digests builds an image and returns the sizes of its layers.
func (b *bench) digests(root string, options ...string) (map[string]int64, error) {
	layers, err := b.build(root, options, func(string, io.Reader) (int64, error) { return 0, nil })
	has := map[string]int64{}
	for digest, l := range layers {
		has[digest] = l.size
	}
	return has, err
}

// blob is a layer as it went by.
type blob struct{ size, zipped int64 }

// maxJSON bounds the blobs that are kept to look for the manifest in.
const maxJSON = 4 << 20 // bytes

// build makes an image, which nothing of is stored: each blob is handed to zip on
// its way. It returns the layers by digest.
func (b *bench) build(root string, options []string, zip func(string, io.Reader) (int64, error)) (map[string]blob, error) {
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
	layers := map[string]blob{}
	for _, l := range manifest.Layers {
		layers[l.Digest.Encoded()] = blobs[l.Digest.Encoded()]
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
