package pipeline

import (
	"context"
	"io"

	"chunkah/format"
)

// batchSize is the number of records per batch, because passing on records one by one costs more
// than creating them.
const batchSize = 256

// ahead is the number of batches by which a stage can be ahead of the next one.
const ahead = 16

// pipe connects two stages in memory. A producer that fails cancels the context, and the consumer
// then reports the cause. So a stream without a Finish call never looks complete.
type pipe struct {
	ctx      context.Context
	batches  chan []format.Record
	empty    chan []format.Record // batches that were read, to be filled again
	out      []format.Record      // batch being filled
	in       []format.Record      // rest of the batch being read
	whole    []format.Record      // batch being read
	finished bool                 // the producer has called Finish
	ended    bool                 // the consumer has seen the end
}

func newPipe(ctx context.Context) *pipe {
	return &pipe{ctx: ctx, batches: make(chan []format.Record, ahead), empty: make(chan []format.Record, ahead)}
}

// Write implements format.Sink.
func (p *pipe) Write(rec format.Record) error {
	if p.out == nil {
		select {
		case p.out = <-p.empty:
		default:
			p.out = make([]format.Record, 0, batchSize)
		}
	}
	if p.out = append(p.out, rec); len(p.out) < batchSize {
		return nil
	}
	return p.flush()
}

func (p *pipe) flush() error {
	if len(p.out) == 0 {
		return nil
	}
	select {
	case p.batches <- p.out:
		p.out = nil
		return nil
	case <-p.ctx.Done():
		return context.Cause(p.ctx)
	}
}

// Finish implements format.Sink.
func (p *pipe) Finish() error {
	if err := p.flush(); err != nil {
		return err
	}
	close(p.batches)
	p.finished = true
	return nil
}

// Next implements format.Source.
func (p *pipe) Next() (format.Record, error) {
	for len(p.in) == 0 {
		p.recycle()
		if p.ended {
			return nil, io.EOF
		}
		select {
		case batch, more := <-p.batches:
			p.in, p.whole, p.ended = batch, batch, !more
		case <-p.ctx.Done():
			return nil, context.Cause(p.ctx)
		}
	}
	rec := p.in[0]
	p.in[0] = nil // only the consumer uses it from here on
	p.in = p.in[1:]
	return rec, nil
}

// recycle makes the batch that was just read available to the producer again. Otherwise the batches
// of a large tree would leave several megabytes of garbage.
func (p *pipe) recycle() {
	if p.whole == nil {
		return
	}
	select {
	case p.empty <- p.whole[:0]:
	default:
	}
	p.whole = nil
}

// drain reads the rest of an unused stream, so that its producer can finish and its errors are
// reported.
func (p *pipe) drain() error {
	for {
		p.in = nil
		if _, err := p.Next(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
