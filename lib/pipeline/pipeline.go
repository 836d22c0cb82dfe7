// Package pipeline joins stages in one process.
//
// Records go from stage to stage in memory, without being encoded, so that the joined stages do
// what the same commands in a pipe do, sooner. When a stage fails all others are stopped, and its
// error is the one that counts.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"chunkah/format"
)

// Stage is one stage: it reads the stream of the one before and writes its own. The first stage's
// input and the last one's output are nil. A stage that returns nil has finished its stream; it
// need not have read all of its input.
type Stage struct {
	Name string
	Run  func(ctx context.Context, in format.Source, out format.Sink) error
}

// Run runs the stages to their end and returns the error that came first, named after its stage.
func Run(ctx context.Context, stages ...Stage) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	var failed atomic.Bool
	var in *pipe
	for i, s := range stages {
		source := in
		var sink *pipe
		if i < len(stages)-1 {
			sink = newPipe(ctx)
		}
		group.Go(func() {
			if err := runStage(ctx, s, source, sink); err != nil {
				cancel(name(ctx, s.Name, err))
				failed.Store(true)
			}
		})
		in = sink
	}
	group.Wait()
	if failed.Load() {
		return context.Cause(ctx)
	}
	return nil // also where ctx was cancelled once all was done
}

// runStage runs a stage and holds it to its side of the streams.
func runStage(ctx context.Context, s Stage, in, out *pipe) error {
	// A nil *pipe must not become a source or sink that is not nil.
	var source format.Source
	if in != nil {
		source = in
	}
	var sink format.Sink
	if out != nil {
		sink = out
	}
	if err := s.Run(ctx, source, sink); err != nil {
		return err
	}
	if out != nil && !out.finished {
		return format.ErrTruncated
	}
	if in != nil {
		return in.drain()
	}
	return nil
}

// name puts the stage in front of its own error, and not in front of the reason why it was stopped.
func name(ctx context.Context, stage string, err error) error {
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%s: %w", stage, err)
}
