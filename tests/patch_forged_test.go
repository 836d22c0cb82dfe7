package tests

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// These are parts of messages about layers that this user has not verified.
const (
	readsOnce   = " of the previous image once ("
	historyLies = "does not contain the files that its history lists"
)

// forgery is a previous image with a false history.
type forgery struct {
	root   string // the root to build
	forged string // image of another root, whose history contains the digests of this root
	plan   string // plan of an image of this root
}

func forge(t *testing.T, args ...string) forgery {
	t.Helper()
	dir := t.TempDir()
	plan := filepath.Join(dir, "plan")
	build := append([]string{"build", "--config-str", "{}", "--max-stale", "50%", "--previous", "auto"}, args...)
	var root string
	var layouts []string
	for _, text := range []string{"old", "new"} {
		root = mkroot.Make(t, "dir / mode=0755\nfile /big size=900000\nfile /small text="+text+"\n")
		layout := filepath.Join(dir, text)
		clients.Run(t, exec.Command("chunkah", append(build, "--rootfs", root, "--plan", plan, "-o", "oci:"+layout)...))
		layouts = append(layouts, layout)
		if text == "old" {
			if err := os.Remove(plan); err != nil {
				t.Fatal(err)
			}
		}
	}
	forged, other := readLayout(t, layouts[0]), readLayout(t, layouts[1])
	forged.config["history"] = other.config["history"]
	forged.write(t)
	return forgery{root, "oci:" + layouts[0], plan}
}

// The history of a previous image can contain wrong digests of the files in its layers. Layers that
// this user has not verified are read once, their actual files are used, and the new image's
// history is correct. No list of files is treated as a proof, not even a plan.
func TestPatchLayersWithForgedHistory(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	f := forge(t) // this user wrote both images and has a record of their layers
	for _, state := range []string{os.Getenv("XDG_STATE_HOME"), t.TempDir()} {
		t.Setenv("XDG_STATE_HOME", state)
		want := ""
		for _, line := range []string{
			`chunkah build --rootfs "$1" --config-str {} --max-stale 50 --previous "$2" --plan "$3" -o "$4"`,
			`chunkah-scan "$1" | chunkah-assign | chunkah-pack --max-stale 50 --previous "$2" --plan "$3" | chunkah-write --config-str {} -o "$4"`,
			`chunkah-scan --format msgpack "$1" | chunkah-assign | chunkah-pack --max-stale 50 --previous "$2" | chunkah-write --config-str {} -o "$4"`,
		} {
			out, plan := filepath.Join(t.TempDir(), "out"), filepath.Join(t.TempDir(), "plan")
			copyFile(t, f.plan, plan)
			res := start(t, exec.Command("bash", "-o", "pipefail", "-c", line, "-", f.root, f.forged, plan, out))
			if res.code != 0 || strings.Count(res.stderr, historyLies) != 1 || !strings.Contains(res.stderr, readsOnce) {
				t.Fatalf("%s: status %d\n%s", line, res.code, res.stderr)
			}
			clients.Run(t, exec.Command("chunkah", "diff", "--ignore-mtime", f.root, "oci-archive:"+out))
			clients.Run(t, exec.Command("chunkah", "verify", "oci-archive:"+out))
			if want == "" {
				want = out
			}
			sameBytes(t, want, out)
		}
		// The layers of the new image are in the user's record at this point.
		res := start(t, exec.Command("chunkah", "build", "--rootfs", f.root, "--config-str", "{}", "--max-stale", "50", "--previous", "oci-archive:"+want, "-o", filepath.Join(t.TempDir(), "x")))
		if res.code != 0 || strings.Contains(res.stderr, readsOnce) || strings.Contains(res.stderr, historyLies) {
			t.Errorf("status %d\n%s", res.code, res.stderr)
		}
	}
}

// With --trust-previous, the image contains the wrong contents, and --verify finds them.
func TestPatchLayersTrustPrevious(t *testing.T) {
	f := forge(t)
	args := []string{"build", "--rootfs", f.root, "--config-str", "{}", "--max-stale", "50%", "--trust-previous", "--previous", f.forged, "--plan", f.plan}
	out := filepath.Join(t.TempDir(), "out")
	res := start(t, exec.Command("chunkah", append(args, "--verify", "-o", "oci:"+out)...))
	if _, err := os.Lstat(out); res.code != 1 || err == nil || !strings.Contains(res.stderr, "differs from the digest in the history") {
		t.Errorf("status %d\n%s", res.code, res.stderr)
	}
	res = start(t, exec.Command("chunkah", append(args, "-o", "oci:"+out)...))
	if res.code != 0 || strings.Contains(res.stderr, readsOnce) || strings.Contains(res.stderr, historyLies) {
		t.Errorf("status %d\n%s", res.code, res.stderr)
	}
	if res := start(t, exec.Command("chunkah", "diff", "--ignore-mtime", f.root, "oci:"+out)); res.code != 1 {
		t.Errorf("status %d: docs/patch-layers.md says that the image can be wrong\n%s", res.code, res.stdout)
	}
	got := fails(t, 2, exec.Command("chunkah", "build", "--rootfs", f.root, "--config-str", "{}", "--trust-previous", "-o", out+"2"))
	if !strings.Contains(got, "--trust-previous has no effect without --max-stale") {
		t.Error(got)
	}
}

