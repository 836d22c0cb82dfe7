package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestResolve(t *testing.T) {
	outside := makeTree(t, "secret = outside")
	lines := []string{
		"usr/lib/x = x", "usr/bin/", "lib -> usr/lib", "bin -> /usr/bin", "usr/lib64 -> ../lib",
		"up -> ../../../../usr", "out -> " + outside, "dangling -> /none/x", "loop -> loop",
		"ping -> pong", "pong -> ping", "top -> /", "slashes -> //usr///lib/", "file -> lib/x",
		"throughfile -> lib/x/y", "dot -> ./usr/./lib", "backout -> usr/lib/../../bin",
		"chain0 -> usr",
	}
	for i := 1; i <= 41; i++ {
		lines = append(lines, fmt.Sprintf("chain%d -> chain%d", i, i-1))
	}
	dir := makeTree(t, lines...)
	eachWay(t, dir, func(t *testing.T, r *Root) {
		for _, test := range []struct {
			path, want string
			err        error
		}{
			{"/", "/", nil},
			{"", "/", nil},
			{"/usr/lib/x", "/usr/lib/x", nil},
			{"usr/lib/x", "/usr/lib/x", nil},
			{"/lib/x", "/usr/lib/x", nil},
			{"/lib", "/usr/lib", nil},
			{"/lib/", "/usr/lib", nil},
			{"/bin", "/usr/bin", nil},
			{"/usr/lib64/x", "/usr/lib/x", nil},
			{"/file", "/usr/lib/x", nil},
			{"/dot/x", "/usr/lib/x", nil},
			{"/slashes//x", "/usr/lib/x", nil},
			{"/backout", "/usr/bin", nil},
			{"/lib/../bin", "/usr/bin", nil}, // relative to the link's target
			{"/../../usr/lib", "/usr/lib", nil},
			{"/up/lib", "/usr/lib", nil},
			{"/top/top/top/usr", "/usr", nil},
			{"/out", "", fs.ErrNotExist}, // resolved inside the tree
			{"/out/secret", "", fs.ErrNotExist},
			{"/dangling", "", fs.ErrNotExist},
			{"/none", "", fs.ErrNotExist},
			{"/none/..", "", fs.ErrNotExist},
			{"/usr/lib/x/y", "", fs.ErrNotExist},
			{"/usr/lib/x/..", "", fs.ErrNotExist},
			{"/usr/lib/x/.", "", fs.ErrNotExist},
			{"/throughfile", "", fs.ErrNotExist},
			{"/loop", "", unix.ELOOP},
			{"/loop/x", "", unix.ELOOP},
			{"/ping", "", unix.ELOOP},
			{"/chain39/lib", "/usr/lib", nil}, // 40 links
			{"/chain40/lib", "", unix.ELOOP},
			{"/" + strings.Repeat("n", 256), "", unix.ENAMETOOLONG},
		} {
			got, err := r.Resolve(test.path)
			if got != test.want || !errors.Is(err, test.err) {
				t.Errorf("Resolve(%q) = %q, %v; want %q, %v", test.path, got, err, test.want, test.err)
			}
		}
	})
}

// Resolved paths contain no links, so that they can be opened.
func TestResolveLongPaths(t *testing.T) {
	dir := t.TempDir()
	deep := makeDeep(t, dir, 40, 255)
	if err := makeEntry(dir, "link -> "+deep[1:3*256]); err != nil {
		t.Fatal(err)
	}
	eachWay(t, dir, func(t *testing.T, r *Root) {
		got, err := r.Resolve("/link" + deep[3*256:] + "/f")
		if got != deep+"/f" || err != nil {
			t.Errorf("%d bytes, %v; want %d", len(got), err, len(deep)+2)
		}
	})
}

// Nested links cost no more than the length of their targets.
func TestResolveLinksThroughLinks(t *testing.T) {
	work := func(n int) int {
		r := NewResolver(func(dir, name string) (uint32, string, error) {
			i, err := strconv.Atoi(name)
			if dir != "/" || err != nil {
				return 0, "", fs.ErrNotExist
			}
			if i%30 == 0 {
				return unix.S_IFDIR, "", nil
			}
			return unix.S_IFLNK, strings.Repeat(strconv.Itoa(i-1)+"/../", 500) + strconv.Itoa(i-1), nil
		})
		for i := range n {
			// A path with too many links is refused, and costs no more than other paths.
			if got, err := r.Resolve("/" + strconv.Itoa(i)); err == nil && got != "/"+strconv.Itoa(i/30*30) || i%30 < 2 && err != nil {
				t.Fatalf("%d: %q, %v", i, got, err)
			}
		}
		return r.steps
	}
	if one, two := work(300), work(600); two > one*21/10 || one > 300*2000 {
		t.Errorf("%d steps for 300 links, %d for 600", one, two)
	}
}
