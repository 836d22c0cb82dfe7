// Bench measures chunkah against what it is held to: the floor (scripts/floor),
// tar with pigz, tar with zstd, and itself. Commands are run in turn, A B A B …,
// after one run of each that does not count; the ratio is taken pair by pair,
// since machines drift, and its median is what counts.
//
//	bench -bin bin -dir /var/tmp/chunkah-bench [-runs 5] [-rows REGEXP]
//
// It makes the roots that it needs in DIR and keeps them there: two Debian
// systems (mmdebstrap, as root) and made ones of small files.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
)

func main() {
	b := &bench{}
	flag.StringVar(&b.bin, "bin", "bin", "folder of the commands and of floor")
	flag.StringVar(&b.dir, "dir", filepath.Join(os.TempDir(), "chunkah-bench"), "folder for roots and outputs")
	flag.IntVar(&b.runs, "runs", 5, "counted runs of each command")
	rows := flag.String("rows", "", "run only the rows whose name matches")
	flag.Parse()
	if err := b.run(*rows); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type bench struct {
	bin, dir string
	runs     int
}

func (b *bench) run(match string) error {
	only, err := regexp.Compile(match)
	if err != nil {
		return err
	}
	for _, dir := range []*string{&b.bin, &b.dir} {
		if *dir, err = filepath.Abs(*dir); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return err
	}
	fmt.Printf("%d cores, %s, medians of %d runs in turn (least to most)\n\n", runtime.NumCPU(), runtime.Version(), b.runs)
	fmt.Println("| what | measured | at most | |\n| --- | --- | --- | --- |")
	for _, r := range rows {
		if !only.MatchString(r.name) {
			continue
		}
		if err := r.run(b, r.name); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return nil
}

// print prints one row of the table.
func print(name, measured string, value, most float64, unit string) {
	verdict := "ok"
	if value > most {
		verdict = "**over**"
	}
	fmt.Printf("| %s | %s | %.4g %s | %s |\n", name, measured, most, unit, verdict)
}
