package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"chunkah/tests/clients"
)

// Parallel builds share the layers that they add. Builds that fail, are killed or are interrupted
// do not remove layers of the other builds, and leave nothing behind.
func TestToStorageInParallel(t *testing.T) {
	clients.Need(t, "root", "podman")
	e := clients.NewEngine(t)
	paths := partMap(t)
	same := grainedRoot(t)
	other := copyRoot(t, same)
	if err := os.WriteFile(other+"/usr/part23/more", []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	command := func(name, root string, more ...string) *exec.Cmd {
		args := []string{"build", "-q", "--rootfs", root, "--map", paths, "--config-str", "{}", "-o", placeIn(e, "overlay", name)}
		return exec.Command("chunkah", append(args, more...)...)
	}
	for round := range 4 {
		said := map[*exec.Cmd]*strings.Builder{}
		begin := func(cmd *exec.Cmd) *exec.Cmd {
			said[cmd] = &strings.Builder{}
			cmd.Stderr = said[cmd]
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			return cmd
		}
		// The builds that end early add layers first.
		early := []*exec.Cmd{begin(command("early:1", same)), begin(command("early:2", other))}
		for len(layerDirs(t, e)) < 2+4*round && !exited(early[0]) {
			time.Sleep(time.Millisecond)
		}
		late := []*exec.Cmd{begin(command("app:1", same)), begin(command("app:2", other, "--verify")), begin(command("app:3", same))}
		for len(layerDirs(t, e)) < 4+4*round && !exited(early[0]) {
			time.Sleep(time.Millisecond)
		}
		for i, signal := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL} {
			_ = early[i].Process.Signal(signal) // it can have ended already
		}
		for _, cmd := range early {
			_ = cmd.Wait() // it was killed
		}
		for _, cmd := range late {
			if err := cmd.Wait(); err != nil {
				t.Fatalf("round %d: %v: %s", round, err, said[cmd])
			}
		}
		mounts, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil || strings.Contains(string(mounts), e.Store()) {
			t.Errorf("round %d: the storage is still mounted, %v", round, err)
		}
		for i, root := range []string{same, other, same} {
			place := placeIn(e, "overlay", fmt.Sprintf("app:%d", i+1))
			clients.Run(t, exec.Command("chunkah", "verify", place))
			clients.Run(t, exec.Command("chunkah", "diff", "--ignore-mtime", place, root))
		}
		storedLayers(t, e)
		for _, pattern := range []string{filepath.Dir(e.Store()) + "/.chunkah-*", e.Store() + "/tempdirs/*"} {
			if left, err := filepath.Glob(pattern); err != nil || len(left) > 0 {
				t.Errorf("round %d: there is %q, %v", round, left, err)
			}
		}
		e.Podman("rmi", "--all", "--force")
		if left := layerDirs(t, e); len(left) > 0 {
			t.Fatalf("round %d: after podman rmi --all there is %q", round, left)
		}
	}
}
