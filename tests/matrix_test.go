package tests

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"chunkah/tests/clients"
	"chunkah/tests/pinnedroot"
)

// A machine is a platform on which chunkah runs, with its inputs.
type machine struct {
	root     string
	source   string // archive with an image of the root
	previous string // archive with the previous image
	bin      string // directory with the commands; empty for the commands built by these tests
	uid      uint32
}

// An output is one of the images with pinned digests.
type output struct {
	name   string
	source string // source options for scan and build
	pack   string // options of pack
	write  string // options of write
}

const fromRoot, fromImage = `"$ROOT"`, `"oci-archive:$SOURCE"`

var outputs = []output{
	{name: "none", source: fromRoot},
	{name: "gzip", source: fromRoot, write: "--compress gzip"},
	{name: "zstd", source: fromRoot, write: "--compress zstd"},
	{name: "docker-archive", source: fromRoot, write: "-o docker-archive:- --compress gzip --level 1"},
	{name: "previous", source: fromRoot, pack: `--previous "$PREVIOUS"`, write: "--compress gzip"},
	{name: "from", source: fromImage, write: "--compress zstd --level 1"},
}

// run makes an output with a bash script and returns the archive. The script can call two functions
// that write the archive to standard output: build, whose arguments are options for chunkah build,
// and stages, whose arguments are the options for each of the four commands.
func (m machine) run(t *testing.T, o output, script string) string {
	t.Helper()
	dir := t.TempDir()
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	// By default an image is for the machine's architecture. There are fewer layers than
	// components, so that components have to be grouped.
	functions := `set -eo pipefail
build() { chunkah build ` + strings.NewReplacer(fromRoot, "--rootfs "+fromRoot, fromImage, "--from "+fromImage).Replace(o.source) +
		` --keep-special-files --max 10 ` + o.pack + ` ` + o.write + ` --arch amd64 "$@"; }
stages() { chunkah-scan --keep-special-files ` + o.source + ` $1 | chunkah-assign $2 | chunkah-pack --max 10 ` + o.pack + ` $3 |
	chunkah-write ` + o.write + ` ` + o.pack + ` --arch amd64 $4; }
`
	cmd := exec.Command("bash", "-c", functions+script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "ROOT="+m.root, "SOURCE="+m.source, "PREVIOUS="+m.previous, "TMPDIR="+dir)
	if m.bin != "" {
		cmd.Env = append(cmd.Env, "PATH="+m.bin+":"+os.Getenv("PATH"))
	}
	if m.uid != 0 {
		for _, path := range []string{m.root, m.source, m.previous, filepath.Join(scratch, "bin", "chunkah"), out.Name()} {
			openAbove(t, path)
		}
		if err := os.Chown(dir, int(m.uid), int(m.uid)); err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: m.uid, Gid: m.uid}}
	}
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = out, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, &said)
	}
	return out.Name()
}

// settings lists, as scripts, settings that must not affect the image that a machine builds.
var settings = []struct{ name, script string }{
	{"threads 1", `build -T 1`},
	{"threads 2", `build -T 2`},
	{"threads 8", `build -T 8`},
	{"GOMAXPROCS 1", `GOMAXPROCS=1 build`},
	{"GOMAXPROCS 8", `GOMAXPROCS=8 build -T 3`},
	{"umask 000", `umask 000; build`},
	{"umask 777", `umask 777; build`},
	{"TZ", `TZ=Asia/Kathmandu build`},
	{"LANG", `LANG=tr_TR.UTF-8 LC_ALL=tr_TR.UTF-8 build`},
	{"another working folder", `cd /; build`},
	{"in the root", `cd "$ROOT"; ROOT=. build`},
	{"another HOME", `HOME=/nonexistent USER=nobody build`},
	{"no HOME", `unset HOME USER LOGNAME LANG LC_ALL; build`},
	{"into a pipe", `build | cat`},
	{"stages in JSON", `stages`},
	{"stages in msgpack", `stages '--format msgpack'`},
	{"stages in both, one thread", `stages '--format msgpack' '--format json' '--format msgpack' '-T 1'`},
	{"a command in a stage's place", `build --assign chunkah-assign`},
	{"cold cache", `build --cache cache`},
	{"warm cache", `build --cache cache -T 8 >cold; build --cache cache -T 1; cmp cold out`},
}

