// Package extract writes the file system of an image to a directory or a tar.
//
// If the target is a directory, every file is newly created below its open descriptor. No symlink
// is followed, and no existing file is changed. Until everything in a directory is complete, only
// its owner can access it.
//
// Contents are written only once, to a staging directory in the target directory, while the layers
// are read (see Directory.Store). Each file is renamed to its final path after all layers are
// verified and merged.
package extract

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"chunkah/lib/image"
	"chunkah/lib/metrics"
	"chunkah/lib/rootfs"
)

// Options configure Into. The zero value restores everything that the process is permitted to
// restore.
type Options struct {
	// Strict turns a loss into an error.
	Strict bool
	// Threads is the largest number of files that are written in parallel. 0 means the number of
	// cores.
	Threads int
	// Work counts the bytes of regular files. It can be nil.
	Work *metrics.Work
}

func (o Options) threads() int {
	if o.Threads <= 0 {
		return runtime.GOMAXPROCS(0)
	}
	return o.Threads
}

// Report describes what was written.
type Report struct {
	// Files counts everything except directories. Bytes is the size of regular files, with hard
	// links counted once.
	Files, Bytes int64
	// Losses are sorted by What.
	Losses []Loss
}

// Loss is something that could not be restored, with the sorted paths of the affected files.
type Loss struct {
	What  string
	Paths []string
}

// WriteError means that the directory or the tar cannot be written.
type WriteError struct{ err error }

func (e *WriteError) Error() string { return e.err.Error() }
func (e *WriteError) Unwrap() error { return e.err }

// LossError means that something cannot be restored, and Options.Strict is set.
type LossError struct{ Losses []Loss }

func (e *LossError) Error() string { return strings.Join(e.Lines(), "\n") }

// Lines returns a heading, and one line for each loss.
func (e *LossError) Lines() []string {
	return lossLines(e.Losses, "nothing was extracted, because of --strict", shownPaths)
}

// shownPaths is the number of paths that are shown per loss.
const shownPaths = 3

// Lines returns a heading and one line for each loss, or nothing if there were no losses. If all is
// set, each path is listed.
func (r *Report) Lines(all bool) []string {
	if len(r.Losses) == 0 {
		return nil
	}
	most := shownPaths
	if all {
		most = 0
	}
	return lossLines(r.Losses, "everything else was extracted", most)
}

// lossLines formats losses. most is the largest number of paths per loss. 0 means all.
func lossLines(losses []Loss, heading string, most int) []string {
	lines := []string{"not everything could be restored; " + heading + ":"}
	for _, l := range losses {
		shown, more := l.Paths, ""
		if most > 0 && len(shown) > most {
			shown, more = shown[:most], fmt.Sprintf(" and %d more", len(shown)-most)
		}
		var quoted []string
		for _, p := range shown {
			quoted = append(quoted, fmt.Sprintf("%q", p))
		}
		lines = append(lines, fmt.Sprintf("  %s: %s%s", l.What, strings.Join(quoted, ", "), more))
	}
	return lines
}

// extraction is one call of Into.
type extraction struct {
	tree *image.Tree
	from *rootfs.Root // root of the same tree
	to   *rootfs.Root
	dest *Directory
	opt  Options

	batches chan batch
	dirs    []string // directories in the order of the walk
	links   []link   // other names of inodes
	first   map[inode]string

	mu     sync.Mutex
	report Report
	lost   map[string][]string
	gone   map[string]bool // files that were not created, such as devices
}

// inode identifies a file in the source.
type inode struct{ dev, ino uint64 }

// link is another name of an inode.
type link struct{ path, target string }

// Into writes an image's tree to a directory. The directory keeps its temporary name until
// Directory.Commit. Directory.Store has already received the files while the tree was flattened.
func Into(ctx context.Context, dest *Directory, tree *image.Tree, opt Options) (*Report, error) {
	to, err := dest.open()
	if err != nil {
		return nil, err
	}
	defer to.Close() // opened only to reach what is below
	x := &extraction{
		tree: tree, from: rootfs.Virtual("image", tree), to: to, dest: dest, opt: opt, batches: make(chan batch),
		first: make(map[inode]string), lost: make(map[string][]string), gone: make(map[string]bool),
	}
	if err := x.run(ctx); err != nil {
		return nil, err
	}
	x.report.Losses = sortLosses(x.lost)
	if opt.Strict && len(x.report.Losses) > 0 {
		return nil, &LossError{x.report.Losses}
	}
	return &x.report, nil
}

func sortLosses(lost map[string][]string) (losses []Loss) {
	for what, paths := range lost {
		slices.Sort(paths)
		losses = append(losses, Loss{what, paths})
	}
	slices.SortFunc(losses, func(a, b Loss) int { return strings.Compare(a.What, b.What) })
	return losses
}

// run creates directories and their files, then hard links. Directories get their metadata last,
// because new entries change their times, and their modes can forbid new entries.
func (x *extraction) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var workers sync.WaitGroup
	for range x.opt.threads() {
		workers.Go(func() {
			w := &worker{extraction: x}
			for b := range x.batches {
				if err := w.write(ctx, b); err != nil {
					cancel(err)
				}
			}
		})
	}
	err := x.walk(ctx, "/")
	close(x.batches)
	if err != nil {
		cancel(err)
	}
	workers.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := x.writeLinks(ctx); err != nil {
		return err
	}
	return x.finishDirs(ctx)
}

// lose records something that cannot be restored.
func (x *extraction) lose(what, path string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.lost[what] = append(x.lost[what], path)
}

// skip records a file that cannot be created.
func (x *extraction) skip(what, path string) {
	x.lose(what, path)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.gone[path] = true
}

func (x *extraction) count(files, bytes int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.report.Files += files
	x.report.Bytes += bytes
}
