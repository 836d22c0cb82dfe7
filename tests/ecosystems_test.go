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

	"chunkah/format"
	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// update is a change of one package of one ecosystem in a root.
type update struct {
	repo string // the component repo that knows the ecosystem
	// change changes the files of the package and of the database in the root.
	change func()
	// files are those that change: the package's, and those of the database. They are
	// paths from the root on, or patterns of them.
	files []string
}

// knownBefore are repos that the roots here have packages of, beside the one that they show.
var knownBefore = []string{"dpkg", "python", "node", "java", "bigfiles"}

// checkUpdate builds an image of a root, changes one package, and builds the next image. A
// client that has the first one must not download more than 1.3 times the changed files.
// Without the repo it would: otherwise the root shows nothing.
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

// rewrite gives files other contents of the same size, which do not compress.
func rewrite(t *testing.T, root string, paths ...string) func() {
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

// put writes a file into a root.
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

// putSize writes a file of a size into a root, which does not compress.
func putSize(t *testing.T, root, path string, size int) {
	t.Helper()
	text, err := io.ReadAll(io.LimitReader(mkroot.Bytes(path), int64(size)))
	if err != nil {
		t.Fatal(err)
	}
	put(t, root, path, string(text))
}

// downloads returns what a client downloads for the second of two archives.
func downloads(t *testing.T, archives []string) int64 {
	t.Helper()
	return predict(t, "podman", "oci-archive:"+archives[0], "oci-archive:"+archives[1]).Download
}

// inALayer returns the size of files of a root in a layer of their own.
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

// counter counts what is written to it.
type counter struct{ n int64 }

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// manifestOf writes a manifest as chisel does: an object per line, sorted, behind a header.
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

// The archives that chisel cuts packages out of are not needed for this root: its manifest
// and files are made here.
func TestChiselUpdate(t *testing.T) {
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
	checkUpdate(t, root, update{"chisel", rewrite(t, root, "usr/lib/libz.so.1"), []string{"usr/lib/libz.so.1", wall}})
}

// The channels of conda are not needed for this root: it is made here as conda makes one.
func TestCondaUpdate(t *testing.T) {
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
	checkUpdate(t, root, update{"conda", rewrite(t, root, "opt/conda/lib/libzlib.so.1", "opt/conda/conda-meta/history"),
		[]string{"opt/conda/*/*zlib*", "opt/conda/conda-meta/history"}})
}

// Packagist is not needed for this root: it is made here as Composer makes one.
func TestComposerUpdate(t *testing.T) {
	clients.Need(t)
	root := t.TempDir()
	var entries []string
	for name, size := range map[string]int{"acme/http": 300_000, "acme/log": 80_000, "acme/orm": 1_500_000, "acme/view": 400_000} {
		entries = append(entries, fmt.Sprintf(`{"name":%q,"version":"v1.0.0","require":{"php":">=8"},"install-path":"../%s"}`, name, name))
		putSize(t, root, "srv/app/vendor/"+name+"/src/A.php", size)
	}
	slices.Sort(entries)
	put(t, root, "srv/app/vendor/composer/installed.json", `{"packages":[`+strings.Join(entries, ",")+`]}`)
	put(t, root, "srv/app/vendor/autoload.php", "<?php")
	put(t, root, "srv/app/composer.json", `{"require":{"acme/http":"*","acme/log":"*","acme/orm":"*","acme/view":"*"}}`)
	putSize(t, root, "srv/app/index.php", 50_000)
	assign(t, root).want(t, map[string]string{"/srv/app/vendor/acme/log/src/A.php": "composer/acme/log", "/srv/app/index.php": "chunkah/unclaimed/srv/app"})
	change := func() {
		rewrite(t, root, "srv/app/vendor/acme/log/src/A.php")()
		put(t, root, "srv/app/vendor/composer/installed.json", `{"packages":[`+strings.Join(entries, ",")+`],"dev":false}`)
	}
	checkUpdate(t, root, update{"composer", change,
		[]string{"srv/app/vendor/acme/log", "srv/app/vendor/composer", "srv/app/vendor/autoload.php"}})
}

// opkg is packaged for no system that this test runs on, so that its database is made here.
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
		rewrite(t, root, "usr/lib/libzlib.so")()
		put(t, root, "usr/lib/opkg/status", strings.Replace(status.String(), "zlib\nVersion: 1", "zlib\nVersion: 2", 1))
	}
	checkUpdate(t, root, update{"opkg", change, []string{"usr/lib/libzlib.so", "usr/lib/opkg"}})
}

