package tests

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// rewrite overwrites part of a file without changing its size.
func rewrite(t *testing.T, path string, at int64, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte(text), at)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// touchOpen sets the time of all files without an mtime clamp, as a rebuild of the root does.
func touchOpen(t *testing.T, root string, at time.Time) (touched int) {
	t.Helper()
	b := readBounds(t, stream(t, `chunkah-scan --skip-special-files "$ROOT" | chunkah-assign`, root))
	for path, component := range b.component {
		if _, packaged := b.clamp[component]; packaged {
			continue
		}
		for _, full := range []string{filepath.Join(root, path), filepath.Dir(filepath.Join(root, path))} {
			when := unix.NsecToTimeval(at.UnixNano())
			if err := unix.Lutimes(full, []unix.Timeval{when, when}); err != nil {
				t.Fatal(err)
			}
		}
		touched++
	}
	return touched
}

// layerComponents returns the layers' digests, and the components by digest.
func layerComponents(t *testing.T, archive string) (digests []string, components map[string][]string) {
	t.Helper()
	img := clients.ReadImage(t, archive)
	components = make(map[string][]string)
	for i, l := range img.Manifest.Layers {
		digest := l.Digest.String()
		var line struct {
			Layer struct{ Components []string }
		}
		if err := json.Unmarshal([]byte(img.Config.History[i].Comment), &line); err != nil {
			t.Fatal(err)
		}
		digests, components[digest] = append(digests, digest), line.Layer.Components
	}
	return digests, components
}

// changed returns the components of layers that are not in the first image.
func changed(t *testing.T, before, now string) (list []string) {
	t.Helper()
	had, _ := layerComponents(t, before)
	digests, components := layerComponents(t, now)
	for _, d := range digests {
		if !slices.Contains(had, d) {
			list = append(list, components[d]...)
		}
	}
	return list
}

// appRoot makes a root in which many components contain files without an mtime clamp, with links
// between these files.
func appRoot(t *testing.T) string {
	t.Helper()
	var spec strings.Builder
	for i := range 12 {
		fmt.Fprintf(&spec, "file /srv/c%02d/data size=%d mtime=1700000000 xattr:user.component=c%02d\n", i, 20_000+1000*i, i)
		fmt.Fprintf(&spec, "file /srv/c%02d/conf text=c%02d mtime=1710000000 xattr:user.component=c%02d\n", i, i, i)
	}
	spec.WriteString("file /etc/passwd text=root mtime=1720000000\nlink /srv/again to=/srv/c03/data\nsymlink /srv/link to=c03 mtime=1720000001\n" +
		"file /srv/empty mtime=1720000002\ndir /srv/none\n")
	return mkroot.Make(t, spec.String())
}

// now returns the time at which test number i builds its root.
func now(i int) time.Time { return time.Unix(1_750_000_000+int64(i)*86_400, 0) }

// A rebuilt root with the same contents results in the same layers, regardless of the current time,
// the source date and the times of files. A changed byte in one file changes only the layer of that
// file.
func TestRebuildKeepsLayers(t *testing.T) {
	clients.Need(t, "setfattr")
	for _, test := range []struct {
		name   string
		epochs [2]string // source dates of the first build and of the other builds
		args   []string
	}{
		{"no source date", [2]string{"", ""}, nil},
		{"a source date that moves", [2]string{"1760000000", "1760604800"}, nil},
		{"a source date before all", [2]string{"1600000000", "1600086400"}, nil},
		{"from none to a later one", [2]string{"", "1800000000"}, nil},
		{"layers of a bounded size", [2]string{"1760000000", "1760604800"}, []string{"--max-layer-size", "60kB"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := copyRoot(t, appRoot(t))
			args := append([]string{"--max", "24"}, test.args...)
			t.Setenv("SOURCE_DATE_EPOCH", test.epochs[0])
			first := build(t, root, args...)
			last := first
			t.Setenv("SOURCE_DATE_EPOCH", test.epochs[1])
			for i := range 10 {
				touchOpen(t, root, now(i))
				last = build(t, root, append(args, "--previous", last)...)
				if list := changed(t, first, last); len(list) > 0 {
					t.Fatalf("build %d changed the layers of %q", i+2, list)
				}
			}
			sameBytes(t, last, pipeWith(t, root, args, last))
			touchOpen(t, root, now(11))
			rewrite(t, root+"/srv/c05/data", 7, "!")
			list := changed(t, first, build(t, root, append(args, "--previous", last)...))
			if !slices.Equal(list, []string{"xattr/c05"}) {
				t.Errorf("one byte changed the layers of %q", list)
			}
			if list := changed(t, first, build(t, root, append(args, "--previous", last, "--fresh-times")...)); len(list) < 12 {
				t.Errorf("--fresh-times changed the layers of %q", list)
			}
		})
	}
}

