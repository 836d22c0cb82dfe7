package tests

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"chunkah/tests/clients"
)

// distVersion and distTime are the version and time of the packages in these tests.
const distVersion, distTime = "v1.2.3", "1700000000"

// sources copies the sources for make dist, without the git history.
func sources(t *testing.T, dir string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Makefile", "VERSION", "README.md", "CHANGELOG.md", "LICENSE", "go.mod", "go.sum", "cmd", "docs", "format", "lib", "scripts", "tests"} {
		clients.Run(t, exec.Command("cp", "--recursive", filepath.Join("..", name), dir))
	}
	return dir
}

// dist runs make dist.
func dist(t *testing.T, dir string, env []string, args ...string) {
	t.Helper()
	cmd := exec.Command("make", append([]string{"dist"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	clients.Run(t, cmd)
}

// make dist produces the same files for a version in any directory, with or without git, and for
// any user. The packages can be installed.
func TestDist(t *testing.T) {
	t.Parallel()
	clients.Need(t, "root", "make", "git", "dpkg", "rpm", "qemu-aarch64-static", "mmdebstrap")
	if runtime.GOARCH != "amd64" {
		clients.Lack(t, "needs an amd64 machine")
	}
	checkout := sources(t, filepath.Join(t.TempDir(), "checkout"))
	plain := sources(t, filepath.Join(t.TempDir(), "a folder", "of another name"))
	// The builds run sequentially, so that Go compiles each package only once. Another test shares
	// the arm64 program.
	arm64Program(t)
	t.Run("make", func(t *testing.T) {
		t.Run("in a checkout", func(t *testing.T) {
			git := exec.Command("sh", "-ec", `git init -q && git add . && git commit -qm all && git tag "$0"`, distVersion)
			git.Dir = checkout
			git.Env = append(os.Environ(), "GIT_COMMITTER_DATE="+distTime+" +0000", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example")
			clients.Run(t, git)
			dist(t, checkout, []string{"TZ=Asia/Tokyo"})
		})
		t.Run("in a folder", func(t *testing.T) {
			dist(t, plain, []string{"VERSION=" + distVersion, "SOURCE_DATE_EPOCH=" + distTime, "HOSTNAME=other"}, "ARCHES=amd64", "VERSION="+distVersion)
		})
	})

	out := filepath.Join(checkout, "dist")
	check := exec.Command("sha256sum", "--check", "--quiet", "SHA256SUMS")
	check.Dir = out
	clients.Run(t, check)
	names := []string{
		"SHA256SUMS", "chunkah-1.2.3-1.aarch64.rpm", "chunkah-1.2.3-1.x86_64.rpm",
		"chunkah-v1.2.3-linux-amd64.cdx.json", "chunkah-v1.2.3-linux-amd64.tar.gz", "chunkah-v1.2.3-linux-arm64.cdx.json", "chunkah-v1.2.3-linux-arm64.tar.gz",
		"chunkah_1.2.3-1_amd64.deb", "chunkah_1.2.3-1_arm64.deb", "chunkah_1.2.3-r1_aarch64.apk", "chunkah_1.2.3-r1_x86_64.apk",
	}
	if got := listNames(t, out); !slices.Equal(got, names) {
		t.Errorf("there are %q, want %q", got, names)
	}
	for _, name := range listNames(t, filepath.Join(plain, "dist")) {
		if name == "SHA256SUMS" { // here it lists the packages of only one architecture
			continue
		}
		if a, b := fileDigest(t, filepath.Join(out, name)), fileDigest(t, filepath.Join(plain, "dist", name)); a != b {
			t.Errorf("%s differs from folder to folder", name)
		}
	}
	t.Run("deb", func(t *testing.T) { installDeb(t, out) })
	t.Run("rpm", func(t *testing.T) { installRPM(t, out) })
	t.Run("same files", func(t *testing.T) { samePackages(t, out) })
	t.Run("arm64", func(t *testing.T) {
		root := t.TempDir()
		clients.Run(t, exec.Command("dpkg-deb", "--extract", out+"/chunkah_1.2.3-1_arm64.deb", root))
		wantVersion(t, "qemu-aarch64-static", root+"/usr/bin/chunkah", "--version")
	})
	t.Run("SBOM", func(t *testing.T) { billOfMaterials(t, out) })
}

// Package versions sort in the same order as their commits.
func TestPackageVersions(t *testing.T) {
	clients.Need(t, "dpkg", "rpm")
	of := func(kind, version string) string {
		return strings.TrimSpace(clients.Run(t, exec.Command("../scripts/package-version", kind, version)))
	}
	versions := []struct{ described, deb, apk string }{
		{"unknown", "0.0.0+unknown", "0.0.0"},
		{"v1.2.0-rc.1", "1.2.0~rc.1", "1.2.0_rc1"},
		{"v1.2.0-rc.1-3-g0a1b2c3", "1.2.0~rc.1+3.g0a1b2c3", "1.2.0_rc1_p3"},
		{"v1.2.0-rc.2", "1.2.0~rc.2", "1.2.0_rc2"},
		{"v1.2.0", "1.2.0", "1.2.0"},
		{"v1.2.0-9-g0a1b2c3", "1.2.0+9.g0a1b2c3", "1.2.0_p9"},
		{"v1.2.0-10-gfa1b2c3-dirty", "1.2.0+10.gfa1b2c3.dirty", "1.2.0_p10"},
		{"v1.2.1", "1.2.1", "1.2.1"},
		{"v1.10.0-dirty", "1.10.0+dirty", "1.10.0"},
	}
	for i, v := range versions {
		if got := of("deb", v.described); got != v.deb {
			t.Errorf("%s: the deb is %s, want %s", v.described, got, v.deb)
		}
		if got := of("rpm", v.described); got != v.deb {
			t.Errorf("%s: the rpm is %s, want %s", v.described, got, v.deb)
		}
		if got := of("apk", v.described); got != v.apk {
			t.Errorf("%s: the apk is %s, want %s", v.described, got, v.apk)
		}
		if i == 0 {
			continue
		}
		before := versions[i-1].deb
		clients.Run(t, exec.Command("dpkg", "--compare-versions", before, "lt", v.deb))
		if got := clients.Run(t, exec.Command("rpm", "--eval", fmt.Sprintf("%%{lua:print(rpm.vercmp(%q, %q))}", before, v.deb))); strings.TrimSpace(got) != "-1" {
			t.Errorf("rpm: %s is not before %s", before, v.deb)
		}
	}
	if got := of("deb", "6c490ac"); got != "0.0.0+6c490ac" {
		t.Errorf("got %s", got)
	}
}

// listNames returns the names in a directory.
func listNames(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// wantVersion checks that a command prints the version.
func wantVersion(t *testing.T, args ...string) {
	t.Helper()
	got := clients.Run(t, exec.Command(args[0], args[1:]...))
	if _, version, _ := strings.Cut(strings.TrimSpace(got), " "); version != distVersion {
		t.Errorf("%q prints %q", args, got)
	}
}

// installDeb installs the package in a fresh Debian system.
func installDeb(t *testing.T, out string) {
	root := copyRoot(t, debianRoot(t))
	clients.Run(t, exec.Command("cp", out+"/chunkah_1.2.3-1_amd64.deb", root+"/chunkah.deb"))
	clients.Run(t, exec.Command("chroot", root, "dpkg", "--install", "/chunkah.deb"))
	if faults := clients.Run(t, exec.Command("chroot", root, "dpkg", "--verify", "chunkah")); faults != "" {
		t.Errorf("dpkg --verify: %s", faults)
	}
	for _, name := range []string{"chunkah", "chunkah-scan", "chunkah-assign", "chunkah-pack", "chunkah-write"} {
		wantVersion(t, "chroot", root, name, "--version")
	}
	for _, name := range []string{"man/man1/chunkah-scan.1", "bash-completion/completions/chunkah", "doc/chunkah/README.md", "doc/chunkah/copyright"} {
		if _, err := os.Stat(root + "/usr/share/" + name); err != nil {
			t.Error(err)
		}
	}
	got := clients.Run(t, exec.Command("dpkg-deb", "--field", out+"/chunkah_1.2.3-1_amd64.deb", "Package", "Version", "Architecture", "Maintainer"))
	want := "Package: chunkah\nVersion: 1.2.3-1\nArchitecture: amd64\nMaintainer: The chunkah project <noreply@chunkah.invalid>\n"
	if got != want {
		t.Errorf("got %s", got)
	}
}

// installRPM installs the package in an empty root.
func installRPM(t *testing.T, out string) {
	root, file := t.TempDir(), out+"/chunkah-1.2.3-1.x86_64.rpm"
	clients.Run(t, exec.Command("rpm", "--root", root, "--dbpath", "/var/lib/rpm", "--initdb"))
	clients.Run(t, exec.Command("rpm", "--root", root, "--dbpath", "/var/lib/rpm", "--install", file))
	clients.Run(t, exec.Command("rpm", "--root", root, "--dbpath", "/var/lib/rpm", "--verify", "chunkah"))
	wantVersion(t, "chroot", root, "/usr/bin/chunkah-pack", "--version")
	got := clients.Run(t, exec.Command("rpm", "--query", "--package", "--queryformat", "%{PACKAGER}|%{VENDOR}|%{LICENSE}|%{BUILDTIME}|%{BUILDHOST}", file))
	if want := "The chunkah project <noreply@chunkah.invalid>|The chunkah project|Apache-2.0|" + distTime + "|chunkah.invalid"; got != want {
		t.Errorf("got %s", got)
	}
}

// samePackages compares the contents of the packages and the tarball.
func samePackages(t *testing.T, out string) {
	lines := func(command string) []string {
		cmd := exec.Command("bash", "-euo", "pipefail", "-c", command)
		cmd.Dir = out
		list := strings.Fields(clients.Run(t, cmd))
		slices.Sort(list)
		return slices.Compact(list)
	}
	want := lines(`tar -tzf chunkah-v1.2.3-linux-amd64.tar.gz | grep -v '/$' | sed s,^chunkah-v1.2.3-linux-amd64,/usr,`)
	if len(want) < 30 {
		t.Errorf("there are %d files", len(want))
	}
	for name, command := range map[string]string{
		"deb": `dpkg-deb --fsys-tarfile chunkah_1.2.3-1_amd64.deb | tar -t | grep -v '/$' | sed s,^\.,,`,
		"rpm": `rpm --query --package --queryformat '[%{FILEMODES:perms} %{FILENAMES}\n]' chunkah-1.2.3-1.x86_64.rpm | grep -v ^d | cut -d' ' -f2`,
		"apk": `tar --warning=no-unknown-keyword -tzf chunkah_1.2.3-r1_x86_64.apk | grep -v -e '/$' -e '^\.' | sed s,^,/,`,
	} {
		if got := lines(command); !slices.Equal(got, want) {
			t.Errorf("%s has %q, want %q", name, got, want)
		}
	}
	info := lines(`tar --warning=no-unknown-keyword -xzOf chunkah_1.2.3-r1_x86_64.apk .PKGINFO | sed -n 's/^\(pkgver\|arch\|maintainer\) = //p'`)
	for _, word := range []string{"1.2.3-r1", "x86_64", "<noreply@chunkah.invalid>"} {
		if !slices.Contains(info, word) {
			t.Errorf("the apk says %q", info)
		}
	}
}

// billOfMaterials compares the SBOM with the program's build information.
func billOfMaterials(t *testing.T, out string) {
	dir := t.TempDir()
	clients.Run(t, exec.Command("tar", "-C", dir, "--strip-components=1", "-xzf", out+"/chunkah-v1.2.3-linux-amd64.tar.gz"))
	wantVersion(t, dir+"/bin/chunkah-write", "--version")
	info, err := buildinfo.ReadFile(dir + "/bin/chunkah")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(dir + "/bin/chunkah")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"chunkah " + fmt.Sprintf("%x", sha256.Sum256(program)), "std " + strings.TrimPrefix(info.GoVersion, "go")}
	for _, m := range info.Deps {
		want = append(want, m.Path+" "+m.Version)
	}
	var doc struct {
		BOMFormat, SpecVersion string
		Metadata               struct {
			Timestamp string
			Component struct{ Name, Version string }
		}
		Components []struct {
			Name, Version string
			Hashes        []struct{ Content string }
		}
	}
	text, err := os.ReadFile(out + "/chunkah-v1.2.3-linux-amd64.cdx.json")
	if err == nil {
		err = json.Unmarshal(text, &doc)
	}
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range doc.Components {
		for _, h := range c.Hashes {
			c.Version = h.Content
		}
		got = append(got, c.Name+" "+c.Version)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || len(got) < 10 {
		t.Errorf("got %q, want %q", got, want)
	}
	if doc.BOMFormat != "CycloneDX" || doc.SpecVersion != "1.5" || doc.Metadata.Timestamp != "2023-11-14T22:13:20Z" ||
		doc.Metadata.Component.Name != "chunkah" || doc.Metadata.Component.Version != distVersion {
		t.Errorf("it describes %+v", doc)
	}
}

// On systems other than Linux, compiling fails with one clear error line.
func TestOtherSystems(t *testing.T) {
	cmd := exec.Command("go", "build", "-o", t.TempDir(), "../cmd/chunkah")
	cmd.Env = append(os.Environ(), "GOOS=darwin", "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "chunkah_runs_on_linux_only") || strings.Count(string(out), "\n") > 2 {
		t.Errorf("got %v, %s", err, out)
	}
}
