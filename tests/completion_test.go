package tests

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"chunkah/tests/clients"
)

// terminal is a command on its own terminal.
type terminal struct {
	t    *testing.T
	tty  *os.File
	cmd  *exec.Cmd
	mu   sync.Mutex
	seen bytes.Buffer
	over bool // all processes have closed the terminal
}

// onTerminal starts a command on a terminal with the given number of columns.
func onTerminal(t *testing.T, cmd *exec.Cmd, columns int) *terminal {
	t.Helper()
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: uint16(columns)})
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, tty: tty, cmd: cmd}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = tty.Close()
	})
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := tty.Read(buffer)
			x.mu.Lock()
			x.seen.Write(buffer[:n])
			x.over = err != nil
			x.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return x
}

func (x *terminal) text() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.seen.String()
}

func (x *terminal) ended() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.over
}

// patience limits the wait for text on a terminal.
const patience = 2 * time.Minute

// await waits until ok is true.
func (x *terminal) await(what string, ok func() bool) {
	x.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			x.t.Fatalf("waiting for %s: the terminal shows %q", what, x.text())
		}
	}
}

// With the completions from make install, Tab completes commands, options, option values and paths
// after oci: in bash, zsh and fish.
func TestCompletionInShells(t *testing.T) {
	clients.Need(t, "bash", "zsh", "fish", "make")
	prefix := installation(t)
	shells := []struct {
		name, prompt string
		command      []string
		setup        string
	}{
		{"bash", "ready> ", []string{"bash", "--norc", "--noprofile", "-i"},
			"source " + prefix + "/share/bash-completion/completions/chunkah\nPS1='rea''dy> '\n"},
		{"zsh", "ready> ", []string{"zsh", "-f", "-i"},
			"fpath=(" + prefix + "/share/zsh/site-functions $fpath); autoload -U compinit; compinit -D; PS1='rea''dy> '; unsetopt prompt_cr prompt_sp\n"},
		{"fish", "ready> ", []string{"fish", "--no-config", "-i"},
			"set -p fish_complete_path " + prefix + "/share/fish/vendor_completions.d; function fish_prompt; echo -n 'rea''dy> '; end\n"},
	}
	tests := []struct{ typed, want string }{
		{"chunkah buil\t", "build"},
		{"chunkah build --root\t", "build --rootfs"},
		{"chunkah build --rootfs lay\t", "build --rootfs layout/"},
		{"chunkah build --prune /x --output oci:lay\tx:1", "build --prune /x --output oci:layout/x:1"},
		{"chunkah build --output=oci:lay\t", "build --output=oci:layout/"},
		{"chunkah build -o docker-a\tarc\t", "build -o docker-archive:archive.tar"},
		{"chunkah build --compress gz\t", "build --compress gzip"},
		{"chunkah verify oci-archive:arc\t", "verify oci-archive:archive.tar"},
		{"chunkah-pack --max-layer-\t", "--max-layer-size"},
		{"chunkah-write --forma\t", "--forma"}, // not an option of this command
	}
	for _, shell := range shells {
		t.Run(shell.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "layout"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "archive.tar"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(shell.command[0], shell.command[1:]...)
			cmd.Dir = dir
			bin := recorders(t, filepath.Join(dir, "words"))
			cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "HOME="+dir, "TERM=xterm", "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir, "LC_ALL=C")
			x := onTerminal(t, cmd, 120)
			x.tty.WriteString(shell.setup)
			for i, tt := range tests {
				prompts := i + 1
				x.await("a prompt", func() bool { return strings.Count(x.text(), shell.prompt) >= prompts })
				x.tty.WriteString(tt.typed + "\n")
				var got []byte
				x.await(tt.want, func() bool {
					got, _ = os.ReadFile(filepath.Join(dir, "words"))
					return len(got) > 0
				})
				if line := strings.TrimSpace(string(got)); line != tt.want && line+"/" != tt.want { // zsh removes the slash again
					t.Errorf("%q became %q, want %q", tt.typed, got, tt.want)
				}
				os.Remove(filepath.Join(dir, "words"))
			}
		})
	}
}

// recorders is a directory of commands with chunkah's names that record their arguments.
func recorders(t *testing.T, file string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"chunkah", "chunkah-scan", "chunkah-assign", "chunkah-pack", "chunkah-write"} {
		script := "#!/bin/sh\necho \"$*\" > '" + file + ".new' && mv '" + file + ".new' '" + file + "'\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var installCache cachedRoot

// installation runs make install and returns its PREFIX.
func installation(t *testing.T) string {
	t.Helper()
	clients.Need(t, "make")
	return filepath.Join(installCache.get(t, "installation", func(dir string) error {
		cmd := exec.Command("make", "install", "PREFIX=/usr", "DESTDIR="+dir)
		cmd.Dir = ".."
		cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1700000000")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("make install: %w\n%s", err, out)
		}
		return nil
	}), "usr")
}
