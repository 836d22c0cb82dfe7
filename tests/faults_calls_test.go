//go:build linux && amd64

package tests

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"chunkah/tests/inject"
)

// dataCalls move bytes or names, and looks only look. What a look fails for may be
// found out in another way.
func dataCalls() []string {
	return []string{"read", "pread64", "getdents64", "readlinkat", "write", "pwrite64", "copy_file_range", "fsync", "renameat", "ftruncate", "mkdirat"}
}

func looks() []string {
	return []string{"openat", "openat2", "statx", "newfstatat", "fstat", "listxattrat", "lgetxattr"}
}

// faultMode is one way in which calls go wrong.
type faultMode struct {
	name  string
	fault inject.Fault
	calls []string
	// survived is set where nothing may come of it.
	survived bool
	// sampled are the numbers of the calls that go wrong, of n.
	sampled func(n int) []int
}

func faultModes() []faultMode {
	transfers := []string{"read", "pread64", "write", "pwrite64", "copy_file_range"}
	// No call of these ever ends with EINTR on any file system, and SQLite relies on it.
	neverInterrupted := func(call string) bool { return call == "fstat" }
	return []faultMode{
		{"EIO", inject.Fault{Errno: syscall.EIO}, dataCalls(), false, some},
		{"EIO", inject.Fault{Errno: syscall.EIO}, looks(), false, ends},
		{"ENOSPC", inject.Fault{Errno: syscall.ENOSPC}, []string{"write", "pwrite64", "ftruncate", "fsync", "mkdirat", "openat"}, false, ends},
		{"EINTR", inject.Fault{Errno: syscall.EINTR}, slices.DeleteFunc(slices.Concat(dataCalls(), looks()), neverInterrupted), true, ends},
		{"short", inject.Fault{Short: true}, transfers, true, ends},
	}
}

// Each call of each stage and command that has to do with its files goes wrong,
// one at a time. The command ends with a line that names what the call was about,
// and leaves what was there; what only came short or was interrupted is made up for.
// CHUNKAH_FAULTS=all has every single call, and else the first, the last and some.
func TestFaultsOfCalls(t *testing.T) {
	eachFaultJob(t, func(t *testing.T, p faultPlace, j faultJob) {
		p.fresh(t, j)
		counts := map[string]int{}
		whole := p.run(t, j, inject.Fault{Counts: func(c inject.Call) bool {
			if p.about(c) {
				counts[c.Name]++
			}
			return false
		}})
		if whole.Status != 0 {
			t.Fatalf("status %d: %s", whole.Status.ExitStatus(), whole.stderr)
		}
		runs := 0
		for _, mode := range faultModes() {
			for _, name := range mode.calls {
				for _, at := range mode.sampled(counts[name]) {
					f := mode.fault
					f.At, f.Counts = at, func(c inject.Call) bool { return c.Name == name && p.about(c) }
					before := p.fresh(t, j)
					r := p.run(t, j, f)
					if runs++; r.Hit != nil { // threads do not always take turns in the same way
						p.judge(t, j, mode, r, whole, before)
					}
				}
			}
		}
		t.Logf("%d runs", runs)
	})
}

// ends are the first and the last of n calls, or all.
func ends(n int) []int { return someOf(n, 1, n) }

// some are these and the one in the middle, or all.
func some(n int) []int { return someOf(n, 1, n/2, n) }

func someOf(n int, from ...int) (at []int) {
	if os.Getenv("CHUNKAH_FAULTS") == "all" {
		for i := range n {
			at = append(at, i+1)
		}
		return at
	}
	slices.Sort(from)
	return slices.Compact(slices.DeleteFunc(from, func(i int) bool { return i < 1 || i > n }))
}

// judge says whether a job ended as it should.
func (p faultPlace) judge(t *testing.T, j faultJob, mode faultMode, r, whole faultResult, before map[string]string) {
	t.Helper()
	switch {
	case r.finished(whole):
		p.tidy(t, r)
		if !mode.survived && p.hasToFail(*r.Hit) {
			t.Errorf("%s: %s goes unnoticed", mode.name, r.Hit)
		}
	case mode.survived:
		t.Errorf("%s: %s fails: status %d, %s", mode.name, r.Hit, r.Status.ExitStatus(), r.stderr)
	case p.tooLate(*r.Hit) && (!r.unchanged(before) || r.stdout == whole.stdout):
		// What is there is whole, and the status says that it is not all.
		if r.Status.ExitStatus() != j.failure() || !strings.Contains(r.stderr, filepath.Join(p.dir, "out")) || len(r.made) > len(whole.made) {
			t.Errorf("%s: %s: status %d, there is %v: %s", mode.name, r.Hit, r.Status.ExitStatus(), r.made, r.stderr)
		}
		p.tidy(t, r)
	default:
		status := j.failure()
		if j.name == "verify" && r.Status.ExitStatus() == 1 { // what cannot be read is a fault as well, and is printed
			return
		}
		if r.Hit.Name == "newfstatat" && r.Status.ExitStatus() == 2 { // the folder that an option names
			status = 2
		}
		p.failed(t, j, r, whole, before, status, p.words(*r.Hit)...)
	}
}

// hasToFail tells whether there is no way around a call.
func (p faultPlace) hasToFail(c inject.Call) bool {
	switch {
	case !slices.Contains(dataCalls(), c.Name):
		return false
	case c.Name == "copy_file_range": // there are read and write
		return false
	case p.below(c, "tmp"): // of the private copy, SQLite reads some pages twice
		return false
	case p.below(c, "cache") && c.Name != "write": // it is compressed once more, then
		return false
	case c.Name == "getdents64" || c.Name == "mkdirat": // looking for leftovers; what is there already
		return strings.HasPrefix(c.Path, p.root)
	}
	// Of the three files with temporary names, the one for metrics is no reason to
	// fail.
	return c.Name != "renameat" && c.Name != "write"
}

// tooLate tells whether a call comes when something is in its place already: it is
// replaced, and cannot be taken back, or the plan follows the image.
func (p faultPlace) tooLate(c inject.Call) bool {
	isFolder := c.Path == filepath.Join(p.dir, "out") || c.Path == filepath.Join(p.dir, "out/a")
	return c.Name == "renameat" && p.below(c, "out") || c.Name == "fsync" && isFolder || c.Name == "openat" && isFolder
}

// words are what a message about a call may name it by.
func (p faultPlace) words(c inject.Call) []string {
	inRoot, isSource := strings.CutPrefix(c.Path, p.root)
	switch {
	case isSource && inRoot == "":
		return []string{`"/"`, p.root}
	case isSource:
		return []string{inRoot}
	case c.Path == filepath.Join(p.dir, "stdout"):
		return []string{"/dev/stdout"}
	case p.below(c, "tmp"):
		return []string{rpmdbName, filepath.Join(p.dir, "tmp")}
	}
	for _, dir := range []string{"out", "cache", "tmp"} {
		if p.below(c, dir) || c.Path == filepath.Join(p.dir, dir) {
			return []string{filepath.Join(p.dir, dir)}
		}
	}
	if name := strings.TrimPrefix(c.Path, p.in+"/"); slices.Contains([]string{"scan", "assign", "pack"}, name) {
		return []string{"stdin"}
	}
	return []string{p.in}
}

// rpmdbName is the database that jobs make a private copy of.
const rpmdbName = "rpmdb.sqlite"
