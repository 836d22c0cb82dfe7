package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// fromMost is the limit for a build from an image, relative to a build from a directory.
const fromMost = 1.3

func (b *bench) image(packing string) string { return filepath.Join(b.dir, "image."+packing) }

// fromImage is like build, but with an image as its source.
func fromImage(packing string) commandLine {
	return func(b *bench) string {
		return fmt.Sprintf("%s/chunkah build --from oci:%s --skip-special-files -o %s", b.bin, b.image(packing), b.out("a"))
	}
}

// makeImage makes an image of a root. The image has one layer fewer than the images of the measured
// builds, so that these builds result in a different image.
func (b *bench) makeImage(path, packing string) error {
	if err := os.RemoveAll(b.image(packing)); err != nil {
		return err
	}
	_, err := b.measure(path, fmt.Sprintf("%s/chunkah build --rootfs $ROOT --skip-special-files --max 63 --compress %s -o oci:%s",
		b.bin, packing, b.image(packing)))
	return err
}

// imageMemory compares the peak memory of a build from an image with that of a build from a
// directory.
func imageMemory(packing string) func(*bench) (result, error) {
	return func(b *bench) (result, error) {
		path, err := b.root("large")
		if err != nil {
			return result{}, err
		}
		if err := b.makeImage(path, packing); err != nil {
			return result{}, err
		}
		all, err := b.inTurn(side{path, fromImage(packing)(b)}, side{path, build(b)})
		if err != nil {
			return result{}, err
		}
		r := ratios(all[0], all[1], peak)
		return result{r.median, fmt.Sprintf("%.2f × (%.2f to %.2f): %.0f MB against %.0f MB", r.median, r.least, r.most,
			spreadOf(all[0], peak).median, spreadOf(all[1], peak).median)}, nil
	}
}

// imageTime compares the time of a build from an image with the time for decompressing the image
// and with the time of a build from a directory.
func imageTime(packing string) func(*bench) (result, error) {
	return func(b *bench) (result, error) {
		path, err := b.root("large")
		if err != nil {
			return result{}, err
		}
		if err := b.makeImage(path, packing); err != nil {
			return result{}, err
		}
		inflate := fmt.Sprintf("%s/inflate %s", b.bin, b.image(packing))
		all, err := b.inTurn(side{path, fromImage(packing)(b)}, side{path, build(b)}, side{path, inflate})
		if err != nil {
			return result{}, err
		}
		var bounds []run
		for i := range all[1] {
			bounds = append(bounds, run{
				wallSeconds: fromMost*all[1][i].wallSeconds + all[2][i].wallSeconds,
				cpuSeconds:  fromMost*all[1][i].cpuSeconds + all[2][i].cpuSeconds,
			})
		}
		return times(all[0], bounds), nil
	}
}
