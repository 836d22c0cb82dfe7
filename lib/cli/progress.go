package cli

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"chunkah/lib/metrics"
)

// heartbeat is the interval between progress lines without a terminal. A CI job without output for
// some minutes looks dead and can be stopped.
const heartbeat = 30 * time.Second

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

// follow shows the progress of a build until the returned function is called. It draws a bar or
// prints a line at intervals, in addition to the milestones.
func (e *Env) follow(run *metrics.Run, draws bool) (stop func()) {
	switch {
	case e.Verbose < 0:
		return func() {}
	case draws:
		return e.console().Draw(run.Status)
	}
	ticker := time.NewTicker(heartbeat)
	quit := make(chan struct{})
	var waiter sync.WaitGroup
	waiter.Go(func() { e.logProgress(run, ticker.C, quit) })
	return func() {
		ticker.Stop()
		close(quit)
		waiter.Wait()
	}
}

// working shows the progress of a step outside the stages of a stream, such as reading a source,
// until the returned function is called. That function can be called twice.
func (e *Env) working(step string, draws bool) (work *metrics.Work, stop func()) {
	run := metrics.Start(step)
	work = run.Stage(step).Work()
	return work, sync.OnceFunc(e.follow(run, draws))
}

// logProgress prints the progress of a run at each tick.
func (e *Env) logProgress(run *metrics.Run, ticks <-chan time.Time, quit <-chan struct{}) {
	for {
		select {
		case <-ticks:
			s := run.Status()
			text := fmt.Sprintf("%s: %s, %s so far", s.Stage, plural(s.Files, "file"), bytesText(s.Bytes))
			switch {
			case s.Expected > 0:
				text = fmt.Sprintf("%s: %d%%, %s of %s so far", s.Stage, s.Done*100/s.Expected, bytesText(s.Done), bytesText(s.Expected))
			case s.Files == 0 && s.Done > 0:
				text = fmt.Sprintf("%s: %s so far", s.Stage, bytesText(s.Done))
			}
			e.console().Print(slog.LevelInfo, []string{text}, statusAttributes(s)...)
		case <-quit:
			return
		}
	}
}

func statusAttributes(s metrics.Status) []slog.Attr {
	return []slog.Attr{
		slog.String("stage", s.Stage), slog.Int64("files", s.Files), slog.Int64("bytes", s.Bytes),
		slog.Int64("work_done", s.Done), slog.Int64("work_expected", s.Expected),
	}
}

// milestones reports the stages of a build in order as they end.
type milestones struct {
	env   *Env
	run   *metrics.Run
	done  *reports
	drawn bool // the bar already shows the milestones

	mu       sync.Mutex
	reported int
}

// report prints the stages that have ended since the last call.
func (m *milestones) report() {
	if m.env.Verbose < 0 || m.drawn {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, x := range m.run.Ended()[m.reported:] {
		m.reported++
		if x.Stage == "write" && m.env.common.Log != "json" {
			continue // the summary follows at once
		}
		m.env.console().Print(slog.LevelInfo, []string{x.Stage + ": " + m.done.describe(x.Status)}, append(statusAttributes(x.Status), slog.Float64("seconds", x.Seconds))...)
	}
}

// describe describes the result of a stage. The time that it took is in the summary.
func (r *reports) describe(s metrics.Status) string {
	switch {
	case s.Stage == "assign" && r.assigned != nil:
		n := 0
		for _, repo := range r.assigned.Summaries {
			n += repo.Components
		}
		return plural(int64(n), "component")
	case s.Stage == "pack" && r.packed != nil:
		return plural(int64(r.packed.Layers), "layer")
	}
	return plural(s.Files, "file") + ", " + bytesText(s.Bytes)
}

// secondsText formats a duration.
func secondsText(s float64) string {
	if s < 60 {
		return fmt.Sprintf("%.1f s", s)
	}
	return fmt.Sprintf("%d:%02d min", int(s)/60, int(s)%60)
}
