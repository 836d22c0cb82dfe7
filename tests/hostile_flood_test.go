package tests

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A flood is a generated stream that does not fit into memory. It consists of a start, a repeated
// middle, and an end.
type flood struct {
	name          string
	start, middle string
	size          int64 // number of bytes in the middle
	end           string
	want          string
	// memory is the amount of memory, in KiB, that a stage may use in addition to idleMemory.
	memory int
}

const (
	kib = 1 << 10
	gib = 1 << 30

	jsonHead    = `{"header":{}}`
	msgpackHead = "\x81\xa6header\x80"
	msgpackFile = msgpackHead + "\x81\xa4file\x82\xa4type\xa4file"
)

// text32 returns the start of a msgpack string of the given length, and list32 returns the start of
// a list.
func text32(n uint32) string { return "\xdb" + string(binary.BigEndian.AppendUint32(nil, n)) }
func bin32(n uint32) string  { return "\xc6" + string(binary.BigEndian.AppendUint32(nil, n)) }
func list32(n uint32) string { return "\xdd" + string(binary.BigEndian.AppendUint32(nil, n)) }
func map32(n uint32) string  { return "\xdf" + string(binary.BigEndian.AppendUint32(nil, n)) }

// most is the largest length in msgpack.
const most = 1<<32 - 1

var floods = []flood{
	{"a path of 4 GiB", jsonHead + `{"file":{"type":"file","path":"/`, "a", 4 * gib, `"}}{"end":{}}`, "record 2: path", 32 * kib},
	{"a path of 4 GiB in raw bytes", jsonHead + `{"file":{"type":"file","path":"/a","path_raw":"L2Fh`, "YWFh", 4 * gib, `"}}{"end":{}}`, "record 2: path_raw", 32 * kib},
	{"a path of 4 GiB in escapes", jsonHead + `{"file":{"type":"file","path":"/`, `\u0061`, 4 * gib, `"}}{"end":{}}`, "record 2: path", 96 * kib},
	{"a path of ten million names", jsonHead + `{"file":{"type":"file","path":"/a`, "/a", 20_000_000, `"}}{"end":{}}`, "record 2: path", 32 * kib},
	{"a target of 4 GiB", jsonHead + `{"file":{"path":"/a","type":"symlink","target":"`, "a", 4 * gib, `"}}{"end":{}}`, "record 2: target", 32 * kib},
	{"a root of 4 GiB", `{"header":{"root":"/`, "a", 4 * gib, `"}}{"end":{}}`, "record 1: root", 32 * kib},
	{"a key of 4 GiB", jsonHead + `{"file":{"`, "a", 4 * gib, `":1}}{"end":{}}`, "record 2:", 32 * kib},
	{"a number of 4 GiB", jsonHead + `{"file":{"path":"/a","size":1`, "0", 4 * gib, `}}{"end":{}}`, "record 2:", 256 * kib},
	{"ten million components of a file", jsonHead + `{"file":{"path":"/a","components":["x"`, `,"x"`, 40_000_000, `]}}{"end":{}}`, "record 2: components", 384 * kib},
	{"ten million component records", jsonHead, `{"component":{"name":"x"}}`, 260_000_000, `{"end":{}}`, "record", 512 * kib},
	{"ten million sources", `{"header":{"sources":["dir:/"`, `,"dir:/"`, 80_000_000, `]}}{"end":{}}`, "record 1:", 384 * kib},
	{"a value of 4 GiB", jsonHead + `{"file":{"path":"/a","xattrs":{"user.x":"YWFh`, "YWFh", 4 * gib, `"}}}{"end":{}}`, "record 2:", 32 * kib},
	{"maps in maps", jsonHead + `{"file":`, `{"path":`, 4 * gib, "", "record 2:", 32 * kib},
	{"lists in lists", jsonHead + `{"file":{"components":`, "[", 4 * gib, "", "record 2:", 32 * kib},

	{"msgpack: a path of 4 GiB", msgpackFile + "\xa4path" + text32(most) + "/", "a", 4 * gib, "", "record 2: path", 32 * kib},
	{"msgpack: a path of 4 GiB in raw bytes", msgpackFile + "\xa8path_raw" + bin32(most) + "/", "a", 4 * gib, "", "record 2: path_raw", 32 * kib},
	{"msgpack: a path of 4 GiB that is not there", msgpackFile + "\xa4path" + text32(most), "", 0, "", "record 2: path", 32 * kib},
	{"msgpack: a path of ten million names", msgpackFile + "\xa4path" + text32(20_000_000), "/a", 20_000_000, "\x81\xa3end\x80", "record 2: path", 32 * kib},
	{"msgpack: a key of 4 GiB", msgpackHead + "\x81\xa4file\x81" + text32(most), "a", 4 * gib, "", "record 2:", 32 * kib},
	{"msgpack: ten million components of a file", msgpackFile + "\xaacomponents" + list32(10_000_000), "\xa1x", 20_000_000, "\x81\xa3end\x80", "record 2: components", 32 * kib},
	{"msgpack: four billion components that are not there", msgpackFile + "\xaacomponents" + list32(most), "", 0, "", "record 2: components", 32 * kib},
	{"msgpack: four billion fields", msgpackHead + "\x81\xa4file" + map32(most), "\xa4path\xa2/a", 4 * gib, "", "record 2:", 32 * kib},
	{"msgpack: four billion kinds", msgpackHead + map32(most), "\xa4file\x80", 4 * gib, "", "record 2:", 32 * kib},
	{"msgpack: four billion xattrs", msgpackFile + "\xa6xattrs" + map32(most), "\xa1x\xc4\x00", 4 * gib, "", "record 2: xattrs", 32 * kib},
	{"msgpack: ten million component records", msgpackHead, "\x81\xa9component\x81\xa4name\xa1x", 190_000_000, "\x81\xa3end\x80", "record", 512 * kib},
	{"msgpack: lists in lists", msgpackFile + "\xaacomponents", "\x91", 4 * gib, "", "record 2:", 32 * kib},
}

