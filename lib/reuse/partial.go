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
// chunks that it lacks. Its store has the old image, pulled in the same way, and nothing else.
type Partial struct {
	// Layers is the number of layers that are fetched at least in part, Whole the number that are
	// fetched as a whole.
	Layers int `json:"download_layers"`
	Whole  int `json:"whole_layers"`
	// Download is all that is fetched, Tables the part that says what to fetch.
	Download int64 `json:"download_bytes"`
	Tables   int64 `json:"table_bytes"`
	// Ranges is the number of pieces of blobs, without tables.
	Ranges int `json:"ranges"`
}

// The client asks for at most maxRanges pieces of a layer, and fetches gaps of at most smallGap
// bytes with the pieces around them (storage/pkg/chunked of go.podman.io/storage).
const (
	maxRanges = 1024
	smallGap  = 1024
)

// Partly returns the cost of an update for a client that fetches chunks. Layers whose tables cannot
// be read count as whole; warn gets the reason.
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

// pieces returns the bytes of the pieces of a blob that are fetched for chunks that are not known,
// and counts the pieces.
func (p *Partial) pieces(chunks []chunked.Chunk, known map[digest.Digest]bool) int64 {
	type piece struct{ start, end int64 }
	var list []piece
	for _, c := range chunks {
		if known[c.File] || known[c.Digest] || c.Hole {
			continue
		}
		if n := len(list); n > 0 && list[n-1].end == c.Start {
			list[n-1].end = c.End // of the same file, or just behind it
			continue
		}
		list = append(list, piece{c.Start, c.End})
	}
	// Join the pieces with the smallest gaps.
	gaps := make([]int, max(0, len(list)-1)) // before the piece of the index above
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
