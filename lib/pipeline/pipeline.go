// Package pipeline joins stages in one process.
//
// Records go from stage to stage in memory, without being encoded, so that the
// joined stages do what the same commands in a pipe do, sooner. When a stage
// fails all others are stopped, and its error is the one that counts.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"chunkah/format"
)

// Stage is one stage: it reads the stream of the one before and writes its own.
// The first stage's input and the last one's output are nil.
type Stage struct {
	Name string
	Run  func(ctx context.Context, in format.Source, out format.Sink) error
}

// Run runs the stages to their end and returns the error that came first, named
// after its stage.
func Run(ctx context.Context, stages ...Stage) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	var in format.Source
	for i, s := range stages {
		var out *pipe
		if i < len(stages)-1 {
			out = newPipe(ctx)
		}
		source := in
		group.Go(func() {
			var sink format.Sink
			if out != nil {
				sink = out
			}
			if err := s.Run(ctx, source, sink); err != nil {
				cancel(name(ctx, s.Name, err))
			}
		})
		in = out
	}
	group.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return nil
}

// name puts the stage in front of its own error, and not in front of the reason
// why it was stopped.
func name(ctx context.Context, stage string, err error) error {
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%s: %w", stage, err)
}
