package treediff

import (
	"os"
	"strings"
	"testing"

	"chunkah/tests/mkroot"
)

const base = `
dir /d mode=0755
file /d/f text=abc mode=0644
link /d/same to=/d/f
file /d/g text=abc
symlink /s to=d
`

// Each case changes one thing in base.
func TestCompare(t *testing.T) {
	tests := []struct{ name, from, to, want string }{
		{"equal", "", "", ""},
		{"missing", "symlink /s to=d", "", `"/s": only in the first tree (symlink)`},
		{"type", "symlink /s to=d", "file /s", `"/s": type: symlink and file`},
		{"target", "to=d\n", "to=e\n", `"/s": target: "d" and "e"`},
		{"mode", "mode=0644", "mode=0640", `"/d/f": mode: 0644 and 0640`},
		{"setuid", "mode=0644", "mode=4644", `"/d/f": mode: 0644 and 4644`},
		{"bytes", "/d/g text=abc", "/d/g text=abd", `"/d/g": contents differ (3 and 3 bytes)`},
		{"length", "/d/g text=abc", "/d/g text=abcd", `"/d/g": contents differ (3 and 4 bytes)`},
		{"hard link", "link /d/same to=/d/f", "file /d/same text=abc mode=0644", `"/d/f": names of the inode: ["/d/f" "/d/same"] and ["/d/f"]`},
		{"xattr", "/d/g", `/d/g xattr:user.n="a\x00b"`, `"/d/g": xattr user.n: none and "a\x00b"`},
		{"mtime", "/d/g", `/d/g mtime=1`, `"/d/g": mtime: 1700000000 and 1`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := mkroot.Make(t, base), mkroot.Make(t, strings.Replace(base, tt.from, tt.to, 1))
			diffs, err := Compare(a, b, Options{Mtimes: true})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(diffs, "\n"); got != tt.want && !strings.HasPrefix(got, tt.want+"\n") {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if tt.want == "" && len(diffs) > 0 {
				t.Errorf("got %q", diffs)
			}
		})
	}
}

func TestCompareOwnersAndDevices(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may change owners and make devices")
	}
	a := mkroot.Make(t, "file /f uid=5 gid=6\nchar /c dev=1:3\n")
	b := mkroot.Make(t, "file /f uid=7 gid=6\nchar /c dev=1:5\n")
	diffs, err := Compare(a, b, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := "\"/c\": device: 1:3 and 1:5\n\"/f\": uid: 5 and 7"
	if got := strings.Join(diffs, "\n"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestCompareLeavesOut(t *testing.T) {
	a := mkroot.Make(t, "file /a xattr:user.empty=\nfile /skip/x\n")
	b := mkroot.Make(t, "file /a mtime=3\n")
	opt := Options{
		SkipPath:  func(path string) bool { return path == "/skip" },
		SkipXattr: func(_, _ string, value []byte) bool { return len(value) == 0 },
	}
	diffs, err := Compare(a, b, opt)
	if err != nil || len(diffs) > 0 {
		t.Errorf("got %q, %v", diffs, err)
	}
}
