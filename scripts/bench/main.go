// Bench compares chunkah with its references: the floor (scripts/floor), tar with pigz, tar with
// zstd, and chunkah itself. Commands are run in turn, A B A B …, after one run of each that is not
// counted. The result is the median of the ratios between paired runs, because the speed of
// machines drifts. Before each run, the output of the previous run is removed, and all data are
// written to the disk.
//
//	bench -bin bin -dir /var/tmp/chunkah-bench [-roots DIR] [-runs 5] [-rows REGEXP]
//
// It makes the roots that it needs in DIR, or in the directory of -roots, and keeps them there. Use
// a tmpfs for the roots if the kernel drops their pages from the page cache. The roots are two
// Debian systems, made by mmdebstrap with root privileges, and generated roots of small files. If
// mmdebstrap is not available, generated roots replace the Debian systems, and a message is
// printed.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

func main() {
	b := &bench{}
	flag.StringVar(&b.bin, "bin", "bin", "folder of the commands and of floor")
	flag.StringVar(&b.dir, "dir", filepath.Join(os.TempDir(), "chunkah-bench"), "folder for roots and outputs")
	flag.StringVar(&b.roots, "roots", "", "folder for roots, 3 GB, if not that of -dir")
	flag.IntVar(&b.runs, "runs", 5, "counted runs of each command")
	rows := flag.String("rows", "", "run only the rows whose name matches")
	flag.Parse()
	if err := b.run(*rows); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type bench struct {
	bin, dir, roots string
	runs            int
}

// row is one table row, with its limit and the limit's unit.
type row struct {
	name string
	most float64
	unit string
	run  func(*bench) (result, error)
}

// result is the value of a row, and the string that is shown for it.
type result struct {
	value float64
	text  string
}

// errSkip means that a row cannot be measured on this machine.
var errSkip = errors.New("not measured")

func (b *bench) run(match string) error {
	only, err := regexp.Compile(match)
	if err != nil {
		return err
	}
	if b.runs < 1 {
		return fmt.Errorf("a row needs at least one run, not %d", b.runs)
	}
	if b.roots == "" {
		b.roots = b.dir
	}
	for _, dir := range []*string{&b.bin, &b.dir, &b.roots} {
		if *dir, err = filepath.Abs(*dir); err != nil {
			return err
		}
		if err := os.MkdirAll(*dir, 0o755); err != nil {
			return err
		}
	}
	fmt.Printf("%s, %d cores, %s, %s; medians of %d runs in turn (least to most); load %s\n\n", time.Now().Format(time.DateOnly),
		runtime.NumCPU(), processor(), runtime.Version(), b.runs, load())
	fmt.Println("| measurement | result | at most | |\n| --- | --- | --- | --- |")
	for _, r := range rows {
		if !only.MatchString(r.name) {
			continue
		}
		if err := b.row(r); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	fmt.Printf("\nload at the end: %s\n", load())
	return nil
}

func (b *bench) row(r row) error {
	res, err := r.run(b)
	most := fmt.Sprintf("%.4g %s", r.most, r.unit)
	switch {
	case errors.Is(err, errSkip):
		fmt.Printf("| %s | %s | %s | - |\n", r.name, err, most)
		return nil
	case err != nil:
		return err
	}
	verdict := "ok"
	if res.value > r.most {
		verdict = "**over**"
	}
	fmt.Printf("| %s | %s | %s | %s |\n", r.name, res.text, most, verdict)
	return nil
}

func load() string {
	text, _ := os.ReadFile("/proc/loadavg") // without this file, no load is printed
	fields := strings.Fields(string(text))
	return strings.Join(fields[:min(3, len(fields))], " ")
}

func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
