package inject

import (
	"os/exec"
	"runtime"
	"testing"
)

// A thread can have a child process that was started by another test, which waits for it on a
// different thread.
func TestForeignChild(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if hasChildren() {
		t.Fatal("the thread has a child before the test starts one")
	}
	foreign := exec.Command("cat")
	in, err := foreign.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := foreign.Start(); err != nil {
		t.Fatal(err)
	}
	if !hasChildren() {
		t.Error("the child is not seen")
	}
	in.Close()
	if err := foreign.Wait(); err != nil {
		t.Error(err)
	}
	if hasChildren() {
		t.Error("the child is still seen")
	}
}
