package proofs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

func d(s string) digest.Digest { return digest.FromString(s) }

func TestProofs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new/folder/proven")
	for i := range 3 {
		p := Open(path)
		for j := range i {
			if !p.Has(d(fmt.Sprint(j)), d("blob"), 4) {
				t.Errorf("%d: proof %d is lost", i, j)
			}
		}
		if p.Has(d(fmt.Sprint(i)), d("blob"), 4) || p.Has(d("0"), d("other"), 4) || p.Has(d("0"), d("blob"), 5) || p.Has(d("blob"), d("0"), 4) {
			t.Errorf("%d: there are unexpected proofs", i)
		}
		p.Add(d(fmt.Sprint(i)), d("blob"), 4)
		if err := p.Save(); err != nil || !p.Has(d(fmt.Sprint(i)), d("blob"), 4) {
			t.Errorf("%d: %v", i, err)
		}
	}
	var none *Proofs
	none.Add(d("0"), d("blob"), 4)
	if none.Has(d("0"), d("blob"), 4) || none.Save() != nil {
		t.Error("a nil record has a proof")
	}
}

// A proof of entries is not a proof of a blob, and vice versa. Proofs are saved only once.
func TestEntries(t *testing.T) {
	path := filepath.Join(t.TempDir(), "proven")
	p := Open(path)
	p.AddEntries(d("layer"), d("entries"))
	p.Add(d("layer"), d("blob"), 4)
	for range 2 {
		if err := p.Save(); err != nil {
			t.Fatal(err)
		}
	}
	again := Open(path)
	if !again.HasEntries(d("layer"), d("entries")) || !again.Has(d("layer"), d("blob"), 4) {
		t.Error("a proof is lost")
	}
	if got := again.EntriesOf(d("layer")); got != d("entries") || again.EntriesOf(d("entries")) != "" {
		t.Errorf("the entries are %q", got)
	}
	for _, size := range []int64{0, 4} {
		if again.Has(d("layer"), d("entries"), size) {
			t.Error("entries are a blob")
		}
	}
	if again.HasEntries(d("layer"), d("blob")) || again.HasEntries(d("entries"), d("layer")) || again.HasEntries(d("other"), d("entries")) {
		t.Error("there are unexpected proofs")
	}
	if data, err := os.ReadFile(path); err != nil || strings.Count(string(data), "\n") != 2 {
		t.Errorf("the record is %q, %v", data, err)
	}
	var none *Proofs
	none.AddEntries(d("layer"), d("entries"))
	if none.HasEntries(d("layer"), d("entries")) {
		t.Error("a nil record has a proof")
	}
}

// Records that others can write are ignored, and so are truncated lines.
func TestUntrustedRecord(t *testing.T) {
	text := d("0").Encoded() + "-" + d("blob").Encoded() + "-4"
	for name, plant := range map[string]func(path string) error{
		"writable by others": func(path string) error {
			if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
				return err
			}
			return os.Chmod(path, 0o622)
		},
		"writable by the group": func(path string) error {
			if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
				return err
			}
			return os.Chmod(path, 0o620)
		},
		"link": func(path string) error {
			if err := os.WriteFile(path+"2", []byte(text+"\n"), 0o600); err != nil {
				return err
			}
			return os.Symlink(path+"2", path)
		},
		"pipe":      func(path string) error { return unix.Mkfifo(path, 0o600) },
		"half":      func(path string) error { return os.WriteFile(path, []byte(text[:100]+"\n"+text[100:]), 0o600) },
		"more":      func(path string) error { return os.WriteFile(path, []byte(text+"x\n"), 0o600) },
		"not there": func(string) error { return nil },
	} {
		path := filepath.Join(t.TempDir(), "proven")
		if err := plant(path); err != nil {
			t.Fatal(err)
		}
		if Open(path).Has(d("0"), d("blob"), 4) {
			t.Errorf("%s: the record is trusted", name)
		}
	}
}

// The size of the record is limited, and the newest proofs are kept.
func TestBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "proven")
	const each = maxSize / 132 / 2
	for i := range 4 {
		p := Open(path)
		for j := range each {
			p.Add(d(fmt.Sprint(i)), d(fmt.Sprint(j)), 4)
		}
		if err := p.Save(); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Size() > maxSize {
			t.Errorf("it has %d bytes, %v", info.Size(), err)
		}
		if again := Open(path); !again.Has(d(fmt.Sprint(i)), d("0"), 4) || !again.Has(d(fmt.Sprint(i)), d(fmt.Sprint(each-1)), 4) {
			t.Error("the newest proof is missing")
		}
	}
}

func TestPath(t *testing.T) {
	home := t.TempDir()
	for _, test := range [][3]string{
		{"/state", home, "/state/chunkah/proven"}, {"", home, home + "/.local/state/chunkah/proven"},
		{"relative", home, home + "/.local/state/chunkah/proven"}, {"", "", ""}, {"", "relative", ""}, {"", home + "/none", ""},
	} {
		t.Setenv("XDG_STATE_HOME", test[0])
		t.Setenv("HOME", test[1])
		if got := Path(); got != test[2] {
			t.Errorf("%q: got %q", test, got)
		}
	}
}

// If anything other than a regular file is at the path of the record, it is replaced, but never
// written to. In another user's home, it could be a link to a device.
func TestSaveFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	path, pipe := filepath.Join(dir, "proven"), filepath.Join(dir, "pipe")
	if err := errors.Join(unix.Mkfifo(pipe, 0o600), os.Symlink(pipe, path)); err != nil {
		t.Fatal(err)
	}
	other, err := os.OpenFile(pipe, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	p := Open(path)
	p.Add(d("0"), d("blob"), 4)
	if err := p.Save(); err != nil || !Open(path).Has(d("0"), d("blob"), 4) {
		t.Errorf("not saved: %v", err)
	}
	if n, err := unix.Read(int(other.Fd()), make([]byte, 1)); n > 0 {
		t.Errorf("the pipe was written to: %d, %v", n, err)
	}
}

// A record of another user is ignored and replaced.
func TestForeignRecord(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to make a file of another user")
	}
	path := filepath.Join(t.TempDir(), "proven")
	text := d("0").Encoded() + "-" + d("blob").Encoded() + "-4\n"
	if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chown(path, 1000, 1000)); err != nil {
		t.Fatal(err)
	}
	p := Open(path)
	if p.Has(d("0"), d("blob"), 4) {
		t.Error("the record is trusted")
	}
	p.Add(d("1"), d("blob"), 4)
	if again := Open(path); p.Save() != nil || again.Has(d("0"), d("blob"), 4) {
		t.Error("the record is trusted")
	}
	if again := Open(path); !again.Has(d("1"), d("blob"), 4) || again.Has(d("0"), d("blob"), 4) {
		t.Error("the record was not replaced")
	}
}