// An image has the same digest on each machine and with each setting, no matter how it is made.
func TestLaw3Matrix(t *testing.T) {
	t.Parallel()
	pins := readPins(t)
	here := thisMachine(t)
	go buildArm64() // start early, because this takes a while
	t.Cleanup(func() { _, _ = buildArm64() })
	same := func(t *testing.T, m machine, o output, script string) {
		t.Helper()
		if got := fileDigest(t, m.run(t, o, script)); got != pins[o.name] {
			t.Errorf("%s: %s: %s, want %s", o.name, script, got, pins[o.name])
		}
	}
	for _, s := range settings {
		t.Run(s.name, func(t *testing.T) {
			for _, o := range outputs {
				same(t, here, o, s.script)
			}
		})
	}
	user := here
	user.uid = pinnedroot.Reader
	machines := map[string]machine{"another user": user}
	roots := otherRoots(t, here.root)
	for name, root := range roots {
		m := here
		m.root = root
		machines["on "+name] = m
	}
	ordersDiffer(t, roots)
	for _, name := range slices.Sorted(maps.Keys(machines)) {
		t.Run(name, func(t *testing.T) {
			for _, o := range outputs {
				same(t, machines[name], o, "build")
			}
		})
	}
	t.Run("arm64", func(t *testing.T) {
		arm := here
		arm.bin = emulated(t, "qemu-aarch64-static", arm64Program(t))
		for _, o := range outputs {
			same(t, arm, o, "build")
		}
		same(t, arm, outputs[0], "stages '--format msgpack'")
		chunked := output{name: "chunked", source: fromRoot, write: "--compress zstd:chunked"}
		want := fileDigest(t, here.run(t, chunked, "build"))
		for _, threads := range []string{"1", "2", "8"} {
			if got := fileDigest(t, arm.run(t, chunked, "build -T "+threads)); got != want {
				t.Errorf("zstd:chunked with %s threads: %s, want %s", threads, got, want)
			}
		}
	})
}

// thisMachine returns the machine on which the pinned digests are checked.
func thisMachine(t *testing.T) machine {
	t.Helper()
	m := machine{root: pinnedRoot(t)}
	m.source = build(t, m.root, "--keep-special-files", "--compress", "gzip", "--arch", "amd64")
	m.previous = build(t, m.root, "--keep-special-files", "--compress", "gzip", "--arch", "amd64", "--max", "7")
	return m
}

var pinnedCache cachedRoot

// pinnedRoot returns the root that package pinnedroot makes. Tests must not change it.
func pinnedRoot(t *testing.T) string {
	t.Helper()
	clients.Need(t, "root")
	return pinnedCache.get(t, "pinned", pinnedroot.Write)
}

// otherRoots returns copies of the pinned root on other file systems.
func otherRoots(t *testing.T, root string) map[string]string {
	t.Helper()
	roots := map[string]string{"overlayfs": overlay(t, root), "a copy": copyTo(t, root, filesystem(t, "ext4")+"/root")}
	for _, kind := range []string{"ext4", "xfs", "tmpfs"} {
		dir := filesystem(t, kind) + "/root"
		if err := pinnedroot.Write(dir); err != nil {
			t.Fatalf("making the root on %s: %v", kind, err)
		}
		roots[kind] = dir
	}
	return roots
}

// ordersDiffer checks that no two roots have the names of pinnedroot.Many in the same order on
// disk. If the order were the same, these roots would not test the effect of the order.
func ordersDiffer(t *testing.T, roots map[string]string) {
	t.Helper()
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(roots)) {
		order := strings.Join(diskOrder(t, roots[name]+pinnedroot.Many), " ")
		if other, ok := seen[order]; ok {
			t.Errorf("the names are in one order on %s and %s", other, name)
		}
		seen[order] = name
	}
}

// diskOrder returns the names in a directory in the file system's order.
func diskOrder(t *testing.T, dir string) []string {
	t.Helper()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// emulated makes a directory of commands for another processor, each of which calls the emulator
// itself, so that nothing is registered with the kernel.
func emulated(t *testing.T, emulator, program string) (dir string) {
	t.Helper()
	clients.Need(t, emulator)
	dir = t.TempDir()
	for _, name := range []string{"", "scan", "assign", "pack", "write"} {
		script := fmt.Sprintf("#!/bin/sh\nexec %s %s %s \"$@\"\n", emulator, program, name)
		path := filepath.Join(dir, strings.TrimSuffix("chunkah-"+name, "-"))
		if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// buildArm64 builds chunkah for arm64, once for all tests: the go command does not detect that
// another go command is compiling the same packages.
var buildArm64 = sync.OnceValues(func() (string, error) {
	program := filepath.Join(scratch, "chunkah-arm64")
	cmd := exec.Command("go", "build", "-trimpath", "-o", program, "../cmd/chunkah")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH=arm64")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building for arm64: %w\n%s", err, out)
	}
	return program, nil
})

// arm64Program returns the path of chunkah for arm64.
func arm64Program(t *testing.T) string {
	t.Helper()
	program, err := buildArm64()
	if err != nil {
		t.Fatal(err)
	}
	return program
}