// Debian's packages of R packages have what R has written. They are laid where R itself
// installs to, without Debian's lists.
func TestRUpdate(t *testing.T) {
	clients.Need(t, "apt-get", "dpkg-deb")
	dir, root := t.TempDir(), t.TempDir()
	get := exec.Command("apt-get", "--quiet", "download", "r-cran-scales", "r-cran-rlang", "r-cran-digest", "r-cran-yaml")
	get.Dir = dir
	if res := start(t, get); res.code != 0 {
		clients.Lack(t, "cannot download R packages: "+res.stderr)
	}
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(debs) != 4 {
		t.Fatalf("got %q, %v", debs, err)
	}
	for _, deb := range debs {
		clients.Run(t, exec.Command("dpkg-deb", "--extract", deb, dir))
	}
	const library = "usr/local/lib/R/site-library"
	if err := os.MkdirAll(filepath.Join(root, filepath.Dir(library)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "usr/lib/R/site-library"), filepath.Join(root, library)); err != nil {
		t.Fatal(err)
	}
	o := assign(t, root)
	for _, path := range o.leaves(nil) {
		name, _, _ := strings.Cut(strings.TrimPrefix(path, "/"+library+"/"), "/")
		if got := o.of(path); got != "r/"+name {
			t.Errorf("%q is of %q, want r/%s", path, got, name)
		}
	}
	checkUpdate(t, root, update{"r", rewrite(t, root, library+"/yaml/libs/yaml.so", library+"/yaml/R/yaml.rdb"), []string{library + "/yaml"}})
}

// ExtUtils::MakeMaker installs distributions that are made here.
func TestPerlUpdate(t *testing.T) {
	clients.Need(t, "perl", "make")
	root := t.TempDir()
	for name, size := range map[string]int{"Large": 400_000, "Medium": 200_000, "Small": 20_000} {
		dir := t.TempDir()
		put(t, dir, "Makefile.PL", fmt.Sprintf("use ExtUtils::MakeMaker;\nWriteMakefile(NAME => 'Acme::%s', VERSION => '1.0', PM => {'data' => '$(INST_LIB)/Acme/%s.pm'});\n", name, name))
		putSize(t, dir, "data", size)
		cmd := exec.Command("sh", "-ec", `perl Makefile.PL INSTALLDIRS=site PREFIX=/usr/local && make install DESTDIR="$ROOT"`)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "ROOT="+root)
		clients.Run(t, cmd)
	}
	found, err := filepath.Glob(filepath.Join(root, "usr/local/share/perl/*/Acme/Small.pm"))
	if err != nil || len(found) != 1 {
		t.Fatalf("got %q, %v", found, err)
	}
	if err := os.Chmod(found[0], 0o644); err != nil {
		t.Fatal(err)
	}
	small := strings.TrimPrefix(found[0], root)
	o := assign(t, root)
	for _, path := range o.leaves(nil) {
		want := "perl/.database"
		for _, name := range []string{"Large", "Medium", "Small"} {
			if strings.Contains(path, "Acme/"+name) {
				want = "perl/Acme-" + name
			}
		}
		if got := o.of(path); got != want {
			t.Errorf("%q is of %q, want %q", path, got, want)
		}
	}
	local := only(t, root, "/usr/local/lib/*/perl/*/perllocal.pod")
	checkUpdate(t, root, update{"perl", rewrite(t, root, small), []string{small, local, "usr/local/lib/*/perl/*/auto/Acme/Small"}})
}

// The Python that runs here, without the packages in it, is laid where make install puts
// one. A file beside it changes.
func TestPythonBesideUpdate(t *testing.T) {
	clients.Need(t, "python3", "tar")
	root := t.TempDir()
	const where = "import sys; print(sys.base_prefix, 'python%d.%d' % sys.version_info[:2], end='')"
	prefix, name, _ := strings.Cut(clients.Run(t, exec.Command("python3", "-c", where)), " ")
	local := filepath.Join(root, "usr/local")
	if err := os.MkdirAll(local, 0o755); err != nil {
		t.Fatal(err)
	}
	copying := exec.Command("sh", "-ec", `tar -C "$PREFIX" --exclude=*-packages --exclude=test --exclude=config-* -c "bin/$NAME" "lib/$NAME" | tar -C "$LOCAL" -x`)
	copying.Env = append(os.Environ(), "PREFIX="+prefix, "NAME="+name, "LOCAL="+local)
	clients.Run(t, copying)
	put(t, root, "usr/local/lib/"+name+"/site-packages/README", "none")
	putSize(t, root, "usr/local/lib/app.data", 30_000)
	o := assign(t, root)
	o.have(t, strings.Replace(name, "python", "python/cpython-", 1))
	for _, path := range o.leaves(func(f *format.File) bool { return strings.Contains(f.Path, name) }) {
		if got := o.of(path); !strings.HasPrefix(got, "python/cpython-") && !strings.HasSuffix(path, "/README") {
			t.Errorf("%q is of %q", path, got)
		}
	}
	checkUpdate(t, root, update{"python", rewrite(t, root, "usr/local/lib/app.data"), []string{"usr/local/lib/app.data"}})
}

