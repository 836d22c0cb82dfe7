// Package pipeline joins stages in one process.
//
// Records are passed from stage to stage in memory, without encoding. The result is the same as
// with commands in a shell pipe, but faster. When a stage fails, all others are stopped and its
// error is returned.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"chunkah/format"
)

// Stage is one step of a pipeline. It reads the stream of the previous stage and writes its own.
// The first stage has no input and the last no output: they are nil. A stage that returns nil has
// finished its output, but need not have read all of its input.
type Stage struct {
	Name string
	Run  func(ctx context.Context, in format.Source, out format.Sink) error
}

// Run runs the stages and returns the first error, prefixed with the name of its stage.
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
	return nil // even if ctx was cancelled after the last stage
}

// runStage runs a stage and makes sure that its streams are finished.
func runStage(ctx context.Context, s Stage, in, out *pipe) error {
	// A nil *pipe must not become a non-nil source or sink.
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

// name adds the stage's name to the stage's own error, but not to the error that stopped it.
func name(ctx context.Context, stage string, err error) error {
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%s: %w", stage, err)
}
