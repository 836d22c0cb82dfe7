package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"chunkah/format"
)

func TestHint(t *testing.T) {
	_, notFound := exec.LookPath("no-such-command-at-all")
	tests := []struct {
		err  error
		uid  int
		want string
	}{
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, 1000, "podman unshare"},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EPERM}, 1000, "as root"},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EPERM}, 0, "SELinux"},
		{os.NewSyscallError("write", syscall.ENOSPC), 0, "--spool"},
		{syscall.EDQUOT, 0, "--spool"},
		{syscall.EROFS, 0, "-o"},
		{syscall.EMFILE, 0, "ulimit -n"},
		{syscall.ENOTDIR, 0, "oci-archive:FILE"},
		{format.ErrTruncated, 0, "see its error message"},
		{notFound, 0, "use its full path"},
		{syscall.ENOENT, 0, ""},
		{errors.New("permission denied"), 0, ""},
	}
	for _, tt := range tests {
		got := hint(fmt.Errorf("doing it: %w", tt.err), tt.uid)
		if !strings.Contains(got, tt.want) || (tt.want == "") != (got == "") {
			t.Errorf("%v: got %q, want %q", tt.err, got, tt.want)
		}
	}
}
