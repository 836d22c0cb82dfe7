package oci

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Several builds can write to one layout at the same time, whether the layout already exists or
// each build is about to create it. Afterwards, the layout contains all images.
func TestLayoutOfMany(t *testing.T) {
	const builds = 20
	for _, exists := range []bool{true, false} {
		path := filepath.Join(t.TempDir(), "out")
		if exists {
			if err := layoutTo(t, path, "first:1", "one"); err != nil {
				t.Fatal(err)
			}
		}
		var started, ended sync.WaitGroup
		started.Add(builds)
		for i := range builds {
			ended.Go(func() {
				l, err := func() (*Layout, error) {
					if exists { // otherwise none of the builds finds a layout
						started.Done()
					}
					l, err := OpenLayout(path, fmt.Sprintf("app:%d", i), Options{Busy: func(string) error { runtime.Gosched(); return nil }})
					if !exists {
						started.Done()
						started.Wait()
					}
					return l, err
				}()
				if err != nil {
					t.Error(err)
					return
				}
				img := testImage(t)
				img.Ref, img.Layers = fmt.Sprintf("app:%d", i), testLayers("shared", fmt.Sprint(i))
				if err := writeImage(t, l, img); err != nil {
					t.Error(err)
				}
			})
		}
		ended.Wait()
		if got := strings.Fields(images(t, path)); len(got) != builds && !exists || exists && len(got) != builds+1 {
			t.Errorf("exists %v: it holds %d images, %q", exists, len(got), got)
		}
		if names := listing(t, filepath.Dir(path)); strings.Contains(strings.Join(names, " "), ".tmp") {
			t.Errorf("left behind: %q", names)
		}
	}
}

// A run that waits for the lock can be cancelled and leaves no files.
func TestLayoutWaitEnds(t *testing.T) {
	path := t.TempDir()
	l, err := OpenLayout(path, "", Options{})
	if err != nil {
		t.Fatal(err)
	}
	stopped, asked := errors.New("stopped"), 0
	_, err = OpenLayout(path, "", Options{Busy: func(at string) error {
		if asked++; asked < 3 && at == path {
			return nil
		}
		return stopped
	}})
	if !errors.Is(err, stopped) || asked != 3 {
		t.Errorf("asked %d times, got %v", asked, err)
	}
	if err := l.Discard(); err != nil {
		t.Error(err)
	}
	if left := listing(t, path); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

// Another user's symlink in a world-writable directory is not followed, for an archive or a layout,
// new or existing.
func TestForeignLink(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to make a link of another user")
	}
	dir, victim := t.TempDir(), filepath.Join(t.TempDir(), "victim")
	if err := errors.Join(os.Chmod(dir, 0o777|os.ModeSticky), os.WriteFile(victim, []byte("mine"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		owner int
		mode  os.FileMode
		taken bool
	}{
		{1000, 0o777 | os.ModeSticky, false}, {0, 0o777 | os.ModeSticky, true}, {1000, 0o755, true}, {1000, 0o755 | os.ModeSticky, true},
	} {
		link := filepath.Join(dir, "link")
		if err := errors.Join(os.Chmod(dir, test.mode), os.Symlink(victim, link), os.Lchown(link, test.owner, test.owner)); err != nil {
			t.Fatal(err)
		}
		a, err := CreateArchive(link, Options{})
		if (err == nil) != test.taken || err != nil && !strings.Contains(err.Error(), "symlink of another user") {
			t.Errorf("%+v: got %v", test, err)
		}
		if err == nil {
			if err := a.Discard(); err != nil {
				t.Error(err)
			}
		}
		l, err := OpenLayout(link, "", Options{})
		if foreign := err != nil && strings.Contains(err.Error(), "symlink of another user"); foreign == test.taken {
			t.Errorf("%+v: layout: got %v", test, err)
		}
		if err == nil {
			t.Error("a file is a layout", l.Discard())
		}
		if err := unix.Unlink(link); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(victim); string(got) != "mine" || err != nil {
		t.Errorf("the file is %q, %v", got, err)
	}
}
