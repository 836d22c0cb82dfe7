// Inflate measures the minimum cost of reading an image: it decompresses all layers of an OCI
// layout on all cores, and discards the result.
//
//	inflate DIR
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: inflate DIR")
		os.Exit(2)
	}
	if err := inflateAll(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "inflate:", err)
		os.Exit(1)
	}
}

func inflateAll(dir string) error {
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	err := filepath.WalkDir(filepath.Join(dir, "blobs"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			group.Go(func() error { return inflate(path) })
		}
		return err
	})
	return errors.Join(err, group.Wait())
}

// inflate decompresses compressed blobs. It skips manifests, configs and plain layers.
func inflate(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<20)
	magic, err := in.Peek(4)
	if err != nil {
		return nil // too short to be a compressed blob
	}
	var out io.Reader
	switch {
	case magic[0] == 0x1f && magic[1] == 0x8b:
		out, err = gzip.NewReader(in)
	case string(magic) == "\x28\xb5\x2f\xfd":
		var d *zstd.Decoder
		if d, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1)); err == nil {
			defer d.Close()
			out = d
		}
	default:
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %q: %w", path, err)
	}
	_, err = io.Copy(io.Discard, out)
	return err
}
