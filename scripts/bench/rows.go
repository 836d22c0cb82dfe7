package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// idle is the limit for the share of the cores that are idle at the end of a build.
const idle = 15

// rows lists the rows of the table, in the order of the goals.
var rows = []row{
	{"uncompressed to a file, 12,000 files", 2, "× the floor", pair("small", build, floor)},
	{"uncompressed to a file, 45,000 files", 1.5, "× the floor", pair("large", build, floor)},
	{"uncompressed to a file, 500,000 files", 1.5, "× the floor", pair("many", build, floor)},
	{"additional disk space while writing uncompressed", 0, "MB", extraDisk},
	{"gzip 6, time", 0.5, "× tar, pigz -6", pair("large", gzip, pigz)},
	{"gzip 6, size", 100.5, "% of tar, pigz -6", size(gzip, pigz)},
	{"zstd, time", 1.2, "× tar, zstd -3 -T0", pair("large", zstd, tarZstd)},
	{"zstd, size", 102, "% of tar, zstd -3 -T0", size(zstd, tarZstd)},
	{"last tenth, one layer with half the bytes, gzip", idle, "% idle", lastTenth("half", gzip)},
	{"last tenth, one layer with half the bytes, zstd", idle, "% idle", lastTenth("half", zstd)},
	{"gzip, second build with a cache", 1.1, "× uncompressed", again},
	{"gzip with a cache, one small file changed", 1, "× (1.1 × uncompressed + compressing the changed layers)", changed},
	{"four commands in a pipe", 1.3, "× build", pair("large", pipe, buildStdout)},
	{"peak memory, 45,000 files", 120, "MB", memory("large", build)},
	{"peak memory, 45,000 files, gzip", 120, "MB", memory("large", gzip)},
	{"peak memory, 45,000 files, zstd", 120, "MB", memory("large", zstd)},
	{"peak memory, 500,000 files", 500, "MB", memory("many", build)},
	{"peak memory, ten times the bytes", 1.1, "×", compare("wide", "narrow", peak)},
	{"time, ten times the files", 11, "×", compare("many", "tenth", wall)},
	{"from an image, plain, peak memory", fromMost, "× from a directory", imageMemory("none")},
	{"from an image, gzip, peak memory", fromMost, "× from a directory", imageMemory("gzip")},
	{"from an image, zstd, peak memory", fromMost, "× from a directory", imageMemory("zstd")},
	{"from an image, plain, time", 1, "× (1.3 × from a directory)", imageTime("none")},
	{"from an image, gzip, time", 1, "× (1.3 × from a directory + decompressing)", imageTime("gzip")},
	{"from an image, zstd, time", 1, "× (1.3 × from a directory + decompressing)", imageTime("zstd")},
}

func (b *bench) out(name string) string { return filepath.Join(b.dir, "out."+name) }
func (b *bench) cache() string          { return filepath.Join(b.dir, "cache") }

// commandLine returns a shell command line. In the command line, $ROOT is the path of the root.
type commandLine func(*bench) string

func build(b *bench) string {
	return fmt.Sprintf("%s/chunkah build --rootfs $ROOT --skip-special-files -o %s", b.bin, b.out("a"))
}

func buildStdout(b *bench) string {
	return fmt.Sprintf("%s/chunkah build --rootfs $ROOT --skip-special-files > %s", b.bin, b.out("b"))
}

func gzip(b *bench) string   { return build(b) + " --compress gzip --level 6" }
func zstd(b *bench) string   { return build(b) + " --compress zstd" }
func cached(b *bench) string { return gzip(b) + " --cache " + b.cache() }

func pipe(b *bench) string {
	return fmt.Sprintf("%[1]s/chunkah-scan --skip-special-files $ROOT | %[1]s/chunkah-assign | %[1]s/chunkah-pack | %[1]s/chunkah-write > %[2]s",
		b.bin, b.out("a"))
}

func floor(b *bench) string { return fmt.Sprintf("%s/floor $ROOT %s", b.bin, b.out("b")) }
func pigz(b *bench) string  { return fmt.Sprintf("tar c -C $ROOT . | pigz -6 > %s", b.out("b")) }
func tarZstd(b *bench) string {
	return fmt.Sprintf("tar c -C $ROOT . | zstd -q -3 -T0 > %s", b.out("b"))
}

