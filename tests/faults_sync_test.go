//go:build linux && amd64

package tests

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chunkah/tests/inject"
)

// Files are synced before they are renamed, and directories are synced after the rename. Injected
// faults cannot reveal a missing sync, so the calls themselves are checked: a file or directory is
// synced, then renamed, then its parent is synced. The blobs of a layout are synced with their
// names before the index that lists them.
func TestSyncRenameSync(t *testing.T) {
	jobs := []string{"write", "compressed", "to a cache", "from a cache", "from an image", "to a new folder", "to a folder", "index", "extract to a tar"}
	eachFaultJob(t, func(t *testing.T, p faultPlace, j faultJob) {
		if !slices.Contains(jobs, j.name) {
			return // no output, or only files that need not be durable
		}
		p.fresh(t, j)
		var calls []inject.Call
		r := p.run(t, j, inject.Fault{Counts: func(c inject.Call) bool {
			if (c.Name == "fsync" || c.Name == "renameat") && (p.below(c, "out") || c.Path == p.dir+"/out") {
				calls = append(calls, c)
			}
			return false
		}})
		if r.Status != 0 {
			t.Fatalf("status %d: %s", r.Status.ExitStatus(), r.stderr)
		}
		renames := 0
		for i, c := range calls {
			if c.Name != "renameat" {
				continue
			}
			renames++
			before, after, dir := calls[:i], calls[i:], filepath.Dir(c.Path)
			if !syncs(before, c.Path) {
				t.Errorf("call %d, %s: it is not synced before, in %v", i, c, calls)
			}
			if !syncs(after, dir) {
				t.Errorf("call %d, %s: its folder is not synced after, in %v", i, c, calls)
			}
			isIndex := strings.Contains(j.args, "oci:$DIR") && dir != p.dir+"/out" && filepath.Base(dir) != "sha256"
			for _, blobs := range []string{dir + "/blobs/sha256", dir + "/blobs"} {
				if isIndex && !syncs(before, blobs) {
					t.Errorf("call %d, %s: %s is not synced before, in %v", i, c, blobs, calls)
				}
			}
		}
		if renames == 0 {
			t.Errorf("nothing is renamed: %v", calls)
		}
	})
}

// syncs reports whether calls sync a file or directory.
func syncs(calls []inject.Call, path string) bool {
	return slices.Contains(calls, inject.Call{Name: "fsync", Path: path})
}
