package compress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

var errDiskFull = errors.New("disk full")

// limited accepts a number of bytes and then fails.
type limited struct {
	left  int
	short bool // return fewer bytes than given and no error, against the contract of io.Writer
}

func (l *limited) Write(p []byte) (int, error) {
	if len(p) <= l.left {
		l.left -= len(p)
		return len(p), nil
	}
	n := l.left
	l.left = 0
	if l.short {
		return n, nil
	}
	return n, errDiskFull
}

// TestWriterFails makes the target fail after each relevant number of bytes. The error must be
// returned unchanged, and every later call must return it again.
func TestWriterFails(t *testing.T) {
	p := newPool(t, 2)
	for _, c := range []struct {
		s    Settings
		size int
	}{
		{Settings{None, 0}, 4 << 20},
		{Settings{Gzip, 1}, 20_000},
		{Settings{Gzip, 1}, 3 << 20},
		{Settings{Zstd, 1}, 20_000},
		{Settings{Zstd, 1}, severalBlocks},
	} {
		data := sample(c.size)
		whole := len(pack(t, p, c.s, data, 1<<20))
		for _, left := range []int{0, 9, 10, 11, whole / 2, whole - 9, whole - 1} {
			for _, short := range []bool{false, true} {
				want := errDiskFull
				if short {
					want = io.ErrShortWrite
				}
				z, err := p.NewWriter(t.Context(), &limited{left, short}, c.s, 0)
				if err != nil {
					t.Fatal(err)
				}
				for rest := data; len(rest) > 0 && err == nil; rest = rest[min(len(rest), 100_000):] {
					_, err = z.Write(rest[:min(len(rest), 100_000)])
				}
				if err == nil {
					err = z.Close()
				}
				name := fmt.Sprintf("%s of %d bytes, %d of %d written", c.s.Algorithm, c.size, left, whole)
				if !errors.Is(err, want) {
					t.Errorf("%s: got %v, want %v", name, err, want)
				}
				if err := z.Close(); !errors.Is(err, want) {
					t.Errorf("%s: Close after it: got %v, want %v", name, err, want)
				}
			}
		}
	}
}

func TestClose(t *testing.T) {
	p := newPool(t, 1)
	for _, a := range []Algorithm{None, Gzip, Zstd} {
		var out bytes.Buffer
		z, err := p.NewWriter(t.Context(), &out, Settings{Algorithm: a}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := z.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		size := out.Len()
		if err := z.Close(); err != nil || out.Len() != size {
			t.Errorf("%s: second Close: %v, wrote %d bytes", a, err, out.Len()-size)
		}
		if n, err := z.Write([]byte("x")); n != 0 || err == nil {
			t.Errorf("%s: Write after Close: %d, %v", a, n, err)
		}
	}
}

// TestCancelled cancels before, between and during writes.
func TestCancelled(t *testing.T) {
	p := newPool(t, 2)
	cause := errors.New("interrupted")
	for _, s := range []Settings{{None, 0}, {Gzip, 1}, {Zstd, 1}} {
		for _, written := range []int{0, 100, severalBlocks} {
			ctx, cancel := context.WithCancelCause(t.Context())
			z, err := p.NewWriter(ctx, io.Discard, s, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := z.Write(sample(written)); err != nil {
				t.Fatal(err)
			}
			cancel(cause)
			if _, err := z.Write([]byte("x")); !errors.Is(err, cause) {
				t.Errorf("%s: Write: got %v, want the cause", s.Algorithm, err)
			}
			if err := z.Close(); !errors.Is(err, cause) {
				t.Errorf("%s: Close: got %v, want the cause", s.Algorithm, err)
			}
		}
	}
}

// TestCancelWhileWaiting cancels a writer that waits for a free worker, and one that waits for its
// block.
func TestCancelWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("interrupted")
		for _, started := range []bool{false, true} {
			p := idlePool(1)
			ctx, cancel := context.WithCancelCause(t.Context())
			z, err := p.NewWriter(ctx, io.Discard, Settings{Algorithm: Gzip}, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := z.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			result := make(chan error)
			go func() { result <- z.Close() }()
			if started {
				p.next()
			}
			synctest.Wait()
			cancel(cause)
			if err := <-result; !errors.Is(err, cause) {
				t.Errorf("started %v: got %v, want the cause", started, err)
			}
		}
	})
}

