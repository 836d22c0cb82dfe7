package tests

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
	"chunkah/tests/rpmroot"
)

// bounds contains the expected mtimes in an image of a root. They are calculated from the stream
// according to the documented rules, without chunkah-pack's code.
type bounds struct {
	component map[string]string // component of each path that is not a directory
	clamp     map[string]int64  // of a component
	newest    map[string]int64  // mtime of each component's newest regular file
}

// readBounds reads an assigned stream.
func readBounds(t *testing.T, records string) bounds {
	t.Helper()
	b := bounds{map[string]string{}, map[string]int64{}, map[string]int64{}}
	for line := range strings.SplitSeq(strings.TrimSpace(records), "\n") {
		var r struct {
			File *struct {
				Path       string
				PathRaw    []byte `json:"path_raw"`
				Type       string
				Mtime      int64
				Components []string
			}
			Component *struct {
				Name       string
				MtimeClamp *int64 `json:"mtime_clamp"`
			}
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if c := r.Component; c != nil && c.MtimeClamp != nil {
			b.clamp[c.Name] = *c.MtimeClamp
		}
		f := r.File
		if f == nil || f.Type == "dir" {
			continue
		}
		if f.PathRaw != nil {
			f.Path = string(f.PathRaw)
		}
		name := "chunkah/unclaimed"
		if len(f.Components) > 0 {
			name = f.Components[0]
		}
		b.component[f.Path] = name
		if f.Type == "file" {
			if newest, ok := b.newest[name]; !ok || f.Mtime > newest {
				b.newest[name] = f.Mtime
			}
		}
	}
	return b
}

// of returns the expected mtime of a path with the given mtime in the source. For a package's file,
// it is at most the package's build time. Otherwise it is the mtime of the component's newest file.
func (b bounds) of(path string, mtime int64) int64 {
	name := b.component[path]
	if clamp, ok := b.clamp[name]; ok {
		return min(mtime, clamp)
	}
	return b.newest[name]
}

// The time of every file of a package is its mtime in the source or the package's build time,
// whichever is earlier. Every other file has the time of the newest file in its component. No
// directory is newer than its files.
func TestTimesAreClamped(t *testing.T) {
	clients.Need(t, "umoci", "skopeo")
	root := copyRoot(t, rpmRoot(t))
	// One file was edited after the packages were built, and the other is older than the packages.
	touch(t, root+"/usr/share/shared/extra.conf", 1750000000)
	touch(t, root+"/usr/share/elsewhere/moved.dat", 1500000000)
	b := readBounds(t, stream(t, `chunkah-scan "$ROOT" | chunkah-assign`, root))
	for name, want := range rpmroot.BuildTime {
		if got := b.clamp["rpm/"+name]; got != want {
			t.Errorf("rpm/%s is clamped to %d, want its build time %d", name, got, want)
		}
	}
	if got := b.component["/usr/share/elsewhere/moved.dat"]; got != "rpm/extra" {
		t.Errorf("the moved file is in %q", got)
	}
	tree := clients.UmociUnpack(t, build(t, root))
	newest := int64(0)
	for name := range b.newest {
		newest = max(newest, b.clamp[name], b.newest[name])
	}
	wrong := 0
	walkTimes(t, tree, func(path string, dir bool, mtime int64) {
		want := b.of(path, mtimeOf(t, filepath.Join(root, path)))
		if (dir && mtime > newest) || (!dir && mtime != want) {
			if wrong++; wrong <= 20 {
				t.Errorf("%q (%s) has the mtime %d, want %d", path, b.component[path], mtime, want)
			}
		}
	})
}

func TestTimesWithSourceDateEpoch(t *testing.T) {
	clients.Need(t, "umoci", "skopeo")
	const epoch = 1655000000
	root := rpmRoot(t)
	t.Setenv("SOURCE_DATE_EPOCH", strconv.Itoa(epoch))
	archive := build(t, root)
	b := readBounds(t, stream(t, `chunkah-scan "$ROOT" | chunkah-assign`, root))
	later := 0
	walkTimes(t, clients.UmociUnpack(t, archive), func(path string, dir bool, mtime int64) {
		clamp, packaged := b.clamp[b.component[path]]
		switch {
		case dir:
		case packaged && mtime > clamp:
			t.Errorf("%q has the mtime %d, and its package %d", path, mtime, clamp)
		case packaged && mtime > epoch:
			later++
		case !packaged && mtime != min(b.newest[b.component[path]], epoch):
			t.Errorf("%q has the mtime %d, which is not SOURCE_DATE_EPOCH", path, mtime)
		}
	})
	if later == 0 {
		t.Error("no package has the time of its build, which is after SOURCE_DATE_EPOCH")
	}
	if created := clients.ReadImage(t, archive).Config.Created; created == nil || created.Unix() != epoch {
		t.Errorf("the image was created %v", created)
	}
	sameBytes(t, archive, pipe(t, root, nil, nil))

	// The option takes precedence over the variable.
	t.Setenv("SOURCE_DATE_EPOCH", "1")
	sameBytes(t, archive, build(t, root, "--source-date-epoch", strconv.Itoa(epoch)))
}

// Without a source date, an image has the time of its newest regular file.
func TestTimesWithoutAClock(t *testing.T) {
	root := mkroot.Make(t, "file /a mtime=1600000000\nfile /b mtime=1610000000 text=b\nsymlink /l to=a mtime=1700000000\n")
	img := clients.ReadImage(t, build(t, root))
	if img.Config.Created == nil || img.Config.Created.Unix() != 1610000000 {
		t.Errorf("the image was created %v, want %v", img.Config.Created, time.Unix(1610000000, 0).UTC())
	}
	img = clients.ReadImage(t, build(t, root, "--config-str", `{"created":"2001-09-09T01:46:40Z","config":{}}`))
	if img.Config.Created == nil || img.Config.Created.Unix() != 1000000000 {
		t.Errorf("the image was created %v, want the config's time", img.Config.Created)
	}
	res := start(t, exec.Command("chunkah", "build", "-v", "--rootfs", root, "-o", "/dev/null"))
	if !strings.Contains(res.stderr, "newest") {
		t.Errorf("-v does not say which time was used:\n%s", res.stderr)
	}
}

func touch(t *testing.T, path string, mtime int64) {
	t.Helper()
	if err := os.Chtimes(path, time.Unix(mtime, 0), time.Unix(mtime, 0)); err != nil {
		t.Fatal(err)
	}
}

func mtimeOf(t *testing.T, path string) int64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Mtim.Sec
}

