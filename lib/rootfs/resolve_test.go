package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
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
			{"/lib/../bin", "/usr/bin", nil}, // where the link leads, not where it lies
			{"/../../usr/lib", "/usr/lib", nil},
			{"/up/lib", "/usr/lib", nil},
			{"/top/top/top/usr", "/usr", nil},
			{"/out", "", fs.ErrNotExist}, // looked for inside the tree
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

// What a path resolves to has no links, so that it can be opened.
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
