package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/opencontainers/go-digest"

	"chunkah/lib/compress"
	"chunkah/lib/image"
	"chunkah/lib/oci"
	"chunkah/lib/plan"
	"chunkah/lib/transport"
	"chunkah/lib/write"
)

// previousLayers opens the previous image, as --previous names it, for the layers
// that were compressed as those of the new one are to be. A plan has none. It
// returns what closes the image. What is no image is for grouping to complain of.
func (f *imageFlags) previousLayers(ctx context.Context, env *Env, name string, output *image.Source, algorithm compress.Algorithm) (map[digest.Digest]write.Kept, io.Closer, error) {
	none := io.NopCloser(nil)
	src, err := previousImage(name, output)
	if src == nil || err != nil || algorithm == compress.None {
		return nil, none, err
	}
	img, err := image.Open(ctx, *src, f.imageOptions(env))
	switch {
	case ctx.Err() != nil:
		return nil, none, context.Cause(ctx)
	case errors.Is(err, fs.ErrNotExist) && name == previousAuto:
		return nil, none, nil // which grouping has told
	case err != nil:
		env.info("taking no layers of the previous image: %w", err)
		return nil, none, nil
	}
	layers := make(map[digest.Digest]write.Kept)
	for _, l := range img.Layers {
		if !strings.HasSuffix(l.Descriptor.MediaType, string(algorithm)) {
			continue
		}
		layers[l.DiffID] = write.Kept{
			Layer: oci.Layer{Descriptor: l.Descriptor, DiffID: l.DiffID},
			Image: src.InRegistry(),
			Open:  func(ctx context.Context) (io.ReadCloser, error) { return img.Blob(ctx, l.Descriptor) },
		}
	}
	return layers, img, nil
}

// previousImage is the image that --previous names, nil where that is none.
func previousImage(name string, output *image.Source) (*image.Source, error) {
	switch name {
	case "":
		return nil, nil
	case previousAuto:
		return output, nil
	}
	src, err := transport.ParseSource(name)
	if err != nil {
		return nil, &usageError{err}
	}
	src, err = previousSource(src)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("opening the previous image: %w", err)
	}
	if err != nil || !src.IsImage() {
		return nil, err
	}
	return &src, nil
}

// previousSource tells what is at a path without a transport: a layout folder, an archive,
// or a plan, which can come from a pipe and is not an image.
func previousSource(src image.Source) (image.Source, error) {
	if src.IsImage() {
		return src, nil
	}
	info, err := os.Stat(src.Path)
	if err != nil {
		return src, err
	}
	if info.IsDir() {
		src.Transport = transport.Layout
	} else if info.Mode().IsRegular() {
		first, err := firstByte(src.Path)
		if err != nil {
			return src, err
		}
		if !plan.Starts(first) {
			src.Transport = transport.Archive
		}
	}
	return src, nil
}

// firstByte reads the first byte of a file; that of an empty one is a space.
func firstByte(path string) (byte, error) {
	in, err := image.OpenFile(path)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	first := []byte{' '}
	if _, err := in.Read(first); err != nil && err != io.EOF {
		return 0, err
	}
	return first[0], nil
}
