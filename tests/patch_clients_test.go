package tests

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// skopeo copies an image with patch layers to other formats and back. The copies contain the files
// of the root, and the next build keeps their layers.
func TestPatchLayersSurviveSkopeo(t *testing.T) {
	clients.Need(t, "root", "umoci", "skopeo", "setfattr")
	old, root, next := mkroot.Make(t, patchRoots[0]), mkroot.Make(t, patchRoots[1]), mkroot.Make(t, patchRoots[2])
	last := patched(t, root, build(t, old, "--config-str", "{}", "--keep-special-files"))
	for _, via := range []string{"docker-archive:" + filepath.Join(t.TempDir(), "tar") + ":localhost/patch:1", "dir:" + t.TempDir()} {
		copied := filepath.Join(t.TempDir(), "copied")
		clients.SkopeoCopy(t, "oci-archive:"+last, via)
		clients.SkopeoCopy(t, via, "oci-archive:"+copied)
		sameTree(t, root, copied)
		again := patched(t, next, copied)
		sameTree(t, next, again)
		before, kept := clients.ReadImage(t, copied), 0
		for _, l := range clients.ReadImage(t, again).Manifest.Layers {
			for _, b := range before.Manifest.Layers {
				if b.Digest == l.Digest {
					kept++
				}
			}
		}
		if kept == 0 {
			t.Errorf("%s: no layer of the copy was kept", via)
		}
	}
}