// walkTimes calls f with every absolute path in the tree.
func walkTimes(t *testing.T, tree string, f func(path string, dir bool, mtime int64)) {
	t.Helper()
	err := filepath.WalkDir(tree, func(full string, d fs.DirEntry, err error) error {
		if err == nil {
			f("/"+strings.TrimPrefix(strings.TrimPrefix(full, tree), "/"), d.IsDir(), mtimeOf(t, full))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// In a pipe, the output of the last run can be inside the root. The time and contents of this
// output have no effect on the component of the files next to it.
func TestOutputInsideTheRootOfAPipe(t *testing.T) {
	root := smallRoot(t)
	for i := range 5 {
		path := filepath.Join(root, fmt.Sprintf("file%d", i))
		if err := os.WriteFile(path, []byte(path), 0o644); err != nil {
			t.Fatal(err)
		}
		touch(t, path, int64(1_600_000_000+i))
	}
	touch(t, root, 1_600_000_000)
	out := filepath.Join(root, "out.oci")
	layers := func() string {
		t.Helper()
		clients.Run(t, exec.Command("bash", "-o", "pipefail", "-c", `chunkah-scan "$0" | chunkah-assign | chunkah-pack | chunkah-write --config-str '{}' -o "$0/out.oci"`, root))
		var digests []string
		for _, d := range clients.ReadImage(t, out).Manifest.Layers {
			digests = append(digests, d.Digest.String())
		}
		return strings.Join(digests, "\n")
	}
	first := layers()
	touch(t, out, 2_000_000_000) // newer than everything else
	if second := layers(); second != first {
		t.Errorf("the output changes other layers:\n%s\nwant\n%s", second, first)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1600000002")
	want := build(t, copyRoot(t, root), "--prune", "/out.oci")
	digests := clients.ReadImage(t, want).Manifest.Layers
	if got := layers(); !strings.Contains(got, digests[len(digests)-1].Digest.String()) {
		t.Errorf("with a source date the layers are\n%s", got)
	}
}
