package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// again measures a second build of the same root with a cache.
func again(b *bench) (result, error) {
	path, err := b.root("large")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(b.cache())
	all, err := b.inTurn(side{path, cached(b)}, side{path, build(b)})
	if err != nil {
		return result{}, err
	}
	return times(all[0], all[1]), nil
}

// changed measures builds with a cache, each after one file has been given new contents. The limit
// is 1.1 times the time of an uncompressed build, plus the time for the changed layers, which is
// their share of the time of a build that compresses everything.
func changed(b *bench) (result, error) {
	path, err := b.root("large")
	if err != nil {
		return result{}, err
	}
	full, err := b.measure(path, gzip(b))
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(b.cache())
	if _, err := b.measure(path, cached(b)); err != nil {
		return result{}, err
	}
	file, err := firstFile(path)
	if err != nil {
		return result{}, err
	}
	defer file.restore()
	metrics := filepath.Join(b.dir, "metrics.json")
	defer os.Remove(metrics)
	var ratio, took, allowed, shares []float64
	for i := range b.runs {
		plain, err := b.measure(path, build(b))
		if err != nil {
			return result{}, err
		}
		if err := file.change(i); err != nil {
			return result{}, err
		}
		r, err := b.measure(path, cached(b)+" --metrics "+metrics)
		if err != nil {
			return result{}, err
		}
		share, err := shareCompressed(metrics)
		if err != nil {
			return result{}, err
		}
		limit := 1.1*plain.wallSeconds + share*full.wallSeconds
		ratio, took = append(ratio, r.wallSeconds/limit), append(took, r.wallSeconds)
		allowed, shares = append(allowed, limit), append(shares, 100*share)
	}
	s := spread(ratio)
	return result{s.median, fmt.Sprintf("%.2f × (%.2f to %.2f): %.2f s against %.2f s; %.1f %% of the bytes changed", s.median, s.least, s.most,
		spread(took).median, spread(allowed).median, spread(shares).median)}, nil
}

// shareCompressed returns the share of a build's blobs that did not come from the cache, according
// to its metrics.
func shareCompressed(name string) (float64, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	var doc struct {
		Stages []struct {
			Name   string
			Out    float64 `json:"bytes_out"`
			Reused float64 `json:"bytes_reused"`
		}
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return 0, err
	}
	for _, s := range doc.Stages {
		if s.Name == "write" && s.Out > 0 {
			return 1 - s.Reused/s.Out, nil
		}
	}
	return 0, fmt.Errorf("%s has nothing of write", name)
}

// smallFile is a file that can be restored.
type smallFile struct {
	name  string
	data  []byte
	mtime time.Time
}

// firstFile finds a file in a small package. It returns the first file that is small and has no
// hard links.
func firstFile(root string) (*smallFile, error) {
	var f *smallFile
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if st := info.Sys().(*syscall.Stat_t); st.Nlink > 1 || info.Size() == 0 || info.Size() > 64<<10 {
			return nil
		}
		f = &smallFile{name: name, mtime: info.ModTime()}
		if f.data, err = os.ReadFile(name); err != nil {
			return err
		}
		return fs.SkipAll
	})
	if f == nil && err == nil {
		err = errors.New("no small file to change")
	}
	return f, err
}

func (f *smallFile) change(i int) error {
	return os.WriteFile(f.name, fmt.Appendf(slices.Clip(f.data), "\nchange %d\n", i), 0)
}

func (f *smallFile) restore() {
	err := os.WriteFile(f.name, f.data, 0)
	if err == nil {
		err = os.Chtimes(f.name, f.mtime, f.mtime)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: restoring:", err)
	}
}

// extraDisk builds an image in a file system of exactly the image's size, and enlarges the file
// system until the build succeeds.
func extraDisk(b *bench) (result, error) {
	path, err := b.root("small")
	if err != nil {
		return result{}, err
	}
	if _, err := b.measure(path, build(b)); err != nil {
		return result{}, err
	}
	info, err := os.Stat(b.out("a"))
	if err != nil {
		return result{}, err
	}
	page := int64(os.Getpagesize())
	need := (info.Size() + page - 1) / page * page
	dir := filepath.Join(b.dir, "exact")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return result{}, err
	}
	for extra := int64(0); extra <= 2*need; extra = max(page, 2*extra) {
		fits, err := b.fits(path, dir, need+extra)
		if err != nil {
			return result{}, err
		}
		if fits {
			mb := float64(extra) / 1e6
			return result{mb, fmt.Sprintf("%.4g MB: fits in a file system of %d bytes, as large as the image", mb, need+extra)}, nil
		}
	}
	return result{}, errors.New("needs more than three times the image")
}

// fits reports whether a build, including its temporary files, fits into a file system of the given
// size.
func (b *bench) fits(root, dir string, size int64) (bool, error) {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		return false, fmt.Errorf("%w: mounting a tmpfs: %w", errSkip, err)
	}
	defer func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }()
	cmd := shell(root, fmt.Sprintf("%s/chunkah build --rootfs $ROOT --skip-special-files -o %s/out", b.bin, dir))
	cmd.Env = append(cmd.Env, "TMPDIR="+dir)
	return cmd.Run() == nil, nil
}