// Regardless of the real or declared size of a stream, a stage uses little memory, stops reading as
// soon as it detects the fault, and leaves no files.
func TestHostileFloods(t *testing.T) {
	if testing.Short() {
		t.Skip("takes in hundreds of megabytes")
	}
	for _, f := range floods {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			for _, stage := range []string{"assign", "pack", "write"} {
				f.try(t, stage)
			}
		})
	}
}

// idleMemory is the memory of an idle stage, in KiB.
const idleMemory = 32 * kib

func (f *flood) try(t *testing.T, stage string) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("chunkah-" + stage)
	if stage == "write" {
		cmd.Args = append(cmd.Args, "-o", "out")
	}
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	times := max(1, 64*kib/max(1, len(f.middle)))
	in := io.MultiReader(strings.NewReader(f.start),
		io.LimitReader(&repeated{block: bytes.Repeat([]byte(f.middle), times)}, f.size), strings.NewReader(f.end))
	peak, fed, err := runMeasured(t, cmd, in)
	t.Logf("%s: %d KiB, %d bytes taken, %v: %.150s", stage, peak, fed, err, stderr.String())
	if cmd.ProcessState.ExitCode() != 1 || stdout.Len() > 0 || !strings.Contains(stderr.String(), f.want) {
		t.Errorf("%s: %v, %d bytes, %.1000q; want %q", stage, err, stdout.Len(), stderr.String(), f.want)
	}
	if peak > idleMemory+f.memory {
		t.Errorf("%s: took %d KiB, %d at most", stage, peak, idleMemory+f.memory)
	}
	if stderr.Len() > 8*kib {
		t.Errorf("%s: says %d bytes", stage, stderr.Len())
	}
	empty(t, dir)
}

// runMeasured runs a command to its end and returns its peak memory, in KiB, and how many bytes it
// read. A command that hangs is killed.
func runMeasured(t *testing.T, cmd *exec.Cmd, in io.Reader) (peak int, fed int64, err error) {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hangs := time.AfterFunc(deadline, func() { _ = cmd.Process.Kill() })
	defer hangs.Stop()
	sent := make(chan int64)
	go func() {
		n, _ := io.Copy(stdin, in) // the command can stop reading at any time
		_ = stdin.Close()
		sent <- n
	}()
	stop := make(chan struct{})
	seen := make(chan int)
	go func() {
		most := 0
		for {
			most = max(most, highWater(cmd.Process.Pid))
			select {
			case <-stop:
				seen <- most
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	fed = <-sent
	err = cmd.Wait()
	close(stop)
	return <-seen, fed, err
}

// repeated is a reader that returns the same bytes repeatedly.
type repeated struct {
	block []byte
	at    int
}

func (r *repeated) Read(p []byte) (int, error) {
	n := copy(p, r.block[r.at:])
	r.at = (r.at + n) % max(1, len(r.block))
	return n, nil
}

// Every stage refuses the test vectors of faulty streams.
func TestHostileVectors(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs a stage 400 times; format's own tests read each vector")
	}
	names, err := filepath.Glob("../format/testdata/v1/*.vec")
	if err != nil || len(names) < 100 {
		t.Fatalf("%d vectors, %v", len(names), err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		header, stream, _ := bytes.Cut(data, []byte("\n\n"))
		if bytes.Contains(header, []byte("expect: ok")) {
			continue
		}
		if bytes.Contains(header, []byte("encoding: msgpack")) {
			var raw []byte
			if _, err := fmt.Sscanf(strings.Join(strings.Fields(string(stream)), ""), "%x", &raw); err != nil && len(stream) > 0 {
				t.Fatalf("%s: %v", name, err)
			}
			stream = raw
		}
		for _, stage := range []string{"assign", "pack", "write"} {
			dir := t.TempDir()
			cmd := exec.Command("timeout", "--signal=KILL", fmt.Sprint(deadline.Seconds()), "chunkah-"+stage)
			if stage == "write" {
				cmd.Args = append(cmd.Args, "-o", "out")
			}
			cmd.Dir, cmd.Stdin = dir, bytes.NewReader(stream)
			res := start(t, cmd)
			empty(t, dir)
			said, _, _ := strings.Cut(res.stderr, "chunkah-"+stage+": hint: ")
			if res.code != 1 || res.stdout != "" || !strings.HasPrefix(said, "chunkah-"+stage+": ") || strings.Count(said, "\n") != 1 {
				t.Errorf("%s, %s: status %d, %d bytes, %q", filepath.Base(name), stage, res.code, len(res.stdout), res.stderr)
			}
		}
	}
}
