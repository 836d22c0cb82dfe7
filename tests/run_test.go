package tests

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"chunkah/tests/clients"
)

// A result is the outcome of a command.
type result struct {
	stdout, stderr string
	code           int // the exit status, or -1 if a signal ended the command
}

// start runs a command until it ends, successfully or not.
func start(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &stdout
	}
	cmd.Stderr = &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", strings.Join(cmd.Args, " "), err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// fails runs a command that must fail with the given status. Standard error must consist of one or
// more lines that begin with the command's name. fails returns these lines.
func fails(t *testing.T, code int, cmd *exec.Cmd) string {
	t.Helper()
	res := start(t, cmd)
	if res.code != code {
		t.Errorf("%s: status %d, want %d\n%s", strings.Join(cmd.Args, " "), res.code, code, res.stderr)
	}
	if !strings.HasPrefix(res.stderr, filepath.Base(cmd.Args[0])+": ") {
		t.Errorf("%s: standard error does not name the command:\n%s", strings.Join(cmd.Args, " "), res.stderr)
	}
	return res.stderr
}

// build runs chunkah build on the root and returns the archive.
func build(t *testing.T, root string, args ...string) string {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "out.ociarchive")
	args = append([]string{"build", "--rootfs", root, "-o", archive}, args...)
	clients.Run(t, exec.Command("chunkah", args...))
	return archive
}

// pipe runs the four commands in a pipe, with arguments for scan and write, and returns the
// archive.
func pipe(t *testing.T, root string, scan, write []string) string {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "out.ociarchive")
	cmd := exec.Command("bash", "-o", "pipefail", "-c",
		`chunkah-scan "$ROOT" `+strings.Join(scan, " ")+
			` | chunkah-assign | chunkah-pack --max 64 | chunkah-write `+strings.Join(write, " ")+` >"$ARCHIVE"`)
	cmd.Env = append(os.Environ(), "ROOT="+root, "ARCHIVE="+archive)
	clients.Run(t, cmd)
	return archive
}

// stream runs the stages up to the given stage and returns the stream.
func stream(t *testing.T, stages string, root string) string {
	t.Helper()
	cmd := exec.Command("bash", "-o", "pipefail", "-c", stages)
	cmd.Env = append(os.Environ(), "ROOT="+root)
	return clients.Run(t, cmd)
}

// sameBytes checks that two files are equal.
func sameBytes(t *testing.T, want, got string) {
	t.Helper()
	f, err := os.Open(want)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	g, err := os.Open(got)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	x, y := make([]byte, 1<<20), make([]byte, 1<<20)
	for offset := int64(0); ; offset += int64(len(x)) {
		n, errF := io.ReadFull(f, x)
		m, errG := io.ReadFull(g, y)
		if !bytes.Equal(x[:n], y[:m]) {
			t.Errorf("%s and %s differ in the MiB at %d", want, got, offset)
			return
		}
		if errF != nil || errG != nil {
			return
		}
	}
}

// empty checks that a directory is empty.
func empty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("%s was left behind", filepath.Join(dir, e.Name()))
	}
}
