package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// run is what one run of a command took.
type run struct {
	wallSeconds float64
	cpuSeconds  float64
	peakMB      float64 // of the largest process
}

func wall(r run) float64 { return r.wallSeconds }
func peak(r run) float64 { return r.peakMB }

func shell(root, line string) *exec.Cmd {
	cmd := exec.Command("bash", "-c", "set -o pipefail; "+line)
	cmd.Env = append(os.Environ(), "ROOT="+root)
	return cmd
}

// measure runs a command line once.
func measure(root, line string) (run, error) {
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
	return r, nil
}

// inTurn runs two commands in turn and returns what the counted runs took.
func (b *bench) inTurn(rootA, lineA, rootB, lineB string) (as, bs []run, err error) {
	for i := range b.runs + 1 {
		ra, err := measure(rootA, lineA)
		if err != nil {
			return nil, nil, err
		}
		rb, err := measure(rootB, lineB)
		if err != nil {
			return nil, nil, err
		}
		if i > 0 {
			as, bs = append(as, ra), append(bs, rb)
		}
	}
	return as, bs, nil
}

// stats are the least, the median and the most of a figure.
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

// ratios divides a figure pair by pair.
func ratios(as, bs []run, figure func(run) float64) stats {
	var values []float64
	for i := range as {
		values = append(values, figure(as[i])/figure(bs[i]))
	}
	return spread(values)
}

// sampleEvery is the time between two looks at a process.
const sampleEvery = 10 * time.Millisecond

// usedInLastTenth runs a command and tells which share of all cores' time its
// process used in the last tenth of its own time on a core: what comes after
// that, waiting for the disk, is not computing.
func usedInLastTenth(root, line string) (float64, error) {
	cmd := shell(root, "exec "+line)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	type sample struct{ wall, cpu float64 }
	var samples []sample
	start := time.Now()
	for {
		select {
		case err := <-done:
			if err != nil || len(samples) < 20 {
				return 0, fmt.Errorf("%s: %d samples: %w", line, len(samples), err)
			}
			last := len(samples) - 1
			for last > 0 && samples[last-1].cpu == samples[len(samples)-1].cpu {
				last-- // only the disk works from here on
			}
			first := last - last/10 - 1
			d := samples[last].wall - samples[first].wall
			return (samples[last].cpu - samples[first].cpu) / d / float64(runtime.NumCPU()), nil
		case <-time.After(sampleEvery):
			if cpu, ok := cpuOf(cmd.Process.Pid); ok {
				samples = append(samples, sample{time.Since(start).Seconds(), cpu})
			}
		}
	}
}

// cpuOf returns the seconds of processor time that a process has used.
func cpuOf(pid int) (float64, bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 13 {
		return 0, false
	}
	user, err1 := strconv.ParseFloat(fields[11], 64)
	system, err2 := strconv.ParseFloat(fields[12], 64)
	const ticks = 100 // a second: USER_HZ, the same on every Linux
	return (user + system) / ticks, err1 == nil && err2 == nil
}