// pipeWith builds an image with a pipeline, options for pack, and the previous image.
func pipeWith(t *testing.T, root string, args []string, previous string) string {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "out")
	cmd := exec.Command("bash", "-o", "pipefail", "-c",
		`chunkah-scan --format msgpack "$ROOT" | chunkah-assign | chunkah-pack "${@:3}" --previous "$2" | chunkah-write --config-str {} -o "$1"`,
		"-", archive, previous)
	cmd.Args = append(cmd.Args, args...)
	cmd.Env = append(os.Environ(), "ROOT="+root)
	clients.Run(t, cmd)
	return archive
}

// The record of times is preserved when images are stored and copied.
func TestRebuildFromCopies(t *testing.T) {
	clients.Need(t, "skopeo", "setfattr")
	root := copyRoot(t, appRoot(t))
	first := build(t, root, "--max", "6")
	touchOpen(t, root, now(1))
	keeps := func(t *testing.T, previous string) {
		t.Helper()
		if list := changed(t, first, build(t, root, "--max", "6", "--previous", previous)); len(list) > 0 {
			t.Errorf("with --previous %s the layers of %q changed", previous, list)
		}
	}
	dir := t.TempDir()
	t.Run("plan", func(t *testing.T) {
		build(t, root, "--max", "6", "--previous", first, "--plan", dir+"/plan")
		keeps(t, dir+"/plan")
	})
	t.Run("layout", func(t *testing.T) {
		clients.SkopeoCopy(t, "oci-archive:"+first, "oci:"+dir+"/layout:x")
		keeps(t, "oci:"+dir+"/layout:x")
	})
	t.Run("docker archive", func(t *testing.T) {
		clients.SkopeoCopy(t, "oci-archive:"+first, "docker-archive:"+dir+"/docker.tar:localhost/x:1")
		keeps(t, "docker-archive:"+dir+"/docker.tar")
	})
	t.Run("registry", func(t *testing.T) {
		host := clients.NewRegistry(t, clients.RegistryOptions{})
		clients.Run(t, exec.Command("skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", "oci-archive:"+first, "docker://"+host+"/app:1"))
		keeps(t, "docker://"+host+"/app:1")
		e := clients.NewEngine(t)
		e.Pull(host + "/app:1")
		for _, kind := range []string{"oci-archive", "docker-archive"} {
			saved := filepath.Join(dir, kind)
			e.Podman("save", "--quiet", "--format", kind, "--output", saved, host+"/app:1")
			keeps(t, kind+":"+saved)
		}
	})
	t.Run("podman", func(t *testing.T) {
		e := clients.NewEngine(t)
		e.Podman("save", "--quiet", "--format", "oci-archive", "--output", dir+"/saved", e.Load(first))
		keeps(t, dir+"/saved")
	})
}

// If a root of packages is rebuilt, only the layer with the package database changes, even if users
// have added files to the root.
func TestRebuildOfPackages(t *testing.T) {
	root := copyRoot(t, rpmRoot(t))
	if err := os.MkdirAll(root+"/usr/local", 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := os.WriteFile(fmt.Sprintf("%s/usr/local/file%d", root, i), []byte("of a user"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	first := build(t, root)
	if touchOpen(t, root, now(1)) == 0 {
		t.Fatal("nothing was touched")
	}
	const userVersion = 60 // a field of the database's header
	rewrite(t, root+"/usr/lib/sysimage/rpm/rpmdb.sqlite", userVersion, "\x00\x00\x00\x07")
	if list := changed(t, first, build(t, root, "--previous", first)); !slices.Equal(list, []string{"rpm/.database"}) {
		t.Errorf("the layers of %q changed", list)
	}
}

// If a Debian system is rebuilt a week later, with another source date, other times, and a cache
// with other bytes but the same size, only the layer of that cache changes.
func TestRebuildOfDebian(t *testing.T) {
	root := copyRoot(t, debianRoot(t))
	args := []string{"--skip-special-files"}
	t.Setenv("SOURCE_DATE_EPOCH", "1500000000") // older than most packages
	first := build(t, root, args...)
	t.Setenv("SOURCE_DATE_EPOCH", "1500604800")
	if n := touchOpen(t, root, now(1)); n < 100 {
		t.Fatalf("%d files were touched", n)
	}
	again := build(t, root, append(args, "--previous", first)...)
	if list := changed(t, first, again); len(list) > 0 {
		t.Errorf("the layers of %q changed", list)
	}
	touchOpen(t, root, now(2))
	rewrite(t, root+"/etc/ld.so.cache", 0, "!")
	list := changed(t, first, build(t, root, append(args, "--previous", again)...))
	if !slices.Contains(list, "chunkah/unclaimed") || slices.Contains(list, "dpkg/.database") || len(list) > 2 {
		t.Errorf("the layers of %q changed", list)
	}
}
