package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"chunkah/format"
)

var errCause = errors.New("cause")

// scan writes n files.
func scan(n int) Stage {
	return Stage{Name: "scan", Run: func(_ context.Context, _ format.Source, out format.Sink) error {
		if err := out.Write(&format.Header{Version: format.Version, Stage: format.StageScan, Root: "/r"}); err != nil {
			return err
		}
		for i := range n {
			if err := out.Write(&format.File{Path: fmt.Sprintf("/%08d", i), Type: format.TypeFile}); err != nil {
				return err
			}
		}
		return out.Finish()
	}}
}

// pass returns a stage that passes on its input.
func pass(name string) Stage {
	return Stage{Name: name, Run: func(_ context.Context, in format.Source, out format.Sink) error {
		if err := drain(in, out); err != nil {
			return err
		}
		return out.Finish()
	}}
}

// count returns a stage that counts files.
func count(n *int) Stage {
	return Stage{Name: "write", Run: func(_ context.Context, in format.Source, _ format.Sink) error {
		for {
			rec, err := in.Next()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			if f, ok := rec.(*format.File); ok {
				if want := fmt.Sprintf("/%08d", *n); f.Path != want {
					return fmt.Errorf("got %q, want %q", f.Path, want)
				}
				*n++
			}
		}
	}}
}

// runInTime runs stages. It fails the test if they hang or leave goroutines behind.
func runInTime(t *testing.T, ctx context.Context, stages ...Stage) error {
	t.Helper()
	before := runtime.NumGoroutine()
	done := make(chan error, 1)
	go func() { done <- Run(ctx, stages...) }()
	var err error
	select {
	case err = <-done:
	case <-time.After(20 * time.Second):
		buf := make([]byte, 1<<16)
		t.Fatalf("it hangs:\n%s", buf[:runtime.Stack(buf, true)])
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
	return err
}

func TestRun(t *testing.T) {
	for _, n := range []int{0, 1, batchSize - 2, batchSize - 1, batchSize, 3 * batchSize * ahead} {
		got := 0
		if err := runInTime(t, context.Background(), scan(n), pass("assign"), pass("pack"), count(&got)); err != nil || got != n {
			t.Errorf("%d of %d files arrived, %v", got, n, err)
		}
	}
}

// broken returns a stage that fails after n records, or at the end if n is negative.
func broken(name string, n int) Stage {
	return Stage{Name: name, Run: func(ctx context.Context, in format.Source, out format.Sink) error {
		for i := 0; i != n; i++ {
			var rec format.Record = &format.File{Path: fmt.Sprintf("/%08d", i), Type: format.TypeFile}
			if i == 0 {
				rec = &format.Header{Version: format.Version}
			}
			if in != nil {
				var err error
				if rec, err = in.Next(); err == io.EOF {
					break
				} else if err != nil {
					return err
				}
			}
			if out == nil {
				continue
			}
			if err := out.Write(rec); err != nil {
				return err
			}
		}
		return errCause
	}}
}

// If any stage fails at any time, its error is returned, prefixed once with the name of the stage.
func TestRootCause(t *testing.T) {
	names := []string{"scan", "assign", "pack", "write"}
	for i, name := range names {
		for _, after := range []int{0, 1, batchSize, 50_000, -1} {
			if i == 0 && after < 0 {
				continue // an endless scan
			}
			var n int
			stages := []Stage{scan(100_000), pass("assign"), pass("pack"), count(&n)}
			stages[i] = broken(name, after)
			if i == 0 {
				stages[3] = broken("write", -1) // the stage's own error comes later, if at all
			}
			err := runInTime(t, context.Background(), stages...)
			if !errors.Is(err, errCause) || err.Error() != name+": cause" {
				t.Errorf("%s after %d records: %v", name, after, err)
			}
		}
	}
}

// A cancelled run returns the cause, without the name of a stage.
func TestCancelled(t *testing.T) {
	for _, after := range []time.Duration{0, time.Millisecond, 20 * time.Millisecond} {
		ctx, cancel := context.WithCancelCause(context.Background())
		time.AfterFunc(after, func() { cancel(errCause) })
		endless := Stage{Name: "scan", Run: func(_ context.Context, _ format.Source, out format.Sink) error {
			for {
				if err := out.Write(&format.File{}); err != nil {
					return err
				}
			}
		}}
		if err := runInTime(t, ctx, endless, pass("assign"), broken("write", -1)); err == nil || err.Error() != "cause" {
			t.Errorf("after %v: %v", after, err)
		}
	}
}

// Cancelling after the end changes nothing.
func TestCancelledAfterEnd(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	n := 0
	last := count(&n)
	late := Stage{Name: "write", Run: func(ctx context.Context, in format.Source, out format.Sink) error {
		err := last.Run(ctx, in, out)
		cancel(errCause)
		return err
	}}
	if err := runInTime(t, ctx, scan(10), late); err != nil {
		t.Error(err)
	}
}

// A stage that returns without finishing its stream has failed.
func TestNotFinished(t *testing.T) {
	n := 0
	lazy := Stage{Name: "assign", Run: func(_ context.Context, in format.Source, out format.Sink) error { return drain(in, out) }}
	err := runInTime(t, context.Background(), scan(10), lazy, count(&n))
	if !errors.Is(err, format.ErrTruncated) || !strings.HasPrefix(err.Error(), "assign: ") {
		t.Errorf("got %v", err)
	}
}

// A stage can stop reading, but errors of earlier stages are still reported.
func TestInputLeftUnread(t *testing.T) {
	header := &format.Header{Version: format.Version}
	early := Stage{Name: "pack", Run: func(_ context.Context, _ format.Source, out format.Sink) error {
		if err := out.Write(header); err != nil {
			return err
		}
		return out.Finish()
	}}
	n := 0
	if err := runInTime(t, context.Background(), scan(100_000), early, count(&n)); err != nil {
		t.Error(err)
	}
	if err := runInTime(t, context.Background(), broken("scan", 100_000), early, count(&n)); err == nil || err.Error() != "scan: cause" {
		t.Errorf("got %v", err)
	}
}

func BenchmarkPipe(b *testing.B) {
	n := 0
	for b.Loop() {
		n = 0
		if err := Run(context.Background(), scan(100_000), pass("assign"), pass("pack"), count(&n)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
}
