package tests

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
	"chunkah/tests/treediff"
)

// script returns the path of a file in scripts/.
func script(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../scripts", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// odd is a stream with records that an assigner must not change, and with names that it cannot
// decode. Only files without components may change.
const odd = `{"header":{"version":1,"stage":"scan","root":"/x"}}
{"file":{"path":"/","type":"dir","mode":493}}
{"file":{"path":"/a","type":"file","mtime":9007199254740991,"mtime_nsec":5,"size":3}}
{"file":{"path":"/usr/bin/x\ufffd","path_raw":"L3Vzci9iaW4veP8=","type":"symlink","target":"\ufffd","target_raw":"/w=="}}
{"file":{"path":"/usr/lib/dev\\x2dlabel\nx","type":"file"}}
{"file":{"path":"/usr/lib/x","type":"file","components":["mine"]}}
{"component":{"name":"mine","updates":[1,2]}}
{"a later version's":{"x":[1.5,null,"\u00e9"]}}
{"end":{}}
`

// assigned runs a script on the odd stream, checks that it adds only components, and returns the
// components of the files that had none, in order.
func assigned(t *testing.T, cmd *exec.Cmd) []string {
	t.Helper()
	cmd.Stdin = strings.NewReader(odd)
	in, out := strings.SplitAfter(odd, "\n"), strings.SplitAfter(clients.Run(t, cmd), "\n")
	if len(in) != len(out) {
		t.Fatalf("%d records became %d", len(in)-1, len(out)-1)
	}
	var got []string
	for i := range in[:len(in)-1] {
		var before, after map[string]map[string]any
		if err := json.Unmarshal([]byte(in[i]), &before); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(out[i]), &after); err != nil {
			t.Fatalf("%q: %v", out[i], err)
		}
		if before["file"] != nil && before["file"]["components"] == nil {
			name := "none"
			if list, ok := after["file"]["components"].([]any); ok && len(list) == 1 {
				name, _ = list[0].(string)
			}
			got = append(got, name)
			delete(after["file"], "components")
		}
		want, _ := json.Marshal(before)
		if now, _ := json.Marshal(after); string(now) != string(want) {
			t.Errorf("record %d was %s and is %s", i+1, want, now)
		}
	}
	return got
}

func TestAssignByDirectory(t *testing.T) {
	clients.Need(t, "jq")
	for depth, want := range map[string][]string{
		"1": {"dir/.", "dir/.", "dir/usr", "dir/usr"},
		"2": {"dir/.", "dir/.", "dir/usr/bin", "dir/usr/lib"},
	} {
		if got := assigned(t, exec.Command(script(t, "assign-by-directory"), depth)); !slices.Equal(got, want) {
			t.Errorf("depth %s: got %q, want %q", depth, got, want)
		}
	}
	image := customImage(t, smallRoot(t), script(t, "assign-by-directory")+" 2")
	if !slices.Contains(image, "dir/usr/lib") || !slices.Contains(image, "dir/opt/app") {
		t.Errorf("the image's components are %q", image)
	}
}

