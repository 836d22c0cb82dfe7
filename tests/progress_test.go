package tests

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// waiting is an assigner that waits, so that the commands draw their progress a few times.
const waiting = "echo a word >&2; sleep 0.7; exec chunkah-assign"

// onScreen runs a command line on a terminal until it ends, and returns its output and the final
// lines of the screen.
func onScreen(t *testing.T, line, term string, columns int, press string) (written string, screen []string, status int) {
	t.Helper()
	if testing.Short() {
		t.Skip("a drawing takes its time")
	}
	dir := t.TempDir()
	if err := mkroot.Write(filepath.Join(dir, "root"), "file /usr/bin/tool size=3000000\nfile /etc/name text=x\n"); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", "-c", line)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "TERM="+term)
	x := onTerminal(t, cmd, columns)
	if press != "" {
		x.await("a drawing", func() bool { return strings.Contains(x.text(), "files") })
		x.tty.WriteString(press)
	}
	err := cmd.Wait()
	x.await("the end of the terminal", x.ended)
	status = cmd.ProcessState.ExitCode()
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		t.Fatal(err)
	}
	return x.text(), display(t, x.text()), status
}

// up is the only escape sequence in use. It moves the cursor up some lines and clears everything
// below.
var up = regexp.MustCompile("^\x1b\\[([0-9]+)A\x1b\\[J")

// display returns the final contents of a terminal.
func display(t *testing.T, text string) []string {
	t.Helper()
	lines := []string{""}
	for len(text) > 0 {
		if m := up.FindStringSubmatch(text); m != nil {
			n, _ := strconv.Atoi(m[1])
			if n >= len(lines) {
				t.Fatalf("%d lines up of %d", n, len(lines)-1)
			}
			lines = append(lines[:len(lines)-1-n], "")
			text = text[len(m[0]):]
			continue
		}
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == '\n':
			lines = append(lines, "")
		case r == 0x1b:
			t.Fatalf("an unknown escape sequence: %.20q", text)
		case r != '\r':
			lines[len(lines)-1] += string(r)
		}
		text = text[size:]
	}
	return lines[:len(lines)-1]
}

// drawn returns the lines that were drawn and removed.
func drawn(text string) []string {
	var list []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(up.ReplaceAllString(line, ""), "\r\n ")
		if line != "" && !strings.HasPrefix(line, "chunkah: ") && line != "a word" && line != "^C" {
			list = append(list, line)
		}
	}
	return list
}

const buildWaiting = "chunkah build --rootfs root --config-str '{}' -o out --assign '" + waiting + "'"

// On a terminal, a build draws its progress across the full width and removes it before the
// summary. Other messages remain visible.
func TestProgress(t *testing.T) {
	t.Parallel()
	for _, columns := range []int{120, 40, 12} {
		written, screen, status := onScreen(t, buildWaiting, "xterm", columns, "")
		lines := drawn(written)
		if status != 0 || len(lines) < 2 || !strings.Contains(strings.Join(lines, "\n"), "assign") {
			t.Errorf("%d columns: status %d, drawn: %q", columns, status, lines)
		}
		for _, l := range lines {
			if utf8.RuneCountInString(l) > columns {
				t.Errorf("%q is wider than %d columns", l, columns)
			}
		}
		if len(screen) < 4 || screen[0] != "a word" || !strings.HasPrefix(screen[1], "chunkah: wrote ") || !strings.HasPrefix(screen[3], "chunkah: took ") {
			t.Errorf("%d columns: in the end there is %q", columns, screen)
		}
		if strings.Contains(written, "m\x1b") || regexp.MustCompile("\x1b\\[[0-9;]*m").MatchString(written) {
			t.Errorf("there are colours: %q", written)
		}
	}
}

// The progress is also removed after SIGINT.
func TestProgressInterrupted(t *testing.T) {
	t.Parallel()
	written, screen, status := onScreen(t, "exec "+strings.Replace(buildWaiting, "0.7", "100", 1), "xterm", 100, "\x03")
	if want := 128 + int(syscall.SIGINT); status != want || len(drawn(written)) == 0 {
		t.Errorf("status %d, want %d; drawn: %q", status, want, drawn(written))
	}
	if text := strings.Join(screen, "\n"); !strings.HasSuffix(text, "chunkah: interrupted") || strings.Contains(text, " files") {
		t.Errorf("in the end there is %q", screen)
	}
}

// If progress cannot be drawn, the build prints milestones. If progress is turned off, the build
// prints nothing.
func TestProgressNotDrawn(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, line, term string
		lines            int // on the screen
	}{
		{"dumb terminal", buildWaiting, "dumb", 1 + 3 + 4},
		{"no terminal type", buildWaiting, "", 1 + 3 + 4},
		{"quiet", buildWaiting + " -q", "xterm", 1},
		{"standard error in a file", buildWaiting + " 2>log; wc -l <log", "xterm", 1},
		{"objects", buildWaiting + " --log json", "xterm", 1 + 4 + 1},
		{"a stage that answers there", "chunkah-scan root | (sleep 0.7; exec chunkah-assign --summary)", "xterm", 8},
		{"a stage that writes there", "chunkah-scan root | (sleep 0.7; exec chunkah-assign)", "xterm", 10},
		{"a plan that goes there", buildWaiting + " --plan -", "xterm", 5 + 5},
		{"a stage in a pipe", "chunkah-scan root | (sleep 0.7; chunkah-assign) | cat >stream", "xterm", 0},
	}
	for _, tt := range tests {
		written, screen, status := onScreen(t, tt.line, tt.term, 100, "")
		if status != 0 || len(screen) != tt.lines || strings.Contains(written, "\x1b") {
			t.Errorf("%s: status %d, %d lines: %q", tt.name, status, len(screen), written)
		}
	}
}

