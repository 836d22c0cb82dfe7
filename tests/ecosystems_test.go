package tests

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// update is a change to one package in a root.
type update struct {
	repo string // the component repo for the ecosystem
	// change changes the files of the package and of the database in the root.
	change func()
	// files are the files of the package and of the database that change: paths in the root, or
	// patterns.
	files []string
}

// knownBefore are other repos that find packages in these roots.
var knownBefore = []string{"dpkg", "python", "node", "java", "bigfiles"}

// checkUpdate builds an image of a root, changes one package, and builds the next image. A client
// that has the first image must not download more than 1.3 times the size of the changed files.
// Without the repo, the client must download more than that. Otherwise, the test proves nothing.
func checkUpdate(t *testing.T, root string, u update) {
	t.Helper()
	others := slices.DeleteFunc(slices.Clone(knownBefore), func(repo string) bool { return repo == u.repo })
	list := strings.Join(others, ",")
	with := []string{build(t, root, "--compress", "gzip")}
	without := []string{build(t, root, "--compress", "gzip", "--repos", list)}
	u.change()
	most := inALayer(t, root, u.files) * 13 / 10
	with = append(with, build(t, root, "--compress", "gzip", "--previous", with[0]))
	without = append(without, build(t, root, "--compress", "gzip", "--repos", list, "--previous", without[0]))
	got, before := downloads(t, with), downloads(t, without)
	t.Logf("%s: %d bytes to download, at most %d; %d without the repo", u.repo, got, most, before)
	if got > most {
		t.Errorf("%d bytes to download, want at most %d", got, most)
	}
	if before <= most {
		t.Errorf("%d bytes to download without %s: the root is too small to show anything", before, u.repo)
	}
}

