//go:build linux && amd64

package tests

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"chunkah/tests/inject"
)

// faultSignals returns the signals that end a command, each with the message that the command
// prints.
func faultSignals() []faultSignal {
	return []faultSignal{{syscall.SIGINT, "interrupted"}, {syscall.SIGTERM, "terminated"}, {syscall.SIGHUP, "hung up"}}
}

type faultSignal struct {
	sig  syscall.Signal
	said string
}

// moments returns calls of each kind in a command, by kind and number. The tests send signals at
// these calls.
func (p faultPlace) moments(t *testing.T, j faultJob) (whole faultResult, list []inject.Fault) {
	t.Helper()
	p.fresh(t, j)
	counts := map[string]int{}
	whole = p.run(t, j, inject.Fault{Counts: func(c inject.Call) bool {
		if p.about(c) {
			counts[c.Name]++
		}
		return false
	}})
	if whole.Status != 0 {
		t.Fatalf("status %d: %s", whole.Status.ExitStatus(), whole.stderr)
	}
	for _, name := range slices.Concat(dataCalls(), []string{"openat", "close", "unlinkat", "flock"}) {
		for _, at := range ends(counts[name]) {
			list = append(list, inject.Fault{At: at, Counts: func(c inject.Call) bool { return c.Name == name && p.about(c) }})
		}
	}
	return whole, list
}

// A signal at any moment ends a command with a message and the signal's exit status, without
// leftovers. If the signal is sent too late, the command succeeds.
func TestFaultsOfSignals(t *testing.T) {
	eachFaultJob(t, func(t *testing.T, p faultPlace, j faultJob) {
		whole, moments := p.moments(t, j)
		late := 0
		for i, f := range moments {
			s := faultSignals()[i%3] // in turn: all are handled in the same way
			f.Signal = s.sig
			before := p.fresh(t, j)
			r := p.run(t, j, f)
			switch {
			case r.Hit == nil:
			case r.finished(whole):
				late++
				p.tidy(t, r)
			default:
				p.failed(t, j, r, whole, before, 128+int(s.sig), ": "+s.said+"\n")
			}
		}
		t.Logf("%d moments, %d too late", len(moments), late)
	})
}

// A killed command leaves existing files unchanged unless it has already finished. The next command
// lists the leftovers and makes the output.
func TestFaultsOfKills(t *testing.T) {
	eachFaultJob(t, func(t *testing.T, p faultPlace, j faultJob) {
		if j.once {
			t.Skip("it fails if it finds its own output: see TestExtractKilled")
		}
		whole, moments := p.moments(t, j)
		found := 0
		for _, f := range moments {
			f.Signal = syscall.SIGKILL
			before := p.fresh(t, j)
			killed := p.run(t, j, f)
			if killed.Hit == nil {
				continue
			}
			p.wholeOrBefore(t, killed, whole, before)
			next := p.run(t, j, inject.Fault{})
			if next.Status != 0 || !covers(next.made, whole.made) {
				t.Errorf("after a kill in %s: status %d, there is %v, want %v: %s", killed.Hit, next.Status.ExitStatus(), next.made, whole.made, next.stderr)
			}
			for _, path := range killed.temps {
				if !strings.Contains(next.stderr, fmt.Sprintf("%q was left behind by a killed run", path)) {
					t.Errorf("after a kill in %s: %s is not named: %s", killed.Hit, path, next.stderr)
				}
			}
			found += len(killed.temps)
		}
		t.Logf("%d moments, %d leftovers", len(moments), found)
	})
}

// wholeOrBefore checks that a killed job leaves each file unchanged, or as the finished job writes
// it. Unused blobs may be missing or extra.
func (p faultPlace) wholeOrBefore(t *testing.T, killed, whole faultResult, before map[string]string) {
	t.Helper()
	for name, sum := range killed.made {
		if sum != before[name] && sum != whole.made[name] {
			t.Errorf("a kill in %s left %s as neither it was nor was to be", killed.Hit, name)
		}
	}
	for name := range before {
		if killed.made[name] == "" {
			t.Errorf("a kill in %s took %s away", killed.Hit, name)
		}
	}
	if index := "out/a/index.json"; killed.made[index] != "" && killed.made[index] != before[index] && !covers(killed.made, whole.made) {
		t.Errorf("a kill in %s left an index of missing blobs", killed.Hit)
	}
}

// covers reports whether made contains everything in want.
func covers(made, want map[string]string) bool {
	for name, sum := range want {
		if made[name] != sum {
			return false
		}
	}
	return true
}
