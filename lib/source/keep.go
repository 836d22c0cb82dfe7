package source

import (
	"context"
	"fmt"
	"strconv"

	"chunkah/lib/image"
	"chunkah/lib/transport"
)

// keptLayers returns how many of an image's layers to keep.
func keptLayers(ctx context.Context, img *image.Image, opt Options) (int, error) {
	if opt.KeepBase == "" {
		return 0, nil
	}
	if n, err := strconv.Atoi(opt.KeepBase); err == nil {
		if n < 0 || n > len(img.Layers) {
			return 0, fmt.Errorf("keeping %d layers: %q has only %d", n, img.Source, len(img.Layers))
		}
		return n, nil
	}
	src, err := transport.ParseSource(opt.KeepBase)
	if err != nil {
		return 0, err
	}
	if !src.IsImage() {
		return 0, fmt.Errorf("keeping the layers of %q: expected a number, or an image such as oci:DIR or docker://REF", opt.KeepBase)
	}
	of := opt.Image
	of.Like = &img.Platform
	base, err := image.Open(ctx, src, of)
	if err != nil {
		return 0, err
	}
	defer base.Close()
	for i, l := range base.Layers {
		if i >= len(img.Layers) || img.Layers[i].DiffID != l.DiffID {
			return 0, fmt.Errorf("keeping the layers of %q: %q has different lowest layers (layer %d of %d differs)", src, img.Source, i, len(base.Layers))
		}
	}
	return len(base.Layers), nil
}
