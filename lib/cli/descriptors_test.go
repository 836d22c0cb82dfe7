package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// descriptors lists the open files of this process, except those of the Go runtime's poller.
func descriptors(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	var open []string
	for _, e := range entries {
		path, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && !strings.HasPrefix(path, "anon_inode:") && path != fmt.Sprintf("/proc/%d/fd", os.Getpid()) {
			open = append(open, path)
		}
	}
	slices.Sort(open)
	return open
}

// runHere runs a command line in this process with files as standard input and output.
func runHere(t *testing.T, line, stdin, stdout string) error {
	t.Helper()
	args := strings.Fields(line)
	env := &Env{Name: args[0]}
	for file, open := range map[**os.File]func() (*os.File, error){
		&env.Stdin:  func() (*os.File, error) { return os.Open(stdin) },
		&env.Stdout: func() (*os.File, error) { return os.Create(stdout) },
		&env.Stderr: func() (*os.File, error) { return os.OpenFile(os.DevNull, os.O_WRONLY, 0) },
	} {
		f, err := open()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		*file = f
	}
	cmd, err := parse(env, args[1:])
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return cmd.run(t.Context(), env)
}

// A command must close all files that it opens, even if it fails. The test runs each stage, and
// each kind of output and source, with a cache and a previous image. If each layer or file leaked a
// descriptor, large builds would fail.
func TestDescriptorsAreClosed(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", filepath.Join(dir, "state"))
	at := func(name string) string { return filepath.Join(dir, name) }
	var err error
	for i := range 5 {
		path := at(fmt.Sprintf("root/d%d/file", i))
		err = errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(strings.Repeat(fmt.Sprint(i), 1000)), 0o644))
	}
	if err = errors.Join(err, os.WriteFile(at("map"), []byte(`{"/d0/**": "a", "/d1/**": "b", "/d2/**": "c", "/d3/**": "d"}`), 0o644)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		line, in, out string
		fails         bool
	}{
		{line: "chunkah-scan $/root", out: "scan"},
		{line: "chunkah-assign --map $/map", in: "scan", out: "assign"},
		{line: "chunkah-pack --plan $/plan", in: "assign", out: "pack"},
		{line: "chunkah-write", in: "pack", out: "archive"},
		{line: "chunkah-write -o oci:$/written --compress zstd --cache $/cache", in: "pack"},
		{line: "chunkah build --rootfs $/root --map $/map -o $/plain.oci"},
		{line: "chunkah build --rootfs $/root --map $/map --compress gzip -o $/gzip.oci"},
		{line: "chunkah build --rootfs $/root --map $/map --compress gzip -o docker-archive:$/docker.tar --previous $/gzip.oci"},
		{line: "chunkah build --rootfs $/root --map $/map --compress zstd -o oci:$/layout --cache $/cache --previous auto --plan $/plan --metrics $/metrics"},
		{line: "chunkah build --rootfs $/root --map $/map --compress zstd -o oci:$/layout:again --verify"},
		{line: "chunkah build --from oci-archive:$/plain.oci --from dir:$/root -o $/both.oci"},
		{line: "chunkah build --from oci:$/layout:again --keep-base 1 -o $/kept.oci"},
		{line: "chunkah build --rootfs $/root --map $/map -o $/none/out.oci", fails: true},
		{line: "chunkah build --rootfs $/root --map $/map -o /dev/full", fails: true},
		{line: "chunkah-write -o $/failed.oci", in: "scan", fails: true},
		{line: "chunkah build --from oci-archive:$/map -o $/failed.oci", fails: true},
		{line: "chunkah diff --ignore-mtime $/root oci-archive:$/plain.oci"},
		{line: "chunkah verify oci:$/layout:again"},
		{line: "chunkah inspect --files 0 oci-archive:$/gzip.oci", out: "inspect"},
		{line: "chunkah index -o oci:$/index oci-archive:$/gzip.oci"},
	} {
		in, out := os.DevNull, os.DevNull
		if test.in != "" {
			in = at(test.in)
		}
		if test.out != "" {
			out = at(test.out)
		}
		line := strings.ReplaceAll(test.line, "$", dir)
		before := descriptors(t)
		for range 2 { // the second run finds the output of the first
			if err := runHere(t, line, in, out); (err != nil) != test.fails {
				t.Errorf("%s: got %v", test.line, err)
			}
		}
		if after := descriptors(t); !slices.Equal(before, after) {
			t.Errorf("%s: open before are %q, after %q", test.line, before, after)
		}
	}
}
