package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"chunkah/tests/mkroot"
)

// If a file changes after the scan, the build fails and names its path, because an image must not
// combine files from different times.
func TestChangedBetweenScanAndWrite(t *testing.T) {
	const text = "file /d/f size=3000\nfile /d/g text=g\nsymlink /l to=d\nlink /h to=/d/f\n"
	tests := []struct{ name, script, path string }{
		{"grown", "echo more >>d/f", "/d/f"},
		{"shrunk", "truncate -s 5 d/f", "/d/f"},
		{"gone", "rm d/g", "/d/g"},
		{"now a directory", "rm d/g; mkdir d/g", "/d/g"},
		{"now a symlink", "rm d/g; ln -s /etc/passwd d/g", "/d/g"},
		{"now a pipe", "rm d/g; mkfifo d/g", "/d/g"},
		{"in a directory that is now a symlink", "mv d e; ln -s e d", "/d"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := mkroot.Make(t, text)
			packed := stream(t, `chunkah-scan "$ROOT" | chunkah-assign | chunkah-pack`, root)
			change := exec.Command("sh", "-ec", tt.script)
			change.Dir = root
			if out, err := change.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			for _, output := range []string{"out", "oci:layout"} {
				dir := t.TempDir()
				cmd := exec.Command("chunkah-write", "-o", output)
				cmd.Dir, cmd.Stdin = dir, strings.NewReader(packed)
				if stderr := fails(t, 1, cmd); !strings.Contains(stderr, tt.path) {
					t.Errorf("%s is not named in %q", tt.path, stderr)
				}
				empty(t, dir)
			}
		})
	}
}

// If another process keeps writing to a file, the image contains the file as it was at one moment,
// or the build fails and names the file.
func TestChangedWhileRead(t *testing.T) {
	root := mkroot.Make(t, "file /log size=20000000\nfile /a text=a\n")
	f, err := os.OpenFile(filepath.Join(root, "log"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				_, _ = f.WriteString("line\n")
			}
		}
	}()
	dir := t.TempDir()
	stderr := fails(t, 1, exec.Command("chunkah", "build", "--rootfs", root, "-o", dir+"/out"))
	close(stop)
	<-done
	if !strings.Contains(stderr, "/log") {
		t.Errorf("/log is not named in %q", stderr)
	}
	empty(t, dir)
}
