package tests

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"chunkah/tests/clients"
	mk "chunkah/tests/mkimage"
	"chunkah/tests/mkroot"
)

// Another process can put a symlink in place of the target, or of the directory that still has a
// temporary name. Nothing at the symlink's target changes, whether the command succeeds or fails.
func TestExtractTargetIsReplaced(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root")
	source := "oci-archive:" + build(t, mkroot.Make(t, "dir / mode=0755\nfile /new/file text=x\nfile /top text=x\nfifo /pipe\n"), "--keep-special-files")
	damaged := "oci:" + (&mk.Image{Layers: []mk.Layer{{Tar: mk.Tar(t, mk.File("a", "x"))}, {Tar: mk.Tar(t, mk.File("b", "x"), mk.File("c", "x"))[:1500]}}}).Layout(t)
	outside := t.TempDir()
	if err := errors.Join(os.WriteFile(outside+"/precious", nil, 0o600), os.Chmod(outside, 0o751)); err != nil {
		t.Fatal(err)
	}
	swaps := 0
	for round := range 40 {
		parent := t.TempDir()
		target, link := parent+"/target", parent+"/link"
		if err := os.Symlink(outside, link); err != nil {
			t.Fatal(err)
		}
		if round%2 == 0 {
			if err := os.Mkdir(target, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		stop := make(chan struct{})
		var attacker sync.WaitGroup
		attacker.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				names, _ := filepath.Glob(parent + "/.chunkah-*")
				for _, at := range append(names, target) {
					if unix.Renameat2(unix.AT_FDCWD, at, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE) == nil {
						swaps++
					}
				}
			}
		})
		args := []string{"extract", source, target}
		if round%4 > 1 {
			args[1] = damaged // fails after some files are written
		}
		start(t, exec.Command("chunkah", args...))
		close(stop)
		attacker.Wait()
		entries, err := os.ReadDir(outside)
		info, statErr := os.Stat(outside)
		if err != nil || statErr != nil || len(entries) != 1 || info.Mode().Perm() != 0o751 {
			t.Fatalf("round %d: outside: %v, %v, %v", round, entries, info.Mode(), errors.Join(err, statErr))
		}
	}
	if swaps == 0 {
		t.Error("nothing was swapped: the test shows nothing")
	}
}
