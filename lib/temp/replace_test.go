package temp

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	for _, text := range []string{"first, and longer", "second"} {
		if err := Replace(name, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(name); err != nil || string(got) != text {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if info, err := os.Stat(name); err != nil || info.Mode() != 0o644 {
		t.Errorf("got %v, %v", info, err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"folder", "nosuch/file"} {
		if err := Replace(filepath.Join(dir, name), []byte("x")); err == nil {
			t.Errorf("%s was written", name)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if err := Replace("/dev/null", []byte("x")); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat("/dev/null"); err != nil || info.Mode().IsRegular() {
		t.Error("the device was replaced")
	}
}

func TestPending(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	if err := Replace(name, []byte("old")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		end  func(*Pending) error
		want string
	}{
		{func(p *Pending) error { p.Discard(); return nil }, "old"},
		{func(p *Pending) error { defer p.Discard(); return p.Commit() }, "new"},
	} {
		p, err := Prepare(name, strings.NewReader("new"))
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(name); string(got) != "old" {
			t.Errorf("the file is already %q", got)
		}
		if err := tt.end(p); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(name); string(got) != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if _, err := Prepare("/dev/full", strings.NewReader("x")); err == nil {
		t.Error("a full device was written")
	}
	var none *Pending
	none.Discard()
	if err := none.Commit(); err != nil {
		t.Error(err)
	}
}
