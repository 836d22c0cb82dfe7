package inspect

import (
	"archive/tar"
	"testing"
)

func TestEntryType(t *testing.T) {
	for flag, want := range map[byte]string{
		tar.TypeReg: "file", tar.TypeGNUSparse: "file", tar.TypeDir: "dir", tar.TypeSymlink: "symlink",
		tar.TypeLink: "hardlink", tar.TypeChar: "char", tar.TypeBlock: "block", tar.TypeFifo: "fifo",
		typeWhiteout: "whiteout", typeOpaque: "opaque",
	} {
		if got := (&Entry{flag: flag}).Type(); got != want {
			t.Errorf("flag %q: got %q, want %q", flag, got, want)
		}
	}
}
