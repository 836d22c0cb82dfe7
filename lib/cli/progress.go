package cli

import (
	"os"
	"sync"

	"chunkah/lib/metrics"
	"chunkah/lib/report"
)

// drawsProgress reports whether standard error is a terminal that can draw progress.
func (e *Env) drawsProgress() bool {
	term := os.Getenv("TERM")
	return e.Verbose >= 0 && e.common != nil && e.common.Log != "json" && term != "" && term != "dumb" && isTerminal(e.Stderr)
}

// drawsStage does the same as drawsProgress for a stage that writes to standard output. If several
// stages share a terminal, only the last one draws. No stage draws over its own output.
func (e *Env) drawsStage() bool {
	info, err := e.Stdout.Stat()
	return e.drawsProgress() && err == nil && info.Mode()&os.ModeNamedPipe == 0 && !isTerminal(e.Stdout)
}

// drawsBuild does the same as drawsProgress for a build. A build does not draw over a plan that is
// printed on the terminal.
func (e *Env) drawsBuild(plan bool) bool { return e.drawsProgress() && !(plan && isTerminal(e.Stdout)) }

// working shows the progress of a step outside the stages of a stream, such as reading a source,
// until the returned function is called. That function can be called twice.
func (e *Env) working(step string, draws bool) (work *metrics.Work, stop func()) {
	run := metrics.Start(step)
	work = run.Stage(step).Work()
	return work, sync.OnceFunc(report.Follow(e.console(), run, draws))
}
