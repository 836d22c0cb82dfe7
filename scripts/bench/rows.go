package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// row is one row of the table.
type row struct {
	name string
	run  func(b *bench, name string) error
}

var rows = []row{
	{"uncompressed, small root", pair("small", build, floor, 2)},
	{"uncompressed, large root", pair("large", build, floor, 1.5)},
	{"uncompressed, 500,000 files", pair("many", build, floor, 1.5)},
	{"gzip 6, time", pair("large", gzip, pigz, 0.4)},
	{"gzip 6, size", size(gzip, pigz, 1.05)},
	{"zstd, time", pair("large", zstd, tarZstd, 1.2)},
	{"zstd, size", size(zstd, tarZstd, 1.02)},
	{"cores busy in the last tenth, gzip, one layer with half the bytes", lastTenth("half", gzip)},
	{"cores busy in the last tenth, zstd, one layer with half the bytes", lastTenth("half", zstd)},
	{"gzip again with a cache", pair("large", cached, build, 1.1)},
	{"four commands in a pipe", pair("large", pipe, buildStdout, 1.3)},
	{"peak memory, large root", memory("large", 120)},
	{"peak memory, 500,000 files", memory("many", 500)},
	{"peak memory, ten times the bytes", memoryRatio("wide", "narrow", 1.1)},
	{"time, ten times the files", scaling("many", "tenth", 11)},
}

func (b *bench) out(name string) string { return filepath.Join(b.dir, "out."+name) }

// Each of these is a command line for the shell; $ROOT is the root.
func build(b *bench) string {
	return fmt.Sprintf("%s/chunkah build --rootfs $ROOT --skip-special-files -o %s", b.bin, b.out("a"))
}

func buildStdout(b *bench) string {
	return fmt.Sprintf("%s/chunkah build --rootfs $ROOT --skip-special-files > %s", b.bin, b.out("b"))
}

func gzip(b *bench) string   { return build(b) + " --compress gzip --level 6" }
func zstd(b *bench) string   { return build(b) + " --compress zstd" }
func cached(b *bench) string { return gzip(b) + " --cache " + filepath.Join(b.dir, "cache") }

func pipe(b *bench) string {
	return fmt.Sprintf("%[1]s/chunkah-scan --skip-special-files $ROOT | %[1]s/chunkah-assign | %[1]s/chunkah-pack | %[1]s/chunkah-write > %[2]s",
		b.bin, b.out("a"))
}

func floor(b *bench) string { return fmt.Sprintf("%s/floor $ROOT %s", b.bin, b.out("b")) }
func pigz(b *bench) string  { return fmt.Sprintf("tar c -C $ROOT . | pigz -6 > %s", b.out("b")) }
func tarZstd(b *bench) string {
	return fmt.Sprintf("tar c -C $ROOT . | zstd -q -3 -T0 > %s", b.out("b"))
}

type commandLine func(*bench) string

// pair compares the time of two commands on one root.
func pair(root string, a, ref commandLine, most float64) func(*bench, string) error {
	return func(b *bench, name string) error {
		path, err := b.root(root)
		if err != nil {
			return err
		}
		as, refs, err := b.inTurn(path, a(b), path, ref(b))
		if err != nil {
			return err
		}
		ratio := ratios(as, refs, wall)
		print(name, fmt.Sprintf("%.2f × (%.2f to %.2f): %.2f s to %.2f s", ratio.median, ratio.least, ratio.most,
			spreadOf(as, wall).median, spreadOf(refs, wall).median), ratio.median, most, "×")
		return nil
	}
}

// size compares the sizes of what two commands wrote.
func size(a, ref commandLine, most float64) func(*bench, string) error {
	return func(b *bench, name string) error {
		path, err := b.root("large")
		if err != nil {
			return err
		}
		var sizes [2]float64
		for i, line := range []string{a(b), ref(b)} {
			if _, err := measure(path, line); err != nil {
				return err
			}
			info, err := os.Stat(b.out([]string{"a", "b"}[i]))
			if err != nil {
				return err
			}
			sizes[i] = float64(info.Size())
		}
		print(name, fmt.Sprintf("%.1f %%: %.1f MB to %.1f MB", 100*sizes[0]/sizes[1], sizes[0]/1e6, sizes[1]/1e6),
			sizes[0]/sizes[1], most, "×")
		return nil
	}
}

// lastTenth tells how much of the cores a build uses in its last tenth, without
// the time in which the disk is waited for.
func lastTenth(root string, a commandLine) func(*bench, string) error {
	return func(b *bench, name string) error {
		path, err := b.root(root)
		if err != nil {
			return err
		}
		var used []float64
		for range b.runs {
			u, err := usedInLastTenth(path, a(b))
			if err != nil {
				return err
			}
			used = append(used, u)
		}
		s := spread(used)
		print(name, fmt.Sprintf("%.0f %% idle (%.0f to %.0f)", 100*(1-s.median), 100*(1-s.most), 100*(1-s.least)),
			1-s.median, 0.15, "idle")
		return nil
	}
}

// memory is the wrapper's peak in megabytes.
func memory(root string, most float64) func(*bench, string) error {
	return func(b *bench, name string) error {
		path, err := b.root(root)
		if err != nil {
			return err
		}
		var all []run
		for range b.runs {
			r, err := measure(path, build(b))
			if err != nil {
				return err
			}
			all = append(all, r)
		}
		s := spreadOf(all, peak)
		print(name, fmt.Sprintf("%.0f MB (%.0f to %.0f)", s.median, s.least, s.most), s.median, most, "MB")
		return nil
	}
}

func memoryRatio(large, small string, most float64) func(*bench, string) error {
	return compare(large, small, peak, most)
}

func scaling(large, small string, most float64) func(*bench, string) error {
	return compare(large, small, wall, most)
}

// compare holds one figure of a build of one root against that of another.
func compare(large, small string, figure func(run) float64, most float64) func(*bench, string) error {
	return func(b *bench, name string) error {
		largePath, err := b.root(large)
		if err != nil {
			return err
		}
		smallPath, err := b.root(small)
		if err != nil {
			return err
		}
		as, refs, err := b.inTurn(largePath, build(b), smallPath, build(b))
		if err != nil {
			return err
		}
		r := ratios(as, refs, figure)
		print(name, fmt.Sprintf("%.2f × (%.2f to %.2f): %.2f to %.2f", r.median, r.least, r.most,
			spreadOf(as, figure).median, spreadOf(refs, figure).median), r.median, most, "×")
		return nil
	}
}
