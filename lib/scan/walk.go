package scan

import (
	"context"
	"iter"
	"slices"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

// Walk returns the tree's records in the order of format.ComparePaths: each directory before its
// contents, names in byte order. An error ends the walk, but problems that many files can have are
// collected into one error at the end. report counts what was left out. The number of readers
// changes neither the records nor the report.
func Walk(ctx context.Context, root *rootfs.Root, opt Options, report *Report) iter.Seq2[*format.File, error] {
	return func(yield func(*format.File, error) bool) {
		s := &input{root: root, opt: opt, prune: newPruner(opt.Prune)}
		w := &walker{
			ahead: startAhead(ctx, opt.readers()), report: report,
			groups: make(map[inode]int64), yield: yield,
		}
		defer w.ahead.stop()
		w.walk(ctx, s)
	}
}

// inode identifies a file within one system.
type inode struct{ dev, ino uint64 }

// walker yields the readings in order.
type walker struct {
	ahead  *ahead
	report *Report
	groups map[inode]int64
	faults faults
	yield  func(*format.File, error) bool
}

func (w *walker) walk(ctx context.Context, s *input) {
	top := newReading(s, "/", inode{})
	top.err = top.readTop()
	w.ahead.start(top)
	if !w.yieldAll(ctx, top) {
		return
	}
	w.report.Unmatched = s.prune.unmatched()
	slices.SortStableFunc(w.report.Sparse, func(a, b Sparse) int { return format.ComparePaths(a.Path, b.Path) })
	slices.SortStableFunc(w.report.Notes, func(a, b Note) int { return format.ComparePaths(a.Path, b.Path) })
	if err := w.faults.err(); err != nil {
		w.yield(nil, err)
	}
}

// yieldAll yields the contents of one directory and everything below it. For the directories above,
// only the entries stay in memory.
func (w *walker) yieldAll(ctx context.Context, r *reading) bool {
	if ctx.Err() != nil {
		r.err = context.Cause(ctx)
	}
	if r.err != nil {
		w.yield(nil, r.err)
		return false
	}
	w.report.add(&r.report)
	w.faults = append(w.faults, r.faults...)
	w.number(r.entries)
	for _, e := range r.entries {
		if !w.yield(e.file, nil) {
			return false
		}
		if e.into != (inode{}) && !w.yieldAll(ctx, w.ahead.next(ctx)) {
			return false
		}
	}
	return true
}

// number numbers hard-link groups in order of appearance. All entries of a directory come before
// the entries of its subdirectories.
func (w *walker) number(entries []entry) {
	for _, e := range entries {
		if e.link == (inode{}) {
			continue
		}
		if _, ok := w.groups[e.link]; !ok {
			w.groups[e.link] = int64(len(w.groups)) + 1
		}
		e.file.Hardlink = w.groups[e.link]
	}
}
