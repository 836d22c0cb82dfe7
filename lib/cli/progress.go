package cli

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"chunkah/lib/metrics"
	"chunkah/lib/quote"
	"chunkah/lib/scan"
	"chunkah/lib/write"
)

// heartbeat is the interval of progress lines without a terminal. Without output for some minutes,
// a CI job looks dead and can be stopped.
const heartbeat = 30 * time.Second

// draws reports whether standard error is a terminal that can draw progress.
func (e *Env) draws() bool {
	term := os.Getenv("TERM")
	return e.Verbose >= 0 && e.common != nil && e.common.Log != "json" && term != "" && term != "dumb" && isTerminal(e.Stderr)
}

// drawsStage is draws for a stage that writes to standard output. Of several stages on one
// terminal, only the last one draws. No stage draws over its own output.
func (e *Env) drawsStage() bool {
	info, err := e.Stdout.Stat()
	return e.draws() && err == nil && info.Mode()&os.ModeNamedPipe == 0 && !isTerminal(e.Stdout)
}

// drawsBuild is draws for a build. It does not draw over a plan that is printed on the terminal.
func (e *Env) drawsBuild(plan bool) bool { return e.draws() && !(plan && isTerminal(e.Stdout)) }

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
	waiter.Go(func() { e.beat(run, ticker.C, quit) })
	return func() {
		ticker.Stop()
		close(quit)
		waiter.Wait()
	}
}

// beat prints the progress of a run at each tick.
func (e *Env) beat(run *metrics.Run, ticks <-chan time.Time, quit <-chan struct{}) {
	for {
		select {
		case <-ticks:
			s := run.Status()
			text := fmt.Sprintf("%s: %s, %s so far", s.Stage, plural(s.Files, "file"), bytesText(s.Bytes))
			if s.Expected > 0 {
				text = fmt.Sprintf("%s: %d%%, %s of %s so far", s.Stage, s.Done*100/s.Expected, bytesText(s.Done), bytesText(s.Expected))
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

	mu   sync.Mutex
	told int
}

// tell prints the stages that have ended since the last call.
func (m *milestones) tell() {
	if m.env.Verbose < 0 || m.drawn {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, x := range m.run.Ended()[m.told:] {
		m.told++
		if x.Stage == "write" && m.env.common.Log != "json" {
			continue // the summary follows at once
		}
		m.env.console().Print(slog.LevelInfo, []string{x.Stage + ": " + m.done.made(x.Status)}, append(statusAttributes(x.Status), slog.Float64("seconds", x.Seconds))...)
	}
}

// made describes the result of a stage. The summary has the time that it took.
func (r *reports) made(s metrics.Status) string {
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

// summary prints the result of a build: layers, components, sizes, reused layers, skipped files and
// the time of each stage.
func (r *reports) summary(env *Env, run *metrics.Run) {
	if env.Verbose < 0 {
		return
	}
	w := r.written
	lines := []string{fmt.Sprintf("%s: %s of %s, %s, %s", w.Manifest, plural(int64(w.Layers), "layer"),
		plural(int64(w.Components), "component"), plural(w.Files, "file"), sizesText(w))}
	if parts := r.reused(); len(parts) > 0 {
		lines = append(lines, "reused: "+listText(parts))
	}
	if parts := r.dropped(); len(parts) > 0 {
		lines = append(lines, "dropped: "+listText(parts))
	}
	total := 0.0
	var took []string
	for _, s := range run.Took() {
		total += s.Seconds
		took = append(took, s.Stage+" "+secondsText(s.Seconds))
	}
	lines = append(lines, fmt.Sprintf("took %s: %s", secondsText(total), strings.Join(took, ", ")))
	env.console().Print(slog.LevelInfo, lines,
		slog.String("manifest", w.Manifest), slog.Int("layers", w.Layers), slog.Int("components", w.Components),
		slog.Int64("files", w.Files), slog.Int64("bytes", w.Bytes), slog.Int64("blob_bytes", w.BlobBytes),
		slog.Int("reused_layers", w.Reused), slog.Int64("reused_bytes", w.ReusedBytes), slog.Int("kept_layers", w.Kept),
		slog.Float64("seconds", total))
}

// sizesText formats the size of the layers before and after compression.
func sizesText(w *write.Report) string {
	if w.BlobBytes == w.Bytes {
		return bytesText(w.Bytes)
	}
	return fmt.Sprintf("%s, compressed %s", bytesText(w.Bytes), bytesText(w.BlobBytes))
}

func (r *reports) reused() []string {
	w := r.written
	var parts []string
	if w.Reused > 0 {
		parts = append(parts, fmt.Sprintf("%s, %s, as they were made before", plural(int64(w.Reused), "layer"), bytesText(w.ReusedBytes)))
	}
	if w.KeptPrevious > 0 {
		parts = append(parts, fmt.Sprintf("%s of the previous image", plural(int64(w.KeptPrevious), "layer")))
	}
	if w.Kept > 0 {
		parts = append(parts, fmt.Sprintf("%s of the source below those", plural(int64(w.Kept), "layer")))
	}
	return parts
}

func (r *reports) dropped() []string {
	var parts []string
	for _, c := range scan.Counts(r.scanned.Skipped) {
		parts = append(parts, fmt.Sprintf("%s: %s", plural(c.N, "file"), c.Name))
	}
	for _, n := range r.scanned.Notes {
		parts = append(parts, fmt.Sprintf("%s %q", n.What, n.Path))
	}
	dropped := []map[string]int64{r.scanned.Dropped}
	if r.packed != nil {
		dropped = append(dropped, r.packed.Stripped)
	}
	for _, m := range dropped {
		for _, c := range scan.Counts(m) {
			parts = append(parts, fmt.Sprintf("the xattr %s of %s", quote.Name(c.Name), plural(c.N, "file")))
		}
	}
	if n := r.written.Duplicates; n > 0 {
		parts = append(parts, plural(int64(n), "layer")+" equal to another")
	}
	return parts
}

// longestList limits a line of the summary. With -v the whole list is printed.
const longestList = 5

func listText(parts []string) string {
	if len(parts) > longestList {
		parts = append(parts[:longestList:longestList], fmt.Sprintf("and %d more", len(parts)-longestList))
	}
	return strings.Join(parts, ", ")
}
