package scan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chunkah/format"
	"chunkah/lib/rootfs"
)

// makeWide makes a tree that contains everything that is counted, reported or numbered, in more
// directories than are read ahead.
func makeWide(t *testing.T) string {
	t.Helper()
	dir := fast(t)
	for i := range 3 * aheadDirs {
		add(t, dir, fmt.Sprintf("a%d/b/c/f = x", i), fmt.Sprintf("a%d/b/link -> f", i), fmt.Sprintf("a%d/e/", i))
		if i%10 == 0 {
			add(t, dir, fmt.Sprintf("a%d/e/pipe |", i), fmt.Sprintf("a%d/cache/CACHEDIR.TAG = %s", i, cacheTag))
			for _, name := range []string{"hard", "../one", "../../two"} {
				name = fmt.Sprintf("%s/a%d/b/%s%d", dir, i, name, i)
				if err := os.Link(fmt.Sprintf("%s/a%d/b/c/f", dir, i), name); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return dir
}

// scanAll returns the whole result of a scan as text.
func scanAll(t *testing.T, dir string, opt Options) string {
	t.Helper()
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var all strings.Builder
	out := format.NewWriter(&all, format.JSON)
	report, err := Run(t.Context(), root, format.Header{}, opt, out)
	if err != nil {
		report = nil
	}
	fmt.Fprintf(&all, "%+v %v", report, err)
	return all.String()
}

// Records, numbers, notes and faults are the same for any number of readers.
func TestReaders(t *testing.T) {
	dir := makeWide(t)
	setXattr(t, dir+"/a0/e", "user.overlay.x", "y")
	setXattr(t, dir+"/a1/e", "user.chunkah.skip", "")
	for _, opt := range []Options{
		{SkipCaches: true, Special: SpecialSkip, Prune: []string{"/a3", "/a4/b/", "/none", "/a5/b/c/"}},
		{Special: SpecialKeep},
		{SkipCaches: true}, // problems in many places
	} {
		opt.Readers = 1
		want := scanAll(t, dir, opt)
		for _, readers := range []int{0, 2, 3, 16, 100} {
			opt.Readers = readers
			if got := scanAll(t, dir, opt); got != want {
				t.Errorf("%d readers: %d bytes, one: %d", readers, len(got), len(want))
			}
		}
	}
}

// wantNoReaders waits until finished goroutines are gone.
func wantNoReaders(t *testing.T, before int) {
	t.Helper()
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, before %d", runtime.NumGoroutine(), before)
}

// No reader goroutine outlives its walk, however the walk ends.
func TestNoReaderLeft(t *testing.T) {
	dir := makeWide(t)
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	opt := Options{Special: SpecialKeep, Readers: 16}
	why := errors.New("someone pressed a key")
	before := runtime.NumGoroutine()
	for _, most := range []int{0, 1, 100, 1000, 1 << 30} {
		ctx, cancel := context.WithCancelCause(t.Context())
		n := 0
		for range Walk(ctx, root, opt, &Report{}) {
			if n++; n > most {
				break
			}
		}
		wantNoReaders(t, before)
		var last error
		n = 0
		for _, last = range Walk(ctx, root, opt, &Report{}) {
			if n++; n == most {
				cancel(why)
			}
		}
		if (last != nil) != (most > 0 && most < n) || last != nil && !errors.Is(last, why) {
			t.Errorf("cancelled after %d of %d: %v", most, n, last)
		}
		cancel(nil)
		wantNoReaders(t, before)
	}
	func() {
		defer func() { _ = recover() }()
		for range Walk(t.Context(), root, opt, &Report{}) {
			panic("in the loop's body")
		}
	}()
	wantNoReaders(t, before)
}

// An error is returned at the position of its directory, even if it was found earlier.
func TestErrorInOrder(t *testing.T) {
	dir := makeTree(t, "a/f = x", "b/f = x", "c/f = x")
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, readers := range []int{1, 2, 8} {
		var got []string
		for f, err := range Walk(t.Context(), root, Options{Readers: readers}, &Report{}) {
			if err != nil {
				got = append(got, err.Error())
				break
			}
			if got = append(got, f.Path); f.Path == "/" {
				continue
			}
			if f.Path == "/a" { // all names of the root were read
				if err := os.Rename(dir+"/c", dir+"/d"); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := os.Rename(dir+"/d", dir+"/c"); err != nil {
			t.Fatal(err)
		}
		whole := []string{"/", "/a", "/a/f", "/b", "/b/f", "/c", "/c/f"}
		gone := append(append([]string(nil), whole[:6]...), `opening directory "/c": no such file or directory`)
		if !reflect.DeepEqual(got, gone) && (readers == 1 || !reflect.DeepEqual(got, whole)) {
			t.Errorf("%d readers: %q", readers, got)
		}
	}
}

// Read-ahead is limited even if no record is consumed.
func TestAheadIsBounded(t *testing.T) {
	dir := fast(t)
	for i := range 3 * aheadDirs {
		add(t, dir, fmt.Sprintf("%d/f = x", i))
	}
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	synctest.Test(t, func(t *testing.T) {
		a := startAhead(t.Context(), 4)
		defer a.stop()
		top := newReading(&input{root: root, prune: newPruner(nil)}, "/", inode{})
		if top.err = top.readTop(); top.err != nil {
			t.Fatal(top.err)
		}
		a.start(top)
		a.next(t.Context())
		synctest.Wait() // until all readers are blocked
		a.mu.Lock()
		defer a.mu.Unlock()
		claimed := 0
		for _, r := range a.stack {
			if r.claimed {
				claimed++
			}
		}
		if claimed != aheadDirs {
			t.Errorf("%d directories are read ahead, want %d", claimed, aheadDirs)
		}
	})
}