func TestAssignByMap(t *testing.T) {
	clients.Need(t, "python3")
	file := filepath.Join(t.TempDir(), "map.json")
	if err := os.WriteFile(file, []byte(`{"/usr": "base", "/usr/lib": "libraries", "/opt/app": "app"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	want := []string{"none", "none", "base", "libraries"}
	if got := assigned(t, exec.Command(script(t, "assign-by-map"), file)); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	image := customImage(t, smallRoot(t), script(t, "assign-by-map")+" "+file)
	for _, want := range []string{"base", "libraries", "app", "chunkah/unclaimed"} {
		if !slices.Contains(image, want) {
			t.Errorf("no %s in the image's components %q", want, image)
		}
	}
}

func TestAssignByDpkg(t *testing.T) {
	t.Parallel()
	clients.Need(t, "jq")
	root := debianRoot(t)
	command := script(t, "assign-by-dpkg") + " " + root
	want := []string{"none", "none", "none", "none"}
	if got := assigned(t, exec.Command("sh", "-c", command)); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	image := customImage(t, root, command)
	// The packages list files of libc6 and bash in /lib and /bin, which are symlinks.
	for _, want := range []string{"dpkg/bash", "dpkg/libc6", "dpkg/dpkg", "chunkah/unclaimed"} {
		if !slices.Contains(image, want) {
			t.Errorf("no %s in the image's components %q", want, image)
		}
	}
}

// parcels is a root with a dpkg package and two parcels from the same source. It also contains a
// file that all three list, a large file, and a file that no package owns.
const parcels = `
file /var/lib/dpkg/status text="Package: tool\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n"
file /var/lib/dpkg/info/tool.list text="/usr\n/usr/bin\n/usr/bin/tool\n/usr/bin/both\n"
file /var/lib/parcels/crane.json text="{\"name\": \"crane\", \"built\": 1600000000, \"files\": [\"/usr/bin/crane\", \"/usr/bin/both\"]}"
file /var/lib/parcels/crane-docs.json text="{\"name\": \"crane-docs\", \"source\": \"crane\", \"built\": 1650000000, \"files\": [\"/usr/share/crane/MANUAL\", \"/usr/bin/both\", \"/usr/bin/gone\"]}"
file /usr/bin/tool text=tool
file /usr/bin/both text=both
file /usr/bin/crane size=2000000
file /usr/share/crane/MANUAL text=manual
file /srv/other text=other
`

// The example assigner in docs/components.md works without chunkah-assign, before chunkah-assign,
// and after chunkah-assign. Before chunkah-assign, it takes precedence over all repos. After
// chunkah-assign, it assigns the remaining files.
func TestAssignByManifest(t *testing.T) {
	clients.Need(t, "python3")
	want := []string{"none", "none", "none", "none"}
	if got := assigned(t, exec.Command(script(t, "assign-by-manifest"))); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	root, command := mkroot.Make(t, parcels), script(t, "assign-by-manifest")
	for assigner, both := range map[string]string{
		command + " | chunkah-assign": "parcel/crane",
		"chunkah-assign | " + command: "dpkg/tool",
	} {
		o := readOwners(t, []byte(stream(t, `chunkah-scan "$ROOT" | `+assigner, root)))
		o.want(t, map[string]string{
			"/usr/bin/both":               both,
			"/usr/bin/tool":               "dpkg/tool",
			"/usr/bin/crane":              "parcel/crane",
			"/usr/share/crane/MANUAL":     "parcel/crane",
			"/var/lib/parcels/crane.json": "parcel/.database",
			"/var/lib/dpkg/status":        "dpkg/.database",
			"/srv/other":                  "chunkah/unclaimed",
		})
		c := o.components["parcel/crane"]
		if c == nil || c.MtimeClamp != 1650000000 || len(c.Updates) != 2 {
			t.Errorf("%s: the component is %+v", assigner, c)
		}
		image := customImage(t, root, assigner)
		for _, want := range []string{"dpkg/tool", "parcel/crane", "parcel/.database", "chunkah/unclaimed"} {
			if !slices.Contains(image, want) {
				t.Errorf("%s: no %s in the image's components %q", assigner, want, image)
			}
		}
	}
	// A broken manifest must not lead to the loss of other files, so no image is made.
	if err := os.WriteFile(filepath.Join(root, "var/lib/parcels/broken.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	res := start(t, exec.Command("chunkah", "build", "--rootfs", root, "--assign", command, "-o", dir+"/out"))
	if res.code != 1 || !strings.Contains(res.stderr, "broken.json") {
		t.Errorf("status %d, and the broken manifest is to be named:\n%s", res.code, res.stderr)
	}
	empty(t, dir)
}

// customImage makes two images with a custom assigner, which runs in a pipe and as a stage of
// build. It checks that both images equal the root, and returns the components.
func customImage(t *testing.T, root, assigner string) []string {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "out.ociarchive")
	cmd := exec.Command("bash", "-o", "pipefail", "-c",
		`chunkah-scan --skip-special-files "$ROOT" | `+assigner+` | chunkah-pack --max 64 | chunkah-write >"$0"`, archive)
	cmd.Env = append(os.Environ(), "ROOT="+root)
	clients.Run(t, cmd)
	sameBytes(t, archive, build(t, root, "--skip-special-files", "--assign", assigner))
	if os.Geteuid() == 0 {
		skip := func(path string) bool { return strings.HasPrefix(path, "/dev/") }
		opt := treediff.Options{SkipXattr: dropped, SkipPath: skip}
		treediff.Equal(t, root, clients.TarUnpack(t, archive), opt)
	}
	var components []string
	for _, names := range clients.ReadImage(t, archive).Layers() {
		components = append(components, strings.Split(names, ", ")...)
	}
	return components
}

// If an assigner is killed before it has finished, no image is made.
func TestAssignerDies(t *testing.T) {
	dir := t.TempDir()
	root := smallRoot(t)
	for _, assigner := range []string{"head -n 4", "false", "sh -c 'head -n 4; exit 1'"} {
		cmd := exec.Command("sh", "-c", `chunkah-scan "$0" | `+assigner+` | chunkah-pack | chunkah-write -o "$1"`, root, dir+"/out")
		fails(t, 1, exec.Command("chunkah", "build", "--rootfs", root, "--assign", assigner, "-o", dir+"/out"))
		if res := start(t, cmd); res.code != 1 || !strings.Contains(res.stderr, "chunkah-write: stdin: ") {
			t.Errorf("%s: status %d\n%s", assigner, res.code, res.stderr)
		}
		empty(t, dir)
	}
}
