package console

import (
	"fmt"
	"io"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"chunkah/lib/metrics"
)

// refresh is the interval between updates of the terminal. It is short enough for the display to
// look active, and has no noticeable cost.
const refresh = 200 * time.Millisecond

// Draw shows the progress on a terminal until the returned function is called. That function
// removes the progress. Status can be called from any goroutine.
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

// barWidth is the maximum width of the bar, in columns. On narrow terminals the bar is shorter or
// missing.
const barWidth = 40

// leastBar is the minimum width of a useful bar.
const leastBar = 8

// filler draws a bar if the amount of work is known.
type filler struct {
	bar  mpb.BarFiller
	pace *pace
}

func (f filler) Fill(w io.Writer, st decor.Statistics) error {
	s := f.pace.last
	if s.Expected == 0 || st.AvailableWidth < leastBar {
		return nil
	}
	st.AvailableWidth-- // leaves a column for the space after the bar
	st.Current, st.Total, st.RequestedWidth = s.Done, s.Expected, barWidth
	if err := f.bar.Fill(w, st); err != nil {
		return err
	}
	_, err := io.WriteString(w, " ")
	return err
}

// pace computes the speed of a stage. It is used only by the drawing goroutine.
type pace struct {
	status func() metrics.Status
	now    func() time.Time

	last  metrics.Status
	since time.Time // first time with this stage and this amount of work
	known bool      // the amount of work is known
}

// update reads the current status.
func (p *pace) update() {
	s := p.status()
	if known := s.Expected > 0; s.Stage != p.last.Stage || known != p.known {
		p.since, p.known = p.now(), known
	}
	p.last = s
}

// left returns the text before the bar. It ends with a space, even if no bar follows.
func (p *pace) left() string {
	p.update()
	s := p.last
	if s.Expected > 0 {
		return fmt.Sprintf("%-6s %3d%% ", s.Stage, s.Done*100/s.Expected)
	}
	if s.Files == 0 && s.Done > 0 {
		return fmt.Sprintf("%-6s %s  ", s.Stage, Bytes(s.Done))
	}
	return fmt.Sprintf("%-6s %d files  %s  ", s.Stage, s.Files, Bytes(s.Bytes))
}

// right returns the text after the bar: speed and estimated time left.
func (p *pace) right() string {
	s, passed := p.last, p.now().Sub(p.since).Seconds()
	if passed < 0.1 { // too early for an estimate
		passed = 0
	}
	switch {
	case s.Expected == 0 && passed == 0:
		return ""
	case s.Expected == 0 && s.Files == 0 && s.Done > 0:
		return fmt.Sprintf("%s/s", Bytes(int64(float64(s.Done)/passed)))
	case s.Expected == 0:
		return fmt.Sprintf("%d files/s", int64(float64(s.Files)/passed))
	}
	text := fmt.Sprintf("%s of %s", Bytes(s.Done), Bytes(s.Expected))
	if s.Files > 0 {
		text = fmt.Sprintf("%d files  %s", s.Files, text)
	}
	if rate := float64(s.Done) / passed; passed > 0 && rate > 0 {
		left := time.Duration(float64(s.Expected-s.Done) / rate * float64(time.Second)).Round(time.Second)
		text += fmt.Sprintf("  %s/s  %d:%02d left", Bytes(int64(rate)), int(left.Minutes()), int(left.Seconds())%60)
	}
	return text
}
