package report

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"chunkah/lib/console"
	"chunkah/lib/metrics"
)

// heartbeat is the interval between progress lines without a terminal. A CI job without output for
// some minutes looks dead and can be stopped.
const heartbeat = 30 * time.Second

// Follow shows the progress of a run until the returned function is called. It draws a bar or
// prints a line at intervals.
func Follow(log *console.Console, run *metrics.Run, draws bool) (stop func()) {
	switch {
	case log.Verbose < 0:
		return func() {}
	case draws:
		return log.Draw(run.Status)
	}
	ticker := time.NewTicker(heartbeat)
	quit := make(chan struct{})
	var waiter sync.WaitGroup
	waiter.Go(func() { logProgress(log, run, ticker.C, quit) })
	return func() {
		ticker.Stop()
		close(quit)
		waiter.Wait()
	}
}

// logProgress prints the progress of a run at each tick.
func logProgress(out *console.Console, run *metrics.Run, ticks <-chan time.Time, quit <-chan struct{}) {
	for {
		select {
		case <-ticks:
			s := run.Status()
			text := fmt.Sprintf("%s: %s, %s so far", s.Stage, console.Plural(s.Files, "file"), console.Bytes(s.Bytes))
			switch {
			case s.Expected > 0:
				text = fmt.Sprintf("%s: %d%%, %s of %s so far", s.Stage, s.Done*100/s.Expected, console.Bytes(s.Done), console.Bytes(s.Expected))
			case s.Files == 0 && s.Done > 0:
				text = fmt.Sprintf("%s: %s so far", s.Stage, console.Bytes(s.Done))
			}
			out.Print(slog.LevelInfo, []string{text}, statusAttributes(s)...)
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

// Milestones reports the stages of a build in order as they end.
type Milestones struct {
	Log  *console.Console
	Run  *metrics.Run
	Done *Stages

	mu       sync.Mutex
	reported int
}

// Report prints the stages that have ended since the last call.
func (m *Milestones) Report() {
	if m.Log.Verbose < 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, x := range m.Run.Ended()[m.reported:] {
		m.reported++
		if x.Stage == "write" && !m.Log.IsJSON() {
			continue // the summary follows immediately
		}
		m.Log.Print(slog.LevelInfo, []string{x.Stage + ": " + m.Done.describe(x.Status)}, append(statusAttributes(x.Status), slog.Float64("seconds", x.Seconds))...)
	}
}

// describe describes the result of a stage. The time that it took is in the summary.
func (s *Stages) describe(stage metrics.Status) string {
	switch {
	case stage.Stage == "assign" && s.Assigned != nil:
		n := 0
		for _, repo := range s.Assigned.Summaries {
			n += repo.Components
		}
		return console.Plural(n, "component")
	case stage.Stage == "pack" && s.Packed != nil:
		return console.Plural(s.Packed.Layers, "layer")
	}
	return console.Plural(stage.Files, "file") + ", " + console.Bytes(stage.Bytes)
}

// secondsText formats a duration.
func secondsText(s float64) string {
	if s < 60 {
		return fmt.Sprintf("%.1f s", s)
	}
	return fmt.Sprintf("%d:%02d min", int(s)/60, int(s)%60)
}
