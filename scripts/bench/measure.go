package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// run contains the costs of one run of a command.
type run struct {
	wallSeconds float64
	cpuSeconds  float64
	peakMB      float64 // peak memory of the largest process
	readMB      float64 // data read from the disk, because they were not in a cache
}

func wall(r run) float64 { return r.wallSeconds }
func cpu(r run) float64  { return r.cpuSeconds }
func peak(r run) float64 { return r.peakMB }

func shell(root, line string) *exec.Cmd {
	cmd := exec.Command("bash", "-c", "set -o pipefail; "+line)
	cmd.Env = append(os.Environ(), "ROOT="+root)
	return cmd
}

// coldMB is the largest amount of data that a run with a warm cache may read from the disk. A root
// is 250 MB or more.
const coldMB = 5

// measure runs a command line with a warm cache. Kernels can drop pages from the cache at any time,
// especially in virtual machines. A run that had to read its root from the disk is repeated. The
// result of the last attempt is used in any case.
func (b *bench) measure(root, line string) (r run, err error) {
	for range 3 {
		if strings.Contains(line, "$ROOT") { // otherwise the command does not read the root
			if err := warm(root); err != nil {
				return r, err
			}
		}
		if r, err = b.once(root, line); err != nil || r.readMB <= coldMB {
			return r, err
		}
	}
	fmt.Fprintf(os.Stderr, "bench: %s: %.0f MB came from the disk\n", line, r.readMB)
	return r, nil
}

// warm reads a root and its metadata, so that they are in the page cache.
func warm(root string) error {
	return filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		_, _ = unix.Llistxattr(name, nil) // some file systems do not support xattrs
		if !d.Type().IsRegular() {
			return nil
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(io.Discard, f)
		return err
	})
}

// once runs a command line once, while the disk is idle.
func (b *bench) once(root, line string) (run, error) {
	for _, name := range []string{"a", "b"} {
		if err := os.Remove(b.out(name)); err != nil && !os.IsNotExist(err) {
			return run{}, err
		}
	}
	syscall.Sync()
	cmd := shell(root, line)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	start := time.Now()
	err := cmd.Run()
	r := run{wallSeconds: time.Since(start).Seconds()}
	if err != nil {
		return r, fmt.Errorf("%s: %w: %s", line, err, stderr.String())
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	r.cpuSeconds = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	r.peakMB = float64(usage.Maxrss) * 1024 / 1e6
	r.readMB = float64(usage.Inblock) * 512 / 1e6
	return r, nil
}

// side is a command line and the root on which it runs.
type side struct{ root, line string }

// inTurn runs command lines in turn and returns the costs of the runs that are counted.
func (b *bench) inTurn(sides ...side) ([][]run, error) {
	all := make([][]run, len(sides))
	for i := range b.runs + 1 {
		for n, s := range sides {
			r, err := b.measure(s.root, s.line)
			if err != nil {
				return nil, err
			}
			if i > 0 {
				all[n] = append(all[n], r)
			}
		}
	}
	return all, nil
}

// stats are the minimum, median and maximum of a figure.
type stats struct{ least, median, most float64 }

func spread(values []float64) stats {
	v := slices.Clone(values)
	slices.Sort(v)
	return stats{v[0], v[len(v)/2], v[len(v)-1]}
}

func spreadOf(runs []run, figure func(run) float64) stats {
	var values []float64
	for _, r := range runs {
		values = append(values, figure(r))
	}
	return spread(values)
}

// ratios returns the statistics of a figure's ratio between paired runs.
func ratios(as, bs []run, figure func(run) float64) stats {
	var values []float64
	for i := range as {
		values = append(values, figure(as[i])/figure(bs[i]))
	}
	return spread(values)
}

// sampleEvery is the time between two samples of a process.
const sampleEvery = 10 * time.Millisecond

// usedInLastTenth runs a command and returns the share of all cores that its process could use in
// the last tenth of its computing time. The final wait for the disk is left out. A thread that
// waits for a core used by another process is treated as working, so that the figure does not
// depend on other work on the machine.
func usedInLastTenth(root, line string) (float64, error) {
	syscall.Sync()
	cmd := shell(root, "exec "+line)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	samples := []sample{{}}
	start := time.Now()
	for {
		select {
		case err := <-done:
			if err != nil {
				return 0, fmt.Errorf("%s: %w", line, err)
			}
			return lastTenthOf(samples)
		case <-time.After(sampleEvery):
			s := threadsOf(cmd.Process.Pid)
			s.wall = time.Since(start).Seconds()
			samples = append(samples, s)
		}
	}
}

// sample contains times in seconds at one moment. cpu is the time that the threads of a process
// have spent on a core so far, and wanted includes the time that they have waited for a core.
type sample struct{ wall, cpu, wanted float64 }

// lastTenthOf returns the share of the cores used in the last tenth of the samples. It ignores
// samples that were taken after the process last computed something.
func lastTenthOf(samples []sample) (float64, error) {
	last := len(samples) - 1
	for last > 0 && samples[last].cpu-samples[last-1].cpu < 0.1*sampleEvery.Seconds() {
		last-- // from here on, only the disk is busy, or the process has ended
	}
	if last < 20 {
		return 0, fmt.Errorf("%d samples are too few", last)
	}
	var used, wall float64
	for i := last - last/10; i <= last; i++ {
		cores := float64(runtime.NumCPU()) * (samples[i].wall - samples[i-1].wall)
		used += min(cores, max(0, samples[i].wanted-samples[i-1].wanted)) // the difference can be negative, because the times of ended threads are not included
		wall += cores
	}
	return used / wall, nil
}

// threadsOf adds up the times that the kernel reports for each thread of a process.
func threadsOf(pid int) (s sample) {
	names, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, name := range names {
		text, err := os.ReadFile(name)
		fields := strings.Fields(string(text))
		if err != nil || len(fields) < 2 {
			continue // the thread has just ended
		}
		cpu, _ := strconv.ParseFloat(fields[0], 64)
		wait, _ := strconv.ParseFloat(fields[1], 64)
		s.cpu += cpu / 1e9
		s.wanted += (cpu + wait) / 1e9
	}
	return s
}
