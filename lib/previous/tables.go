package previous

import (
	"context"
	"iter"
	"maps"
	"slices"

	"chunkah/format"
	"chunkah/lib/chunked"
	"chunkah/lib/filelist"
	"chunkah/lib/plan"
)

// readTables reads the files of the wanted layers from the layers' zstd:chunked tables of contents.
// Only the tables are downloaded. Layers whose tables cannot be read are left out with a warning.
// Layers whose tables do not match the history are left out, too.
func (s *search) readTables(ctx context.Context) (map[string]filelist.List, error) {
	found := make(map[string]filelist.List)
	for entries, i := range inOrder(s.want) {
		l := s.img.Layers[i]
		if !chunked.Marked(l.Descriptor.Annotations) {
			continue
		}
		var files []*format.File
		tables, err := s.img.Tables(ctx, l.Descriptor)
		if err == nil {
			files, err = tables.Files()
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			s.log.Warn("reading the tables of layer %d of the previous image: %w; reading the layer instead", i, err)
			continue
		}
		got, err := plan.EntriesOf(slices.Values(files))
		if err == nil && got == entries {
			found[got] = filelist.Of(files...)
		}
	}
	return found, nil
}

// inOrder yields the first layer with each digest, from the bottom up.
func inOrder(want map[string][]int) iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		all := slices.SortedFunc(maps.Keys(want), func(a, b string) int { return want[a][0] - want[b][0] })
		for _, entries := range all {
			if !yield(entries, want[entries][0]) {
				return
			}
		}
	}
}
