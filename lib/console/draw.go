package console

import (
	"fmt"
	"io"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"chunkah/lib/metrics"
)

// refresh is how often a terminal is drawn anew: often enough to look alive, seldom
// enough to cost nothing.
const refresh = 200 * time.Millisecond

// Draw draws on a terminal how far the run is until the function that it returns is called, which
// leaves no trace of it. Status may be called from any goroutine.
func (c *Console) Draw(status func() metrics.Status) (stop func()) {
	p := mpb.New(mpb.WithOutput(c.out), mpb.WithRefreshRate(refresh))
	pace := &pace{status: status, now: time.Now}
	bar := p.MustAdd(0, filler{mpb.BarStyle().Build(), pace},
		mpb.BarRemoveOnComplete(), mpb.BarFillerTrim(),
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return pace.left() })),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return pace.right() })))
	c.mu.Lock()
	c.bar = p
	c.mu.Unlock()
	return func() {
		bar.Abort(true)
		p.Wait()
		c.mu.Lock()
		c.bar = nil
		c.mu.Unlock()
	}
}

// barWidth is the widest that a bar gets, in columns; a terminal that is less wide
// has less of it, or none.
const barWidth = 40

// leastBar is the width below which a bar shows nothing.
const leastBar = 8

// filler draws a bar where it is known what there is to do.
type filler struct {
	bar  mpb.BarFiller
	pace *pace
}

func (f filler) Fill(w io.Writer, st decor.Statistics) error {
	s := f.pace.last
	if s.Expected == 0 || st.AvailableWidth < leastBar {
		return nil
	}
	st.AvailableWidth-- // for the space behind it
	st.Current, st.Total, st.RequestedWidth = s.Done, s.Expected, barWidth
	if err := f.bar.Fill(w, st); err != nil {
		return err
	}
	_, err := io.WriteString(w, " ")
	return err
}

// pace tells how quick a stage is. It is drawn by one goroutine.
type pace struct {
	status func() metrics.Status
	now    func() time.Time

	last  metrics.Status
	since time.Time // when the stage, or its work, was first seen
	known bool      // what there is to do is
}

// look takes in how far the run is.
func (p *pace) look() {
	s := p.status()
	if known := s.Expected > 0; s.Stage != p.last.Stage || known != p.known {
		p.since, p.known = p.now(), known
	}
	p.last = s
}

// left is what stands before the bar, with the space between them, which has to be
// there without a bar too.
func (p *pace) left() string {
	p.look()
	s := p.last
	if s.Expected > 0 {
		return fmt.Sprintf("%-6s %3d%% ", s.Stage, s.Done*100/s.Expected)
	}
	return fmt.Sprintf("%-6s %d files  %s  ", s.Stage, s.Files, Bytes(s.Bytes))
}

// right is what stands behind it: how quick, and how long it may take still.
func (p *pace) right() string {
	s, passed := p.last, p.now().Sub(p.since).Seconds()
	if passed < 0.1 { // too early to tell
		passed = 0
	}
	switch {
	case s.Expected == 0 && passed == 0:
		return ""
	case s.Expected == 0:
		return fmt.Sprintf("%d files/s", int64(float64(s.Files)/passed))
	}
	text := fmt.Sprintf("%d files  %s of %s", s.Files, Bytes(s.Done), Bytes(s.Expected))
	if rate := float64(s.Done) / passed; passed > 0 && rate > 0 {
		left := time.Duration(float64(s.Expected-s.Done) / rate * float64(time.Second)).Round(time.Second)
		text += fmt.Sprintf("  %s/s  %d:%02d left", Bytes(int64(rate)), int(left.Minutes()), int(left.Seconds())%60)
	}
	return text
}
