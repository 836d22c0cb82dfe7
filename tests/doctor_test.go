package tests

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/format"
	"chunkah/lib/plan"
	"chunkah/tests/clients"
	"chunkah/tests/mkimage"
	"chunkah/tests/mkroot"
)

// finding is one line of chunkah doctor --json.
type finding struct {
	ID      string
	Spoils  string
	Paths   []struct{ Path string }
	Advice  string
	Options []string
}

// diagnose runs chunkah doctor and checks that the exit status matches the findings.
func diagnose(t *testing.T, env []string, args ...string) []finding {
	t.Helper()
	cmd := exec.Command("chunkah", append([]string{"doctor", "--json"}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	res := start(t, cmd)
	var list []finding
	for line := range strings.Lines(res.stdout) {
		var f finding
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		list = append(list, f)
	}
	if want := min(len(list), 1); res.code != want || res.stderr != "" {
		t.Errorf("chunkah doctor %q: status %d with %d findings\n%s", args, res.code, len(list), res.stderr)
	}
	return list
}

func ids(list []finding) (names []string) {
	for _, f := range list {
		names = append(names, f.ID)
	}
	return names
}

// pycOf returns a root with compiled Python that contains the given source time.
func pycOf(time int) string {
	return fmt.Sprintf(`file /srv/a.pyc text="\xf3\x0d\x0d\x0a\x00\x00\x00\x00%c\x00\x00\x00code"`, 'a'+time)
}

// openRPM creates an rpm database without closing it, so that its write-ahead log remains.
func openRPM(t *testing.T, root string) {
	t.Helper()
	clients.Run(t, exec.Command("rpm", "--root", root, "--dbpath", "/usr/lib/sysimage/rpm", "--initdb"))
	clients.Run(t, exec.Command("python3", "-c", `import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("PRAGMA journal_mode = WAL")
db.execute("PRAGMA user_version = 7")
db.commit()
os._exit(0)`, root+"/usr/lib/sysimage/rpm/rpmdb.sqlite"))
}

// touchNow sets a file's mtime, with nanoseconds.
func touchNow(t *testing.T, path string, at int64) {
	t.Helper()
	if err := os.Chtimes(path, time.Unix(at, 1), time.Unix(at, 1)); err != nil {
		t.Fatal(err)
	}
}

// Images of these roots differ from build to build. Once the advice is followed, they are equal,
// and doctor finds nothing.
func TestDoctorAdvice(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root", "rpm", "python3", "sqlite3")
	for _, test := range []struct {
		id   string
		root func(run int) string
		make func(t *testing.T, root string, run int)
		// env is the environment that the advice recommends; before is the environment without it.
		env, before func(run int) string
	}{
		{id: "boot-files", root: varied("file /boot/initrd text=%d")},
		{id: "run-files", root: varied("file /run/app.pid text=%d")},
		{id: "tmp-files", root: varied("file /tmp/tmp.x%d\nfile /var/tmp/y")},
		{id: "ostree-sysroot", root: varied("file /sysroot/ostree/repo/objects/%d\nfile /ostree/x")},
		{id: "package-cache", root: varied("file /var/lib/apt/lists/x_InRelease text=%d\nfile /root/.cache/pip/x text=x")},
		{id: "log-files", root: varied(`file "/var/log/dpkg log" text=%d`)},
		{id: "system-caches", root: varied("file /var/cache/ldconfig/aux-cache text=%d")},
		{id: "rpmdb-leftovers", root: varied("file /a text=a"), make: func(t *testing.T, root string, _ int) { openRPM(t, root) },
			env: fixed(mkroot.Epoch), before: fixed(mkroot.Epoch)},
		{id: "rpm-history", root: varied("file /var/lib/dnf/history.sqlite text=%d")},
		{id: "dpkg-leftovers", root: varied("file /var/lib/dpkg/status-old text=%d")},
		{id: "builder-files", root: varied("file /etc/hostname text=builder%d")},
		{id: "machine-id", root: varied("file /etc/machine-id text=%[1]d\nfile /var/lib/dbus/machine-id text=%[1]d"),
			env: fixed(mkroot.Epoch), before: fixed(mkroot.Epoch)},
		{id: "ssh-host-keys", root: varied("file /etc/ssh/ssh_host_rsa_key text=%d")},
		{id: "machine-secrets", root: varied("file /var/lib/systemd/random-seed text=%d")},
		{id: "shell-history", root: varied("file /root/.bash_history text=%d")},
		{id: "pyc-times", root: pycOf},
		{id: "build-times", root: varied("file /srv/a text=a"), env: fixed(mkroot.Epoch), make: func(t *testing.T, root string, run int) {
			touchNow(t, root+"/srv/a", mkroot.Epoch+int64(run))
		}},
		{id: "newer-than-source-date", root: varied("file /srv/a text=a mtime=1800000000\nsymlink /srv/b to=a mtime=1800000000"),
			before: func(run int) string { return fmt.Sprintf("SOURCE_DATE_EPOCH=%d", mkroot.Epoch+run*1000) },
			env:    func(run int) string { return fmt.Sprintf("SOURCE_DATE_EPOCH=%d", mkroot.Epoch+run*1000) }},
	} {
		t.Run(test.id, func(t *testing.T) {
			var before, after [2]string
			for run := range 2 {
				root := mkroot.Make(t, "dir / mode=0755\nfile /usr/bin/x text=x\n"+test.root(run))
				if test.make != nil {
					test.make(t, root, run)
				}
				none := func(int) string { return "X=" }
				if test.before == nil {
					test.before = none
				}
				if test.env == nil {
					test.env = none
				}
				before[run] = layersOf(t, root, test.before(run))
				others := []string{root}
				if test.id != "newer-than-source-date" { // this finding is always reported for new files
					others = append(others, "--ignore", "newer-than-source-date")
				}
				list := diagnose(t, []string{test.before(run)}, others...)
				if got := ids(list); !slices.Equal(got, []string{test.id}) {
					t.Fatalf("got %q, want %s alone", got, test.id)
				}
				_, command, _ := strings.Cut(list[0].Advice, ": ")
				if list[0].Options == nil && test.id != "build-times" {
					if test.id == "pyc-times" || test.id == "newer-than-source-date" {
						command = command[strings.Index(command, "find "):]
					}
					clients.Run(t, exec.Command("sh", "-ec", command))
				}
				if test.id == "newer-than-source-date" && run == 1 {
					// Keep the time of the first build.
					clients.Run(t, exec.Command("sh", "-ec", strings.ReplaceAll(command, fmt.Sprintf("@%d", mkroot.Epoch+1000), fmt.Sprintf("@%d", mkroot.Epoch))))
				}
				if left := diagnose(t, []string{test.env(run)}, append(others, list[0].Options...)...); len(left) > 0 {
					t.Errorf("it is reported again: %+v", left)
				}
				after[run] = layersOf(t, root, test.env(run), list[0].Options...)
			}
			if before[0] == before[1] {
				t.Error("two builds are the same, and nothing is to be advised")
			}
			if after[0] != after[1] {
				t.Errorf("two builds differ after all: %s %s", after[0], after[1])
			}
		})
	}
}

// varied returns a root that contains the number of the run.
func varied(format string) func(int) string {
	return func(run int) string {
		if !strings.Contains(format, "%") {
			return format
		}
		return fmt.Sprintf(format, run)
	}
}

// fixed sets the source date.
func fixed(date int) func(int) string {
	return func(int) string { return fmt.Sprintf("SOURCE_DATE_EPOCH=%d", date) }
}

// layersOf builds an image and returns a description of its layers.
func layersOf(t *testing.T, root, env string, args ...string) string {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "a.oci")
	cmd := exec.Command("chunkah", append([]string{"build", "--rootfs", root, "-o", archive}, args...)...)
	cmd.Env = append(os.Environ(), env)
	clients.Run(t, cmd)
	return clients.Run(t, exec.Command("sh", "-ec", `tar -xOf "$1" index.json | grep -o 'sha256:[0-9a-f]*' | cut -d: -f2 | while read d; do tar -xOf "$1" blobs/sha256/$d; done | jq -c '[.layers[].digest]'`, "sh", archive))
}

// The findings for a fresh Debian system are correct and complete.
func TestDoctorDebian(t *testing.T) {
	t.Parallel()
	root := copyRoot(t, debianRoot(t))
	list := diagnose(t, nil, root)
	want := []string{"dpkg-leftovers", "builder-files", "build-times", "special-files"}
	if got := ids(list); !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	args := []string{root}
	for _, f := range list {
		args = append(args, f.Options...)
	}
	// The time of the build is later than any commit.
	env := []string{"SOURCE_DATE_EPOCH=1790000000"}
	list = diagnose(t, env, args...)
	if got := ids(list); !slices.Equal(got, []string{"newer-than-source-date"}) {
		t.Fatalf("got %q", got)
	}
	clients.Run(t, exec.Command("sh", "-ec", list[0].Advice[strings.Index(list[0].Advice, "find "):]))
	if list = diagnose(t, env, args...); len(list) > 0 {
		t.Errorf("left: %+v", list)
	}
}

// In a root of rpm packages, doctor finds only the files that rpm leaves beside its database, and
// rpm's log.
func TestDoctorRPM(t *testing.T) {
	list := diagnose(t, []string{"SOURCE_DATE_EPOCH=4000000000"}, rpmRoot(t))
	if got, want := ids(list), []string{"log-files", "rpmdb-leftovers"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Python packages installed by pip differ from build to build, but the system's Python packages do
// not.
func TestDoctorPython(t *testing.T) {
	t.Parallel()
	for _, f := range diagnose(t, nil, trixieRoot(t), "--prune", "/dev/") {
		if f.ID != "pyc-times" {
			continue
		}
		for _, p := range f.Paths {
			if strings.HasPrefix(p.Path, "/usr/lib/python3") {
				t.Errorf("%s belongs to a package", p.Path)
			}
		}
		return
	}
	t.Error("files compiled by pip are not found")
}

// doctor examines an image through any transport, and the advice contains commands for building the
// image.
func TestDoctorImages(t *testing.T) {
	clients.Need(t, "root")
	root := mkroot.Make(t, "dir / mode=0755\nfile /etc/machine-id text=x\nfile /tmp/x\nfifo /srv/p")
	dir := t.TempDir()
	places := []string{"oci:" + dir + "/layout", "oci-archive:" + dir + "/a.oci", "docker-archive:" + dir + "/a.tar:app:1",
		"docker://" + clients.NewRegistry(t, clients.RegistryOptions{}) + "/app:1"}
	for _, place := range places {
		clients.Run(t, exec.Command("chunkah", "build", "--rootfs", root, "--keep-special-files", "-o", place))
		list := diagnose(t, nil, place)
		if got, want := ids(list), []string{"tmp-files", "machine-id", "special-files"}; !slices.Equal(got, want) {
			t.Fatalf("%s: got %q, want %q", place, got, want)
		}
		if want := "clear it when building the image, so that each machine creates its own ID: truncate --size=0 /etc/machine-id"; list[1].Advice != want {
			t.Errorf("got %q, want %q", list[1].Advice, want)
		}
		if got := ids(diagnose(t, nil, place, "--prune", "/tmp/", "--keep-special-files", "--ignore", "machine-id")); len(got) > 0 {
			t.Errorf("%s: got %q", place, got)
		}
	}
}

// For an image, doctor checks the order of the layers. It uses the stability values in the image's
// history.
func TestDoctorOnTheOrderOfLayers(t *testing.T) {
	layer := func(name string, size, stability int64) mkimage.Layer {
		comment, err := plan.Comment(&format.Layer{Components: []string{name}, StabilityPPM: stability})
		if err != nil {
			t.Fatal(err)
		}
		return mkimage.Layer{
			Tar:     mkimage.Tar(t, mkimage.File(name, strings.Repeat("x", int(size)))),
			History: v1.History{CreatedBy: plan.Author, Comment: comment},
		}
	}
	volatile, stable := layer("volatile", 1000, 300_000), layer("stable", 1_000_000, 990_000)
	patched, err := plan.Comment(&format.Layer{Components: []string{"stable"}, StabilityPPM: 990_000, Entries: format.EmptyDigest.String()})
	if err != nil {
		t.Fatal(err)
	}
	above := stable // a new layer of --max-stale
	above.History.Comment = patched
	unknown := layer("unknown", 1000, 0)
	for _, tt := range []struct {
		layers []mkimage.Layer
		want   []string
	}{
		{[]mkimage.Layer{stable, volatile}, nil},
		{[]mkimage.Layer{volatile, stable}, []string{"layer-order"}},
		{[]mkimage.Layer{volatile, stable, unknown}, nil},
		{[]mkimage.Layer{volatile, above}, nil},
	} {
		image := "oci:" + (&mkimage.Image{Layers: tt.layers}).Layout(t)
		found := diagnose(t, nil, image)
		if got := ids(found); !slices.Equal(got, tt.want) || len(found) > 0 && found[0].Paths == nil {
			t.Errorf("got %+v, want %q", found, tt.want)
		}
		if got := diagnose(t, nil, image, "--ignore", "layer-order"); len(got) != 0 {
			t.Errorf("ignored: got %+v", got)
		}
	}
	// If there are several sources, the order of layers is not checked.
	image := "oci:" + (&mkimage.Image{Layers: []mkimage.Layer{volatile, stable}}).Layout(t)
	if got := diagnose(t, nil, image, "dir:"+mkroot.Make(t, "file /usr/x text=x")); len(got) != 0 {
		t.Errorf("got %+v", got)
	}
}

// doctorPage prepares the roots for docs/doctor.md.
func doctorPage(p *document) {
	clients.Need(p.t)
	err := mkroot.Write(filepath.Join(p.dir, "root"), `
dir / mode=0755
file /usr/bin/app size=100
file /tmp/build.tmp size=3000
file /var/tmp/notes size=1000
file /etc/ssh/ssh_host_ed25519_key size=411 mode=0600
`)
	if err != nil {
		p.t.Fatal(err)
	}
}
