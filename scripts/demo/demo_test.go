package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("makes the files of 138 packages")
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/knqyf263/go-rpmdb").Output()
	if err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(strings.TrimSpace(string(out)), "pkg/testdata/fedora35/rpmdb.sqlite")
	dir := t.TempDir()
	if err := run([]string{database, dir, "openssl-libs"}); err != nil {
		t.Fatal(err)
	}
	root, updated := filepath.Join(dir, "root"), filepath.Join(dir, "updated")
	for _, name := range []string{databasePlace, "usr/bin/bash", "usr/lib64/libc.so.6", "opt/hello/hello"} {
		if fi, err := os.Stat(filepath.Join(root, name)); err != nil || fi.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if target, err := os.Readlink(filepath.Join(root, "bin")); err != nil || target != "usr/bin" {
		t.Errorf("/bin leads to %q, %v", target, err)
	}
	for name, want := range map[string]bool{databasePlace: true, "usr/lib64/libssl.so.1.1.1l": true, "usr/bin/bash": false, "opt/hello/hello": false} {
		before, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Error(err)
		}
		after, err := os.ReadFile(filepath.Join(updated, name))
		if err != nil {
			t.Error(err)
		}
		if changed := !bytes.Equal(before, after); changed != want {
			t.Errorf("%s changed: %v, want %v", name, changed, want)
		}
	}
	if err := run([]string{database, dir, "nothing"}); err == nil || !strings.Contains(err.Error(), `"nothing"`) {
		t.Errorf("a package that is not there: %v", err)
	}
}

func TestDamagedHeader(t *testing.T) {
	for _, blob := range []string{"", "\x00\x00\x00\x01\x00\x00\x00\x00", "\xff\xff\xff\xff\xff\xff\xff\xff"} {
		if _, err := parseHeader([]byte(blob)); err == nil {
			t.Errorf("%q was taken", blob)
		}
	}
}