// TestLowestRankFirst queues blocks of three writers and checks the order in which they are
// processed.
func TestLowestRankFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := idlePool(1)
		var results [3]chan error
		var writers [3]*Writer
		for i := range writers {
			var err error
			if writers[i], err = p.NewWriter(t.Context(), io.Discard, Settings{Algorithm: Gzip}, i); err != nil {
				t.Fatal(err)
			}
			if _, err := writers[i].Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			results[i] = make(chan error, 1)
		}
		for _, i := range []int{1, 0, 2} {
			go func() { results[i] <- writers[i].Close() }()
			synctest.Wait()
		}
		for i := range writers {
			j := p.next()
			if j.rank != i {
				t.Errorf("block %d was from writer %d", i, j.rank)
			}
			close(j.done)
			if err := <-results[i]; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestPoolClosed(t *testing.T) {
	p := NewPool(2)
	z, err := p.NewWriter(t.Context(), io.Discard, Settings{Algorithm: Gzip}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(sample(3 << 20)); err != nil {
		t.Fatal(err)
	}
	p.Close()
	p.Close()
	if err := z.Close(); !errors.Is(err, errPoolClosed) {
		t.Errorf("Close: got %v, want %v", err, errPoolClosed)
	}
}

// TestNoLeak counts goroutines after writers have finished or failed, or have been dropped or
// cancelled.
func TestNoLeak(t *testing.T) {
	before := runtime.NumGoroutine()
	p := NewPool(4)
	ctx, cancel := context.WithCancel(t.Context())
	for _, s := range []Settings{{None, 0}, {Gzip, 1}, {Zstd, 1}} {
		for _, w := range []io.Writer{io.Discard, &limited{left: 100}} {
			for _, closeIt := range []bool{true, false} {
				z, err := p.NewWriter(ctx, w, s, 0)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = z.Write(sample(severalBlocks))
				if closeIt {
					_ = z.Close()
				}
			}
		}
	}
	cancel()
	p.Close()
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond) // a goroutine can still be counted shortly after it signalled its end
	}
	if n := runtime.NumGoroutine(); n > before {
		stacks := make([]byte, 1<<16)
		t.Errorf("%d goroutines before, %d after:\n%s", before, n, stacks[:runtime.Stack(stacks, true)])
	}
}

// TestMemory writes much more data than a pool can buffer, and measures the heap at the same time.
func TestMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector uses additional memory")
	}
	if testing.Short() {
		t.Skip("compresses 200 MB")
	}
	data := sample(sampleSize)
	for _, c := range []struct {
		s    Settings
		most uint64 // MiB: the sum in the documentation of Pool for two workers and one writer, plus garbage
	}{{Settings{Gzip, 1}, 16}, {Settings{Zstd, 1}, 80}} {
		rounds := 2*int(c.most)<<20/len(data) + 1 // more than twice the limit
		p := newPool(t, 2)
		z, err := p.NewWriter(t.Context(), io.Discard, c.s, 0)
		if err != nil {
			t.Fatal(err)
		}
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		before, most := stats.HeapAlloc, uint64(0)
		for range rounds {
			if _, err := z.Write(data); err != nil {
				t.Fatal(err)
			}
			runtime.GC()
			runtime.ReadMemStats(&stats)
			most = max(most, stats.HeapAlloc-before)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if most>>20 > c.most {
			t.Errorf("%s: %d MiB of heap, want at most %d", c.s.Algorithm, most>>20, c.most)
		}
		t.Logf("%s: %d MiB", c.s.Algorithm, most>>20)
	}
}
