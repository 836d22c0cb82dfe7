package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"chunkah/lib/metrics"
)

// said returns an environment, and a function that returns the messages so far.
func said(t *testing.T) (*Env, func() string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "stderr")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return &Env{Name: "chunkah", Stderr: f, common: &commonFlags{}}, func() string {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
}

// A run must print its progress at each tick, and nothing after its end.
func TestBeat(t *testing.T) {
	env, text := said(t)
	run := metrics.Start("chunkah build")
	scan, write := run.Stage("scan"), run.Stage("write")
	ticks, quit, ended := make(chan time.Time), make(chan struct{}), make(chan struct{})
	go func() {
		env.logProgress(run, ticks, quit)
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
	if got := text(); !want.MatchString(got) {
		t.Errorf("got %q", got)
	}
}

// Stages that end out of order must be reported in order, once each.
func TestMilestones(t *testing.T) {
	env, text := said(t)
	run := metrics.Start("chunkah build")
	m := &milestones{env: env, run: run, done: &reports{}}
	scan, assign, pack := run.Stage("scan"), run.Stage("assign"), run.Stage("pack")
	assign.Done()
	m.report()
	if got := text(); got != "" {
		t.Errorf("too early: %q", got)
	}
	scan.Done()
	m.report()
	m.report()
	pack.Done()
	m.report()
	want := regexp.MustCompile(`^chunkah: scan: 0 files, 0 bytes\nchunkah: assign: 0 files, 0 bytes\nchunkah: pack: 0 files, 0 bytes\n$`)
	if got := text(); !want.MatchString(got) {
		t.Errorf("got %q", got)
	}
}

func TestTexts(t *testing.T) {
	for seconds, want := range map[float64]string{0: "0.0 s", 1.25: "1.2 s", 59.9: "59.9 s", 60: "1:00 min", 3725: "62:05 min"} {
		if got := secondsText(seconds); got != want {
			t.Errorf("%g: got %q, want %q", seconds, got, want)
		}
	}
	if got := listText(nil); got != "" {
		t.Errorf("got %q", got)
	}
	if got := listText([]string{"a", "b", "c", "d", "e", "f", "g"}); got != "a, b, c, d, e, and 2 more" {
		t.Errorf("got %q", got)
	}
}
