package temp

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A symlink of another user in a world-writable directory must not lead to a device or pipe of this
// user, even without the kernel's protection (fs.protected_symlinks). A symlink of this user to a
// file is replaced, and the file is not.
func TestForeignLink(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to create a link of another user")
	}
	dir, own := t.TempDir(), t.TempDir()
	file, pipe := filepath.Join(own, "file"), filepath.Join(own, "pipe")
	if err := errors.Join(os.Chmod(dir, 0o777|os.ModeSticky), os.WriteFile(file, []byte("mine"), 0o600), unix.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(pipe, os.O_RDWR, 0) // so that writing does not block
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for _, test := range []struct {
		target  string
		owner   int
		refused bool
	}{{pipe, 1000, true}, {pipe, 0, false}, {file, 1000, true}, {file, 0, false}} {
		link := filepath.Join(dir, "link")
		if err := errors.Join(os.Symlink(test.target, link), os.Lchown(link, test.owner, test.owner)); err != nil {
			t.Fatal(err)
		}
		err := Replace(link, []byte("text"))
		if refused := err != nil && strings.Contains(err.Error(), "symlink of another user"); refused != test.refused || err != nil && !refused {
			t.Errorf("%+v: got %v", test, err)
		}
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); string(got) != "mine" || err != nil {
		t.Errorf("the file is %q, %v", got, err)
	}
}

// An open file of a process is written to: /dev/stdout stays a symlink.
func TestOpenFile(t *testing.T) {
	dir := t.TempDir()
	f, err := os.OpenFile(filepath.Join(dir, "file"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	link := filepath.Join(dir, "link")
	if _, err := f.WriteString("before, "); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Symlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), link), Replace(link, []byte("after"))); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v, %v", info, err)
	}
	if got, err := os.ReadFile(f.Name()); string(got) != "before, after" || err != nil {
		t.Errorf("the file is %q, %v", got, err)
	}
}