// Of the four commands in a pipe, only the last draws its progress.
func TestProgressInPipe(t *testing.T) {
	t.Parallel()
	const line = "chunkah-scan root | (sleep 0.7; exec chunkah-assign) | chunkah-pack | chunkah-write > out"
	written, screen, status := onScreen(t, line, "xterm", 100, "")
	lines := drawn(written)
	if status != 0 || len(screen) != 0 || len(lines) == 0 {
		t.Errorf("status %d, in the end %q, drawn %q", status, screen, lines)
	}
	for _, l := range lines {
		if !strings.HasPrefix(l, "write ") {
			t.Errorf("drawn: %q", l)
		}
	}
}

// The summary matches the image.
func TestSummary(t *testing.T) {
	clients.Need(t, "jq", "setfattr", "skopeo", "zcat")
	t.Parallel()
	dir := t.TempDir()
	const spec = "file /usr/bin/tool size=3000000 xattr:user.overlay.x=1\nfile /etc/name text=x\nfile /opt/a/x text=y\nfile /opt/b/y text=z\nfile /srv/secret text=x xattr:user.chunkah.skip=1\nsymlink /bin to=usr/bin\n"
	if err := mkroot.Write(filepath.Join(dir, "root"), spec); err != nil {
		t.Fatal(err)
	}
	run := func(line string) string {
		cmd := exec.Command("bash", "-o", "pipefail", "-c", line)
		cmd.Dir = dir
		return strings.TrimSpace(clients.Run(t, cmd))
	}
	run("chunkah build --rootfs root --compress gzip -o oci:image:a --log json 2>first")
	run("echo more >root/opt/a/x; chunkah build --rootfs root --compress gzip --previous oci:image:a -o oci:image:b --log json 2>second")
	for name, ref := range map[string]string{"first": "a", "second": "b"} {
		summary := "jq -s 'map(select(.manifest))[0]' " + name + " | jq -r "
		for field, truth := range map[string]string{
			".manifest":    "jq -r '.manifests[] | select(.annotations[\"org.opencontainers.image.ref.name\"] == \"" + ref + "\").digest' image/index.json",
			".layers":      "skopeo inspect --raw oci:image:" + ref + " | jq '.layers | length'",
			".blob_bytes":  "skopeo inspect --raw oci:image:" + ref + " | jq '[.layers[].size] | add'",
			".components":  "skopeo inspect --raw oci:image:" + ref + " | jq '[.layers[].annotations[\"org.chunkah.component\"] | split(\",\") | length] | add'",
			".bytes":       "for d in $(skopeo inspect --raw oci:image:" + ref + " | jq -r '.layers[].digest | sub(\":\"; \"/\")'); do zcat <image/blobs/$d; done | wc -c",
			".files":       "for d in $(skopeo inspect --raw oci:image:" + ref + " | jq -r '.layers[].digest | sub(\":\"; \"/\")'); do tar -tzf image/blobs/$d; done | grep -vc '/$'",
			".kept_layers": "echo 0",
		} {
			if got, want := run(summary+field), run(truth); got != want {
				t.Errorf("%s: %s is %s, want %s", name, field, got, want)
			}
		}
	}
	reused := run(`comm -12 <(skopeo inspect --raw oci:image:a | jq -r '.layers[] | .digest + " " + (.size | tostring)' | sort) ` +
		`<(skopeo inspect --raw oci:image:b | jq -r '.layers[] | .digest + " " + (.size | tostring)' | sort) | awk '{n++; b += $2} END {print n, b}'`)
	if got := run("jq -sr 'map(select(.manifest))[0] | \"\\(.reused_layers) \\(.reused_bytes)\"' second"); got != reused {
		t.Errorf("reused are %s, want %s", got, reused)
	}
	text := run("jq -r 'select(.manifest).msg' first")
	for _, want := range []string{"the xattr user.overlay.x of 1 file", "user.chunkah.skip", "took ", ": scan ", ", assign ", ", pack ", ", write "} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in %q", want, text)
		}
	}
}

// Commands that read an image draw their progress from the start, and remove it before they print
// their result.
func TestReadingProgress(t *testing.T) {
	t.Parallel()
	const made = "chunkah build -q --rootfs root --config-str '{}' --compress gzip -o image; "
	const slow = "(sleep 0.7; cat image) | "
	for line, want := range map[string]int{ // lines that stay on the screen
		"chunkah verify oci-archive:-": 0, "chunkah inspect oci-archive:-": 7, "chunkah diff --ignore-mtime root oci-archive:-": 0,
		"chunkah cat oci-archive:- /etc/name": 0, "chunkah extract oci-archive:- out": 0, "chunkah doctor oci-archive:- --ignore build-times >answer": 0,
		"chunkah build --from oci-archive:- -o other": 2, "chunkah sbom oci-archive:- >answer 2>/dev/null": 0,
	} {
		written, screen, status := onScreen(t, made+slow+line, "xterm", 100, "")
		if status != 0 || want > 0 && len(screen) < want || want == 0 && len(screen) > 1 {
			t.Errorf("%s: status %d, in the end there is %q", line, status, screen)
		}
		if got := drawn(written); strings.HasSuffix(line, "2>/dev/null") != !strings.HasPrefix(strings.Join(got, "\n"), "read ") {
			t.Errorf("%s: drawn %q", line, got)
		}
		for _, l := range screen {
			if strings.HasPrefix(l, "read ") {
				t.Errorf("%s: the progress stays: %q", line, screen)
			}
		}
	}
}
