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

// dataCalls returns calls that transfer data or change names.
func dataCalls() []string {
	return []string{"read", "pread64", "getdents64", "readlinkat", "write", "pwrite64", "copy_file_range", "fsync", "renameat", "ftruncate", "mkdirat"}
}

// looks returns calls that only query something. If such a call fails, the command can fall back to
// another call.
func looks() []string {
	return []string{"openat", "openat2", "statx", "newfstatat", "fstat", "listxattrat", "lgetxattr"}
}

// faultMode is a way in which calls fail.
type faultMode struct {
	name  string
	fault inject.Fault
	calls []string
	// survived is set if the command must succeed.
	survived bool
	// sampled returns which of n calls fail, as numbers starting at 1.
	sampled func(n int) []int
}

func faultModes() []faultMode {
	transfers := []string{"read", "pread64", "write", "pwrite64", "copy_file_range"}
	// These calls never end with EINTR on any file system, and SQLite relies on that.
	neverInterrupted := func(call string) bool { return call == "fstat" }
	return []faultMode{
		{"EIO", inject.Fault{Errno: syscall.EIO}, dataCalls(), false, some},
		{"EIO", inject.Fault{Errno: syscall.EIO}, looks(), false, ends},
		{"ENOSPC", inject.Fault{Errno: syscall.ENOSPC}, []string{"write", "pwrite64", "ftruncate", "fsync", "mkdirat", "openat"}, false, ends},
		{"EINTR", inject.Fault{Errno: syscall.EINTR}, slices.DeleteFunc(slices.Concat(dataCalls(), looks()), neverInterrupted), true, ends},
		{"short", inject.Fault{Short: true}, transfers, true, ends},
	}
}

// In each stage and command, each file system call fails once, one call per run. The command must
// end with a message that names the call's file, and leave existing files unchanged. The command
// must repeat short and interrupted calls. With CHUNKAH_FAULTS=all, every call is tested.
// Otherwise, only the first, the last and some other calls are tested.
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
					if runs++; r.Hit != nil { // threads do not always run in the same order
						p.judge(t, j, mode, r, whole, before)
					}
				}
			}
		}
		t.Logf("%d runs", runs)
	})
}

// ends returns the numbers of the first and last of n calls, or of all n calls with
// CHUNKAH_FAULTS=all.
func ends(n int) []int { return someOf(n, 1, n) }

// some is like ends, but it also returns the number of the call in the middle.
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

// judge checks how a job ended.
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
		// The existing files are complete, and the exit status reports that some files are missing.
		if r.Status.ExitStatus() != j.failure() || !strings.Contains(r.stderr, filepath.Join(p.dir, "out")) || len(r.made) > len(whole.made) {
			t.Errorf("%s: %s: status %d, there is %v: %s", mode.name, r.Hit, r.Status.ExitStatus(), r.made, r.stderr)
		}
		p.tidy(t, r)
	default:
		status := j.failure()
		if j.name == "verify" && r.Status.ExitStatus() == 1 { // an unreadable file is a fault too, and is printed
			return
		}
		if r.Hit.Name == "newfstatat" && r.Status.ExitStatus() == 2 { // the directory of an option
			status = 2
		}
		p.failed(t, j, r, whole, before, status, p.words(*r.Hit)...)
	}
}

// hasToFail reports whether a failed call must end the command.
func (p faultPlace) hasToFail(c inject.Call) bool {
	switch {
	case !slices.Contains(dataCalls(), c.Name):
		return false
	case c.Name == "copy_file_range": // read and write can replace it
		return false
	case p.below(c, "tmp"): // SQLite reads some pages of the private copy twice
		return false
	case p.below(c, "cache") && c.Name != "write": // the layer is then compressed again
		return false
	case c.Name == "getdents64" || c.Name == "mkdirat": // looking for leftovers, or a directory that exists
		return strings.HasPrefix(c.Path, p.root)
	}
	// A command does not fail if it cannot write the metrics. They are one of the three files that
	// first have temporary names.
	return c.Name != "renameat" && c.Name != "write"
}

// tooLate reports whether the call comes after the output was replaced, which cannot be undone, or
// writes the plan, which is written after the image.
func (p faultPlace) tooLate(c inject.Call) bool {
	isFolder := c.Path == filepath.Join(p.dir, "out") || c.Path == filepath.Join(p.dir, "out/a")
	return c.Name == "renameat" && p.below(c, "out") || c.Name == "fsync" && isFolder || c.Name == "openat" && isFolder
}

// words lists the strings by which a message can identify a call.
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

// rpmdbName is the file name of the database that jobs copy privately.
const rpmdbName = "rpmdb.sqlite"
