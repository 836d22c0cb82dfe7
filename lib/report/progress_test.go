package report

import (
	"bytes"
	"regexp"
	"testing"
	"time"

	"chunkah/lib/console"
	"chunkah/lib/metrics"
)

// said returns a console, and its messages so far.
func said() (*console.Console, *bytes.Buffer) {
	var text bytes.Buffer
	return console.New(&text, "chunkah"), &text
}

// A run must print its progress at each tick, and nothing after its end.
func TestBeat(t *testing.T) {
	log, text := said()
	run := metrics.Start("chunkah build")
	scan, write := run.Stage("scan"), run.Stage("write")
	ticks, quit, ended := make(chan time.Time), make(chan struct{}), make(chan struct{})
	go func() {
		logProgress(log, run, ticks, quit)
		close(ended)
	}()
	ticks <- time.Time{}
	ticks <- time.Time{} // the previous tick has been handled
	scan.Done()
	write.Work().Expect(4e6)
	write.Work().Did(1e6)
	ticks <- time.Time{}
	close(quit)
	<-ended
	want := regexp.MustCompile(`^chunkah: scan: 0 files, 0 bytes so far\n` +
		`chunkah: (scan: 0 files, 0 bytes|write: \d+%, \d.\d MB of 4.0 MB) so far\n` +
		`chunkah: write: 25%, 1.0 MB of 4.0 MB so far\n$`)
	if got := text.String(); !want.MatchString(got) {
		t.Errorf("got %q", got)
	}
}

// Stages that end out of order must be reported in order, once each.
func TestMilestones(t *testing.T) {
	log, text := said()
	run := metrics.Start("chunkah build")
	m := &Milestones{Log: log, Run: run, Done: &Stages{}}
	scan, assign, pack := run.Stage("scan"), run.Stage("assign"), run.Stage("pack")
	assign.Done()
	m.Report()
	if got := text.String(); got != "" {
		t.Errorf("too early: %q", got)
	}
	scan.Done()
	m.Report()
	m.Report()
	pack.Done()
	m.Report()
	want := regexp.MustCompile(`^chunkah: scan: 0 files, 0 bytes\nchunkah: assign: 0 files, 0 bytes\nchunkah: pack: 0 files, 0 bytes\n$`)
	if got := text.String(); !want.MatchString(got) {
		t.Errorf("got %q", got)
	}
}

func TestTexts(t *testing.T) {
	for seconds, want := range map[float64]string{0: "0.0 s", 1.25: "1.2 s", 59.9: "59.9 s", 60: "1:00 min", 3725: "62:05 min"} {
		if got := secondsText(seconds); got != want {
			t.Errorf("%g: got %q, want %q", seconds, got, want)
		}
	}
	if got := console.List(nil); got != "" {
		t.Errorf("got %q", got)
	}
	if got := console.List([]string{"a", "b", "c", "d", "e", "f", "g"}); got != "a, b, c, d, e, and 2 more" {
		t.Errorf("got %q", got)
	}
}
