package temp

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
)

// A spool has no name, is readable only by its owner, and can be read again.
func TestSpool(t *testing.T) {
	for _, where := range []string{"option", "environment"} {
		dir := t.TempDir()
		t.Setenv("TMPDIR", dir)
		named := dir
		if where == "environment" {
			named = ""
		}
		f, err := CreateSpool(named)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := SpoolWriter(f).Write([]byte("hello")); err != nil {
			t.Error(err)
		}
		got := make([]byte, 5)
		if _, err := f.ReadAt(got, 0); err != nil || string(got) != "hello" {
			t.Errorf("%s: got %q, %v", where, got, err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); st.Nlink != 0 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: it has %d names and the mode %v", where, st.Nlink, info.Mode())
		}
		if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
			t.Errorf("%s: the directory contains %v, %v", where, names, err)
		}
	}
}

// The default is not /tmp, which can be in memory.
func TestDefault(t *testing.T) {
	t.Setenv("TMPDIR", "")
	f, err := CreateSpool("")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Name() != "/var/tmp" && !strings.HasPrefix(f.Name(), "/var/tmp/") {
		t.Errorf("it is in %q", f.Name())
	}
}

// Errors name the directory.
func TestFaults(t *testing.T) {
	if _, err := CreateSpool("/nonexistent"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), `creating a temporary file for layer data in "/nonexistent": no such file`) {
		t.Errorf("no directory: %v", err)
	}
	// In this file system, neither unnamed files nor other files can be created.
	if f, err := CreateSpool("/proc/self"); err == nil {
		f.Close()
		t.Error("a file was created in /proc")
	}
	dir := t.TempDir()
	f, err := CreateSpool(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := SpoolWriter(f).Write([]byte("x")); !errors.Is(err, fs.ErrClosed) || !strings.Contains(err.Error(), "writing temporary layer data in ") || strings.Count(err.Error(), dir) != 1 {
		t.Errorf("writing: %v", err)
	}
}
