package rootfs

import (
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// raceRounds is the number of rounds in a race. It is large, so that a change happens at every
// possible moment, but small in short mode.
func raceRounds() int {
	if testing.Short() {
		return 300
	}
	return 1500
}

// whileExchanging keeps exchanging two names until f returns.
func whileExchanging(t *testing.T, a, b string, f func()) {
	t.Helper()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
				t.Errorf("exchanging: %v", err)
				return
			}
		}
	})
	defer wg.Wait()
	defer close(stop)
	f()
}

// If a directory or file turns into a link to the outside, or into a FIFO, at the wrong moment, the
// result is either the file inside the tree or an error.
func TestRaces(t *testing.T) {
	for _, other := range []string{"swap -> OUTSIDE", "swap -> ../../../../../../OUTSIDE", "swap -> other/..", "swap |", "swap/f = inside"} {
		outside := makeTree(t, "f = outside", "secret = outside")
		dir := makeTree(t, "d/x/f = inside", "d/file = inside", "other/", "at/")
		if err := makeEntry(dir+"/at", strings.ReplaceAll(other, "OUTSIDE", outside)); err != nil {
			t.Fatal(err)
		}
		eachWay(t, dir, func(t *testing.T, r *Root) {
			before := descriptors(t)
			whileExchanging(t, dir+"/d/x", dir+"/at/swap", func() { raceDir(t, r, "/d/x") })
			whileExchanging(t, dir+"/d/file", dir+"/at/swap", func() { raceFile(t, r, "/d/file") })
			if after := descriptors(t); after != before {
				t.Errorf("%d descriptors, then %d", before, after)
			}
		})
	}
}

func raceDir(t *testing.T, r *Root, path string) {
	for range raceRounds() {
		if got, err := read(r, path+"/f"); err == nil && got != "inside" {
			t.Fatalf("read %q", got)
		}
		if names, err := r.ReadDir(path); err == nil && !slices.Equal(names, []string{"f"}) {
			t.Fatalf("listed %q", names)
		}
		if st, err := r.Lstat(path + "/f"); err == nil && st.Size != int64(len("inside")) {
			t.Fatalf("size %d", st.Size)
		}
		if _, err := r.Lstat(path + "/secret"); err == nil {
			t.Fatal("saw a file outside")
		}
	}
}

func raceFile(t *testing.T, r *Root, path string) {
	for range raceRounds() {
		if got, err := read(r, path); err == nil && got != "inside" {
			t.Fatalf("read %q", got)
		}
		if got, err := readSeen(r, path); err == nil && got != "inside" {
			t.Fatalf("read %q", got)
		}
		if physical, err := r.Resolve(path + "/f"); err == nil && !strings.HasPrefix(physical, path) {
			t.Fatalf("resolved to %q", physical)
		}
	}
}

func readSeen(r *Root, path string) (string, error) {
	parent, name := split(path)
	d, err := r.OpenDir(parent)
	if err != nil {
		return "", err
	}
	defer d.Close()
	f, err := d.OpenSeen(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	return string(text), err
}