// randomize replaces the contents of files with incompressible contents of the same size.
func randomize(t *testing.T, root string, paths ...string) func() {
	return func() {
		t.Helper()
		for _, path := range paths {
			full := filepath.Join(root, path)
			st, err := os.Stat(full)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(io.LimitReader(mkroot.Bytes("another "+path), st.Size()))
			if err == nil {
				err = os.WriteFile(full, text, 0o644)
			}
			if err == nil {
				err = os.Chtimes(full, time.Unix(mkroot.Epoch, 0), time.Unix(mkroot.Epoch, 0))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// put creates a file in a root.
func put(t *testing.T, root, path, text string) {
	t.Helper()
	full := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// putSize creates an incompressible file of the given size in a root.
func putSize(t *testing.T, root, path string, size int) {
	t.Helper()
	text, err := io.ReadAll(io.LimitReader(mkroot.Bytes(path), int64(size)))
	if err != nil {
		t.Fatal(err)
	}
	put(t, root, path, string(text))
}

// downloads returns the number of bytes that a client downloads for the second of two archives.
func downloads(t *testing.T, archives []string) int64 {
	t.Helper()
	return predict(t, "podman", "oci-archive:"+archives[0], "oci-archive:"+archives[1]).Download
}

// inALayer returns the size of a layer that contains these files of a root.
func inALayer(t *testing.T, root string, patterns []string) int64 {
	t.Helper()
	args := []string{"-C", root, "--sort=name", "-cf", "-"}
	for _, pattern := range patterns {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("nothing is at %q: %v", pattern, err)
		}
		for _, path := range found {
			rel, err := filepath.Rel(root, path)
			if err != nil {
				t.Fatal(err)
			}
			args = append(args, rel)
		}
	}
	size := &counter{}
	z := gzip.NewWriter(size)
	if _, err := io.WriteString(z, clients.Run(t, exec.Command("tar", args...))); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return size.n
}

// counter counts the bytes that are written to it.
type counter struct{ n int64 }

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// manifestOf writes a manifest as chisel does: a header, followed by sorted objects, one per line.
func manifestOf(files map[string][]string) string {
	var lines []string
	for slice, paths := range files {
		name, _, _ := strings.Cut(slice, "_")
		lines = append(lines, fmt.Sprintf(`{"kind":"package","name":%q,"version":"1","sha256":"00","arch":"amd64"}`, name),
			fmt.Sprintf(`{"kind":"slice","name":%q}`, slice))
		for _, path := range paths {
			lines = append(lines, fmt.Sprintf(`{"kind":"content","slice":%q,"path":%q}`, slice, path),
				fmt.Sprintf(`{"kind":"path","path":%q,"mode":"0644","slices":[%q],"size":1}`, path, slice))
		}
	}
	slices.Sort(lines)
	lines = slices.Compact(lines)
	header := fmt.Sprintf(`{"jsonwall":"1.0","schema":"1.0","count":%d}`, len(lines)+1)
	return strings.Join(append([]string{header}, lines...), "\n") + "\n"
}

// The manifest and files in this root look like those that chisel writes, but the test does not
// have to download any archives.
func TestChiselUpdate(t *testing.T) {
	t.Parallel()
	clients.Need(t, "zstd")
	root := mkroot.Make(t, `
file /usr/bin/openssl size=900000
file /usr/lib/libssl.so.3 size=700000
file /usr/lib/libcrypto.so.3 size=800000
file /usr/lib/libc.so.6 size=950000
file /usr/lib/libz.so.1 size=90000
file /etc/ssl/openssl.cnf size=9000
file /app/server size=500000
`)
	put(t, root, "manifest", manifestOf(map[string][]string{
		"openssl_bins": {"/usr/bin/openssl"}, "openssl_config": {"/etc/ssl/openssl.cnf"}, "zlib1g_libs": {"/usr/lib/libz.so.1"},
		"libssl3_libs": {"/usr/lib/libssl.so.3", "/usr/lib/libcrypto.so.3"}, "libc6_libs": {"/usr/lib/libc.so.6"},
	}))
	if err := os.MkdirAll(filepath.Join(root, "var/lib/chisel"), 0o755); err != nil {
		t.Fatal(err)
	}
	const wall = "var/lib/chisel/manifest.wall"
	clients.Run(t, exec.Command("zstd", "--quiet", "--rm", filepath.Join(root, "manifest"), "-o", filepath.Join(root, wall)))
	o := assign(t, root)
	o.want(t, map[string]string{
		"/usr/bin/openssl": "chisel/openssl", "/etc/ssl/openssl.cnf": "chisel/openssl", "/usr/lib/libssl.so.3": "chisel/libssl3",
		"/" + wall: "chisel/.database", "/app/server": "chunkah/unclaimed/app",
	})
	checkUpdate(t, root, update{"chisel", randomize(t, root, "usr/lib/libz.so.1"), []string{"usr/lib/libz.so.1", wall}})
}

// This root looks like one that conda made, but needs no download from channels.
func TestCondaUpdate(t *testing.T) {
	t.Parallel()
	clients.Need(t)
	root := t.TempDir()
	packages := map[string]int{"openssl": 900_000, "zlib": 90_000, "libcurl": 600_000, "numpy": 950_000}
	for name, size := range packages {
		record := fmt.Sprintf(`{"name":%q,"version":"1.0","build":"h0_0","files":["lib/lib%s.so.1","share/%s/README"]}`, name, name, name)
		put(t, root, "opt/conda/conda-meta/"+name+"-1.0-h0_0.json", record)
		put(t, root, "opt/conda/share/"+name+"/README", "about "+name)
		putSize(t, root, "opt/conda/lib/lib"+name+".so.1", size)
	}
	put(t, root, "opt/conda/conda-meta/history", "==> 2023-11-14 22:13:20 <==\n")
	assign(t, root).want(t, map[string]string{"/opt/conda/lib/libzlib.so.1": "conda/zlib", "/opt/conda/conda-meta/history": "conda/.database"})
	checkUpdate(t, root, update{"conda", randomize(t, root, "opt/conda/lib/libzlib.so.1", "opt/conda/conda-meta/history"),
		[]string{"opt/conda/*/*zlib*", "opt/conda/conda-meta/history"}})
}

// None of the systems that these tests run on has a package of opkg, so the test makes the database
// itself.
func TestOpkgUpdate(t *testing.T) {
	clients.Need(t)
	root := t.TempDir()
	var status strings.Builder
	for name, size := range map[string]int{"busybox": 700_000, "libssl3": 600_000, "zlib": 90_000, "dropbear": 300_000} {
		fmt.Fprintf(&status, "Package: %s\nVersion: 1\nStatus: install user installed\nArchitecture: x86_64\nInstalled-Time: 1700000000\n\n", name)
		put(t, root, "usr/lib/opkg/info/"+name+".list", "/usr/lib/lib"+name+".so\n")
		put(t, root, "usr/lib/opkg/info/"+name+".control", "Package: "+name+"\nSource: package/libs/"+name+"\n")
		putSize(t, root, "usr/lib/lib"+name+".so", size)
	}
	put(t, root, "usr/lib/opkg/status", status.String())
	assign(t, root).want(t, map[string]string{"/usr/lib/libzlib.so": "opkg/zlib", "/usr/lib/opkg/status": "opkg/.database"})
	change := func() {
		randomize(t, root, "usr/lib/libzlib.so")()
		put(t, root, "usr/lib/opkg/status", strings.Replace(status.String(), "zlib\nVersion: 1", "zlib\nVersion: 2", 1))
	}
	checkUpdate(t, root, update{"opkg", change, []string{"usr/lib/libzlib.so", "usr/lib/opkg"}})
}
