package reuse

import (
	"cmp"
	"context"
	"slices"

	"github.com/opencontainers/go-digest"

	"chunkah/lib/chunked"
	"chunkah/lib/inspect"
)

// Partial is the cost of an update for podman with enable_partial_images, which fetches only the
// chunks that it does not already have. Its store contains only the old image, pulled in the same
// way.
type Partial struct {
	// Layers is the number of layers that are fetched wholly or partly. Whole is the number of
	// layers that are fetched as a whole.
	Layers int `json:"download_layers"`
	Whole  int `json:"whole_layers"`
	// Download is the total number of bytes fetched. Tables is the part of it that is taken up by
	// the tables that list the chunks.
	Download int64 `json:"download_bytes"`
	Tables   int64 `json:"table_bytes"`
	// Ranges is the number of pieces fetched from blobs, not counting tables.
	Ranges int `json:"ranges"`
}

// The client requests at most maxRanges pieces of a layer. It also fetches gaps of at most smallGap
// bytes between pieces (go.podman.io/storage, directory storage/pkg/chunked).
const (
	maxRanges = 1024
	smallGap  = 1024
)

// Partly returns the cost of an update for a client that fetches chunks. Layers whose tables cannot
// be read are counted as fetched as a whole, and the reason is passed to warn.
func Partly(ctx context.Context, old, new *inspect.Image, warn func(error)) (*Partial, error) {
	blobs, known := map[digest.Digest]bool{}, map[digest.Digest]bool{}
	for i := range old.Layers {
		l := &old.Layers[i]
		blobs[l.Descriptor.Digest] = true
		if !l.Chunked() {
			continue
		}
		_, chunks, err := chunksOf(ctx, old, i)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			warn(err)
		}
		for _, c := range chunks {
			known[c.File], known[c.Digest] = true, true
		}
	}
	p := &Partial{}
	for i := range new.Layers {
		l := &new.Layers[i]
		if blobs[l.Descriptor.Digest] {
			continue
		}
		blobs[l.Descriptor.Digest] = true
		p.Layers++
		if !l.Chunked() {
			p.whole(l)
			continue
		}
		t, chunks, err := chunksOf(ctx, new, i)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			warn(err)
			p.whole(l)
			continue
		}
		p.Tables += t.Fetched()
		p.Download += t.Fetched() + p.pieces(chunks, known)
	}
	return p, nil
}

func (p *Partial) whole(l *inspect.Layer) {
	p.Whole++
	p.Download += l.Descriptor.Size
}

func chunksOf(ctx context.Context, img *inspect.Image, layer int) (*chunked.Tables, []chunked.Chunk, error) {
	t, err := img.Tables(ctx, layer)
	if err != nil {
		return nil, nil, err
	}
	chunks, err := t.Chunks()
	return t, chunks, err
}

// pieces returns the number of bytes fetched from a blob for its unknown chunks, and counts the
// pieces.
func (p *Partial) pieces(chunks []chunked.Chunk, known map[digest.Digest]bool) int64 {
	type piece struct{ start, end int64 }
	var list []piece
	for _, c := range chunks {
		if known[c.File] || known[c.Digest] || c.Hole {
			continue
		}
		if n := len(list); n > 0 && list[n-1].end == c.Start {
			list[n-1].end = c.End // the chunk continues the piece
			continue
		}
		list = append(list, piece{c.Start, c.End})
	}
	// Join the pieces with the smallest gaps.
	gaps := make([]int, max(0, len(list)-1)) // each gap is represented by the index of the piece after it
	for i := range gaps {
		gaps[i] = i + 1
	}
	gap := func(i int) int64 { return list[i].start - list[i-1].end }
	slices.SortStableFunc(gaps, func(a, b int) int { return cmp.Compare(gap(a), gap(b)) })
	joined := make([]bool, len(list))
	left := len(list) - maxRanges
	for _, i := range gaps {
		if left < 0 && gap(i) > smallGap {
			break
		}
		joined[i] = true
		left--
	}
	var bytes int64
	for i, one := range list {
		bytes += one.end - one.start
		if joined[i] {
			bytes += gap(i)
		} else {
			p.Ranges++
		}
	}
	return bytes
}