// need returns an error that skips the row if the row's reference command is not installed.
func need(line string) error {
	for _, tool := range []string{"pigz", "zstd"} {
		if strings.Contains(line, "| "+tool+" ") {
			if _, err := exec.LookPath(tool); err != nil {
				return fmt.Errorf("%w: %s is not installed", errSkip, tool)
			}
		}
	}
	return nil
}

// pair compares the time of two commands on one root.
func pair(root string, a, ref commandLine) func(*bench) (result, error) {
	return func(b *bench) (result, error) {
		if err := need(ref(b)); err != nil {
			return result{}, err
		}
		path, err := b.root(root)
		if err != nil {
			return result{}, err
		}
		all, err := b.inTurn(side{path, a(b)}, side{path, ref(b)})
		if err != nil {
			return result{}, err
		}
		return times(all[0], all[1]), nil
	}
}

// times compares the times of two commands. It also prints their CPU time, which depends less on
// other work on the machine.
func times(as, refs []run) result {
	ratio := ratios(as, refs, wall)
	return result{ratio.median, fmt.Sprintf("%.2f × (%.2f to %.2f): %.2f s against %.2f s; CPU %.2f s against %.2f s",
		ratio.median, ratio.least, ratio.most, spreadOf(as, wall).median, spreadOf(refs, wall).median,
		spreadOf(as, cpu).median, spreadOf(refs, cpu).median)}
}

// size compares the sizes of the outputs of two commands.
func size(a, ref commandLine) func(*bench) (result, error) {
	return func(b *bench) (result, error) {
		if err := need(ref(b)); err != nil {
			return result{}, err
		}
		path, err := b.root("large")
		if err != nil {
			return result{}, err
		}
		var sizes [2]float64
		for i, line := range []string{a(b), ref(b)} {
			if _, err := b.measure(path, line); err != nil {
				return result{}, err
			}
			info, err := os.Stat(b.out([]string{"a", "b"}[i]))
			if err != nil {
				return result{}, err
			}
			sizes[i] = float64(info.Size()) / 1e6
		}
		percent := 100 * sizes[0] / sizes[1]
		return result{percent, fmt.Sprintf("%.1f %%: %.1f MB against %.1f MB", percent, sizes[0], sizes[1])}, nil
	}
}

// lastTenth measures the share of the cores that a build does not use in its last tenth, without
// the final wait for the disk.
func lastTenth(root string, a commandLine) func(*bench) (result, error) {
	return func(b *bench) (result, error) {
		path, err := b.root(root)
		if err != nil {
			return result{}, err
		}
		var unused []float64
		for range b.runs {
			used, err := usedInLastTenth(path, a(b))
			if err != nil {
				return result{}, err
			}
			unused = append(unused, 100*(1-used))
		}
		s := spread(unused)
		return result{s.median, fmt.Sprintf("%.0f %% (%.0f to %.0f)", s.median, s.least, s.most)}, nil
	}
}

// memory measures the peak memory of chunkah build, in megabytes.
func memory(root string, a commandLine) func(*bench) (result, error) {
	return func(b *bench) (result, error) {
		path, err := b.root(root)
		if err != nil {
			return result{}, err
		}
		var all []run
		for range b.runs {
			r, err := b.measure(path, a(b))
			if err != nil {
				return result{}, err
			}
			all = append(all, r)
		}
		s := spreadOf(all, peak)
		return result{s.median, fmt.Sprintf("%.0f MB (%.0f to %.0f)", s.median, s.least, s.most)}, nil
	}
}

// compare compares a figure between the builds of two roots.
func compare(large, small string, figure func(run) float64) func(*bench) (result, error) {
	return func(b *bench) (result, error) {
		largePath, err := b.root(large)
		if err != nil {
			return result{}, err
		}
		smallPath, err := b.root(small)
		if err != nil {
			return result{}, err
		}
		all, err := b.inTurn(side{largePath, build(b)}, side{smallPath, build(b)})
		if err != nil {
			return result{}, err
		}
		r := ratios(all[0], all[1], figure)
		return result{r.median, fmt.Sprintf("%.2f × (%.2f to %.2f): %.2f against %.2f", r.median, r.least, r.most,
			spreadOf(all[0], figure).median, spreadOf(all[1], figure).median)}, nil
	}
}
