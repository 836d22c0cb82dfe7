package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"chunkah/format"
	"chunkah/lib/image"
	"chunkah/lib/pack"
	"chunkah/lib/quote"
	"chunkah/lib/report"
)

// answer prints the result of --explain and --json. It uses standard error if standard output
// contains the image or stream.
func (e *Env) answer(ctx context.Context, output *image.Location, lines []string) error {
	if output == nil {
		e.console().Answer(lines)
		return nil
	}
	p := report.New(e.writer(ctx))
	for _, line := range lines {
		p.Linef("%s", line)
	}
	if err := p.Flush(); err != nil {
		return fmt.Errorf("explaining the plan: %w", err)
	}
	return nil
}

// explainPlan prints the plan in the requested form.
func (f *packFlags) explainPlan(ctx context.Context, env *Env, output *image.Location, r *pack.Report) error {
	if r.Explanation == nil {
		return nil
	}
	lines := report.PlanLines(r.Explanation)
	if f.JSON {
		data, err := json.Marshal(r.Explanation)
		if err != nil {
			return fmt.Errorf("explaining the plan: %w", err)
		}
		lines = []string{string(quote.JSON(data))}
	}
	return env.answer(ctx, output, lines)
}

// discardSink discards the stream if standard output is used for the result of --explain.
type discardSink struct{}

func (discardSink) Write(format.Record) error { return nil }
func (discardSink) Finish() error             { return nil }