// python writes Python modules with the given times and compiles them.
func python(t *testing.T, root string, modules map[string]string, times map[string]int64) {
	t.Helper()
	app := filepath.Join(root, "app")
	if err := os.MkdirAll(app, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range modules {
		file, at := filepath.Join(app, name+".py"), time.Unix(times[name], 0)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	clients.Run(t, exec.Command("python3", "-m", "compileall", "-q", "--invalidation-mode", "timestamp", app))
}

// loadedCompiled returns the modules that Python loads from their compiled files.
func loadedCompiled(t *testing.T, root string, modules ...string) (list []string) {
	t.Helper()
	app := filepath.Join(root, "app")
	cmd := exec.Command("python3", "-B", "-v", "-c", "import "+strings.Join(modules, ", "))
	cmd.Env = append(os.Environ(), "PYTHONPATH="+app)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s\n%s", err, out)
	}
	for _, name := range modules {
		if strings.Contains(string(out), " matches "+filepath.Join(app, name+".py")+"\n") {
			list = append(list, name)
		}
	}
	return list
}

// Compiled Python stays valid in images with patch layers. Python compiles nothing when it starts,
// regardless of whether the source, the time or the compiled file has changed.
func TestPatchLayersKeepPythonValid(t *testing.T) {
	clients.Need(t, "root", "umoci", "python3")
	const rest = "dir / mode=0755\nfile /big size=900000\n"
	first, second := mkroot.Make(t, rest), mkroot.Make(t, rest)
	python(t, first, map[string]string{"same": "x = 1\n", "changed": "x = 1\n", "touched": "x = 1\n", "gone": "x = 1\n"},
		map[string]int64{"same": 1_600_000_000, "changed": 1_600_000_100, "touched": 1_600_000_200, "gone": 1_600_000_300})
	python(t, second, map[string]string{"same": "x = 1\n", "changed": "x = 2\n", "touched": "x = 1\n", "new": "x = 1\n"},
		map[string]int64{"same": 1_600_000_000, "changed": 1_650_000_100, "touched": 1_650_000_200, "new": 1_650_000_300})
	last := build(t, first, "--config-str", "{}")
	for _, root := range []string{second, first, second} {
		last = patched(t, root, last)
		tree := clients.UmociUnpack(t, last)
		want := []string{"same", "changed", "touched", "new"}
		if root == first {
			want[3] = "gone"
		}
		if got := loadedCompiled(t, tree, want...); !slices.Equal(got, want) {
			t.Errorf("valid are %q, want %q", got, want)
		}
		// If the time of a source file has changed, Python compiles the file again.
		if err := os.Chtimes(filepath.Join(tree, "app/same.py"), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		if got := loadedCompiled(t, tree, "same"); len(got) > 0 {
			t.Errorf("valid are %q with another time of the source", got)
		}
	}
}

// The files of a zstd:chunked layer are read from its table of contents. If the table is damaged,
// the layer itself is read.
func TestPatchLayersOnTablesOfContents(t *testing.T) {
	clients.Need(t, "root", "setfattr")
	old, root, last := mkroot.Make(t, patchRoots[0]), mkroot.Make(t, patchRoots[1]), filepath.Join(t.TempDir(), "last")
	common := []string{"--config-str", "{}", "--keep-special-files", "--max-stale", "20%", "--compress", "zstd:chunked"}
	clients.Run(t, exec.Command("chunkah", append([]string{"build", "--rootfs", old, "--previous", "auto", "-o", "oci:" + last}, common...)...))
	next := func() (archive, stderr string) {
		archive = filepath.Join(t.TempDir(), "next")
		res := start(t, exec.Command("chunkah", append([]string{"build", "-v", "--rootfs", root, "--previous", "oci:" + last, "-o", "oci-archive:" + archive}, common...)...))
		if res.code != 0 {
			t.Fatal(res.stderr)
		}
		clients.Run(t, exec.Command("chunkah", "diff", "--ignore-mtime", root, "oci-archive:"+archive))
		return archive, res.stderr
	}
	want, stderr := next()
	from := regexp.MustCompile(`files of the previous image: ([0-9]+) layers? from its table of contents`).FindStringSubmatch(stderr)
	if from == nil {
		t.Fatalf("the tables are not used:\n%s", stderr)
	}
	moveTables(t, last)
	got, stderr := next()
	if n := strings.Count(stderr, "reading the layer instead"); fmt.Sprint(n) != from[1] || !strings.Contains(stderr, "layers themselves") || strings.Contains(stderr, "table of contents\n") {
		t.Errorf("%d layers with damaged tables are read, want %s:\n%s", n, from[1], stderr)
	}
	a, b := clients.ReadImage(t, want), clients.ReadImage(t, got)
	if len(a.Config.RootFS.DiffIDs) == 0 || !slices.Equal(a.Config.RootFS.DiffIDs, b.Config.RootFS.DiffIDs) {
		t.Errorf("the layers are %q, and %q with damaged tables", a.Config.RootFS.DiffIDs, b.Config.RootFS.DiffIDs)
	}
}

// moveTables changes the positions of all tables in the manifest of a layout.
func moveTables(t *testing.T, layout string) {
	t.Helper()
	position := regexp.MustCompile(`("io\.github\.containers\.zstd-chunked\.manifest-position":"[0-9]+:[0-9]+:)([0-9])`)
	indexFile := filepath.Join(layout, "index.json")
	index, err := os.ReadFile(indexFile)
	if err != nil {
		t.Fatal(err)
	}
	is := regexp.MustCompile(`sha256:([0-9a-f]{64})`).FindSubmatch(index)
	if is == nil {
		t.Fatalf("no manifest in %s", index)
	}
	manifest, err := os.ReadFile(filepath.Join(layout, "blobs/sha256", string(is[1])))
	if err != nil {
		t.Fatal(err)
	}
	moved := position.ReplaceAllFunc(manifest, func(found []byte) []byte {
		found = bytes.Clone(found)
		found[len(found)-1] = '1' + (found[len(found)-1]-'0')%9
		return found
	})
	if bytes.Equal(moved, manifest) {
		t.Fatalf("no positions in %s", manifest)
	}
	name := digest.FromBytes(moved)
	if err := os.WriteFile(filepath.Join(layout, "blobs/sha256", name.Encoded()), moved, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(indexFile, bytes.ReplaceAll(index, is[1], []byte(name.Encoded())), 0o644); err != nil {
		t.Fatal(err)
	}
}