// A whole runtime has 200 MB: this one has the release file of Temurin's form and little else.
func TestJVMUpdate(t *testing.T) {
	clients.Need(t)
	root := t.TempDir()
	const home = "usr/local/lib/jdk"
	put(t, root, home+"/release", "IMPLEMENTOR=\"Eclipse Adoptium\"\nJAVA_VERSION=\"21.0.1\"\nIMAGE_TYPE=\"JRE\"\n")
	for name, size := range map[string]int{"bin/java": 20_000, "lib/modules": 900_000, "lib/server/libjvm.so": 900_000} {
		putSize(t, root, home+"/"+name, size)
	}
	putSize(t, root, "usr/local/lib/app.data", 30_000)
	assign(t, root).want(t, map[string]string{"/" + home + "/lib/modules": "jvm/eclipse-adoptium-21", "/usr/local/lib/app.data": "chunkah/unclaimed/usr/local/lib"})
	checkUpdate(t, root, update{"jvm", rewrite(t, root, "usr/local/lib/app.data"), []string{"usr/local/lib/app.data"}})
}

// NuGet is not needed for this root: it is made here as dotnet publish makes one.
func TestDotnetUpdate(t *testing.T) {
	clients.Need(t)
	root := t.TempDir()
	var targets, asked []string
	for name, size := range map[string]int{"Acme.Http": 500_000, "Acme.Log": 60_000, "Acme.Orm": 1_500_000} {
		targets = append(targets, fmt.Sprintf(`"%s/VERSION":{"runtime":{"lib/net8.0/%s.dll":{}}}`, name, name))
		asked = append(asked, fmt.Sprintf(`"%s":"VERSION"`, name))
		putSize(t, root, "app/"+name+".dll", size)
	}
	slices.Sort(targets)
	slices.Sort(asked)
	deps := fmt.Sprintf(`{"runtimeTarget":{"name":"net8"},"targets":{"net8":{"App/1":{"dependencies":{%s},"runtime":{"App.dll":{}}},%s}},"libraries":{"App/1":{"type":"project"}}}`,
		strings.Join(asked, ","), strings.Join(targets, ","))
	put(t, root, "app/App.deps.json", deps)
	putSize(t, root, "app/App.dll", 80_000)
	assign(t, root).want(t, map[string]string{"/app/Acme.Log.dll": "dotnet/Acme.Log", "/app/App.dll": "chunkah/unclaimed/app", "/app/App.deps.json": "dotnet/.database"})
	change := func() {
		rewrite(t, root, "app/Acme.Log.dll")()
		put(t, root, "app/App.deps.json", strings.ReplaceAll(deps, "VERSION", "2.0.0"))
	}
	checkUpdate(t, root, update{"dotnet", change, []string{"app/Acme.Log.dll", "app/App.deps.json"}})
}

// Yarn itself installs packages of the registry for Plug'n'Play. What a package needs goes
// with it.
func TestYarnUpdate(t *testing.T) {
	clients.Need(t, "node", "npm")
	root, dir := t.TempDir(), t.TempDir()
	get := start(t, exec.Command("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", dir, "@yarnpkg/cli-dist@4.5.3"))
	if get.code != 0 {
		clients.Lack(t, "cannot install Yarn: "+get.stderr)
	}
	put(t, root, "srv/app/package.json", `{"name":"app","dependencies":{"express":"4.21.2","chalk":"4.1.2","lodash":"4.17.21"}}`)
	put(t, root, "srv/app/.yarnrc.yml", "enableGlobalCache: false\nenableTelemetry: false\n")
	putSize(t, root, "srv/app/index.js", 50_000)
	install := exec.Command("sh", "-ec", `YARN_NPM_REGISTRY_SERVER=$(npm config get registry) node "$YARN" install`)
	install.Dir = filepath.Join(root, "srv/app")
	install.Env = append(os.Environ(), "YARN="+filepath.Join(dir, "node_modules/@yarnpkg/cli-dist/bin/yarn.js"), "HOME="+dir)
	clients.Run(t, install)

	const cache = "/srv/app/.yarn/cache/"
	gathered := map[string]string{"lodash": "lodash"}
	for _, name := range []string{"chalk", "ansi-styles", "color-convert", "color-name", "supports-color", "has-flag"} {
		gathered[name] = "chalk"
	}
	var files []string
	o := assign(t, root)
	for _, path := range o.leaves(func(f *format.File) bool { return strings.HasSuffix(f.Path, ".zip") }) {
		name, _, _ := strings.Cut(strings.TrimPrefix(path, cache), "-npm-")
		want := "yarn/express"
		if gathered[name] != "" {
			want = "yarn/" + gathered[name]
		}
		if got := o.of(path); got != want {
			t.Errorf("%q is of %q, want %s", path, got, want)
		}
		if want == "yarn/chalk" {
			files = append(files, strings.TrimPrefix(path, "/"))
		}
	}
	if len(files) != 6 {
		t.Fatalf("chalk needs %q", files)
	}
	o.want(t, map[string]string{"/srv/app/index.js": "chunkah/unclaimed/srv/app", "/srv/app/.pnp.cjs": "yarn/.database"})
	database := []string{"srv/app/.pnp.cjs", "srv/app/yarn.lock", "srv/app/.yarn/install-state.gz"}
	change := func() {
		rewrite(t, root, files...)()
		rewrite(t, root, "srv/app/.yarn/install-state.gz")()
	}
	checkUpdate(t, root, update{"yarn", change, append(files, database...)})
}
