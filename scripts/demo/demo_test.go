package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestMakeRoot(t *testing.T) {
	if testing.Short() {
		t.Skip("makes the files of 138 packages")
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/knqyf263/go-rpmdb").Output()
	if err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(strings.TrimSpace(string(out)), "pkg/testdata/fedora35/rpmdb.sqlite")
	dir := filepath.Join(t.TempDir(), "root")
	if err := makeRoot(database, dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{databasePlace, "usr/bin/bash", "usr/lib64/libc.so.6", "opt/hello/hello"} {
		if fi, err := os.Stat(filepath.Join(dir, name)); err != nil || fi.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if target, err := os.Readlink(filepath.Join(dir, "bin")); err != nil || target != "usr/bin" {
		t.Errorf("/bin leads to %q, %v", target, err)
	}
}

func TestDamagedHeader(t *testing.T) {
	for _, blob := range []string{"", "\x00\x00\x00\x01\x00\x00\x00\x00", "\xff\xff\xff\xff\xff\xff\xff\xff"} {
		if _, err := parseHeader([]byte(blob)); err == nil {
			t.Errorf("%q was taken", blob)
		}
	}
}
