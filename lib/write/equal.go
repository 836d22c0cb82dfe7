package write

import (
	"context"
	"crypto/sha256"

	"chunkah/format"
	"chunkah/lib/layer"
)

// dropEqual removes a layer that is equal to a lower layer. Such a layer would add nothing, and it
// confuses clients (containers/image#370). Only layers that consist of directories can be equal,
// since any other file is in exactly one layer.
func (w *writer) dropEqual(ctx context.Context) error {
	known := make(map[[sha256.Size]byte]bool)
	kept := w.img.layers[:0]
	for _, l := range w.img.layers {
		if !onlyDirs(l.files) {
			kept = append(kept, l)
			continue
		}
		sum := sha256.New()
		if err := layer.Write(ctx, sum, l.files, nil); err != nil {
			return err
		}
		key := [sha256.Size]byte(sum.Sum(nil))
		if known[key] {
			w.report.Duplicates++
			continue
		}
		known[key] = true
		kept = append(kept, l)
	}
	w.img.layers = kept
	return nil
}

func onlyDirs(files []*format.File) bool {
	for _, f := range files {
		if f.Type != format.TypeDir {
			return false
		}
	}
	return true
}