// The user's record of a diffID and its entries is used only if the blob is proven to be the layer
// with that diffID.
func TestPatchLayersWithForgedDiffID(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	dir := t.TempDir()
	args := []string{"build", "--config-str", "{}", "--max-stale", "50%", "--compress", "gzip", "--previous", "auto"}
	var layouts, roots []string
	for _, text := range []string{"old", "new"} {
		root := mkroot.Make(t, "dir / mode=0755\nfile /big size=900000\nfile /small text="+text+"\n")
		layout := filepath.Join(dir, text)
		clients.Run(t, exec.Command("chunkah", append(args, "--rootfs", root, "-o", "oci:"+layout)...))
		roots, layouts = append(roots, root), append(layouts, layout)
	}
	forged, other := readLayout(t, layouts[0]), readLayout(t, layouts[1])
	forged.config = other.config
	forged.write(t)
	res := start(t, exec.Command("chunkah", append(args, "--rootfs", roots[1], "-o", "oci:"+layouts[0])...))
	if res.code != 1 || !strings.Contains(res.stderr, "but the config lists") {
		t.Errorf("status %d\n%s", res.code, res.stderr)
	}
}

// A stream can contain wrong digests of files and entries. Wrong digests are neither recorded nor
// copied to the image.
func TestPatchLayersOfLyingStream(t *testing.T) {
	root, dir := mkroot.Make(t, "dir / mode=0755\nfile /big size=900000\nfile /small text=old\n"), t.TempDir()
	other := mkroot.Make(t, "dir / mode=0755\nfile /big size=900000\nfile /small text=new\n")
	for name, lie := range map[string]string{
		"digest of a file": `chunkah-scan --digests "$1" | sed 's/'$(printf old | sha256sum | cut -c-64)/$(printf new | sha256sum | cut -c-64)/ | chunkah-assign | $pack`,
		"entries":          `chunkah-scan "$1" | chunkah-assign | $pack | sed 's/"entries":"sha256:[0-9a-f]*/"entries":"sha256:'$(chunkah-scan "$2" | chunkah-assign | $pack | sed -n 's/.*"entries":"sha256:\([0-9a-f]*\).*/\1/p')/`,
	} {
		t.Setenv("XDG_STATE_HOME", filepath.Join(dir, name))
		out := filepath.Join(dir, name+".oci")
		line := `pack="chunkah-pack --max-stale 50 --previous oci:$3/none"; ` + lie + ` | chunkah-write --config-str {} -o "$4"`
		none := filepath.Join(dir, "none")
		clients.Run(t, exec.Command("chunkah", "build", "--rootfs", mkroot.Make(t, "dir / mode=0711\nfile /x text=x\n"), "--config-str", "{}", "-o", "oci:"+none))
		clients.Run(t, exec.Command("bash", "-o", "pipefail", "-c", line, "-", root, other, dir, out))
		clients.Run(t, exec.Command("chunkah", "verify", "oci-archive:"+out))
		res := start(t, exec.Command("chunkah", "build", "--rootfs", other, "--config-str", "{}", "--max-stale", "50", "--previous", "oci-archive:"+out, "-o", out+"2"))
		clients.Run(t, exec.Command("chunkah", "diff", "--ignore-mtime", other, "oci-archive:"+out+"2"))
		if res.code != 0 {
			t.Errorf("%s: status %d\n%s", name, res.code, res.stderr)
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// layoutFile represents the only image of a layout.
type layoutFile struct {
	dir                     string
	index, manifest, config map[string]any
}

func readLayout(t *testing.T, dir string) *layoutFile {
	t.Helper()
	l := &layoutFile{dir: dir}
	read := func(name string, to *map[string]any) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = json.Unmarshal(data, to)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	blob := func(d any) string {
		return "blobs/sha256/" + strings.TrimPrefix(d.(map[string]any)["digest"].(string), "sha256:")
	}
	read("index.json", &l.index)
	read(blob(l.index["manifests"].([]any)[0]), &l.manifest)
	read(blob(l.manifest["config"]), &l.config)
	return l
}

// write writes the config, the manifest and the index.
func (l *layoutFile) write(t *testing.T) {
	t.Helper()
	write := func(name string, from any) []byte {
		data, err := json.Marshal(from)
		if err == nil && name == "" {
			name = "blobs/sha256/" + digest.FromBytes(data).Encoded()
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(l.dir, name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	describe := func(d any, data []byte) {
		d.(map[string]any)["digest"], d.(map[string]any)["size"] = digest.FromBytes(data).String(), len(data)
	}
	describe(l.manifest["config"], write("", l.config))
	describe(l.index["manifests"].([]any)[0], write("", l.manifest))
	write("index.json", l.index)
}
