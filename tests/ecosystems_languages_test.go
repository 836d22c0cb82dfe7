package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/tests/clients"
)

// This root looks like one that Composer made, but needs no download from Packagist.
func TestComposerUpdate(t *testing.T) {
	t.Parallel()
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
		randomize(t, root, "srv/app/vendor/acme/log/src/A.php")()
		put(t, root, "srv/app/vendor/composer/installed.json", `{"packages":[`+strings.Join(entries, ",")+`],"dev":false}`)
	}
	checkUpdate(t, root, update{"composer", change,
		[]string{"srv/app/vendor/acme/log", "srv/app/vendor/composer", "srv/app/vendor/autoload.php"}})
}

// Debian's packages for R contain the files that R wrote. The test moves these files, without
// Debian's file lists, to the directory into which R itself installs packages.
func TestRUpdate(t *testing.T) {
	t.Parallel()
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
	checkUpdate(t, root, update{"r", randomize(t, root, library+"/yaml/libs/yaml.so", library+"/yaml/R/yaml.rdb"), []string{library + "/yaml"}})
}

// perlFiles lists the files of a distribution in a root.
const perlFiles = `use ExtUtils::Packlist; use File::Find;
my ($root, $module) = @ARGV; (my $dir = $module) =~ s|::|/|g; my $n = 0;
find({no_chdir => 1, wanted => sub {
	return unless m|/auto/$dir/\.packlist$|;
	for (keys %{ExtUtils::Packlist->new($_)}) { print "$_\n"; $n++ }
}}, $root);
die "$module lists no files" unless $n`

// The test makes distributions and installs them with ExtUtils::MakeMaker.
func TestPerlUpdate(t *testing.T) {
	t.Parallel()
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
	for _, name := range []string{"Large", "Medium", "Small"} {
		for path := range strings.FieldsSeq(clients.Run(t, exec.Command("perl", "-e", perlFiles, root, "Acme::"+name))) {
			if got := o.of(strings.TrimPrefix(path, root)); got != "perl/Acme-"+name {
				t.Errorf("%q is of %q, and Perl lists it in Acme::%s", path, got, name)
			}
		}
	}
	local := only(t, root, "/usr/local/lib/*/perl/*/perllocal.pod")
	checkUpdate(t, root, update{"perl", randomize(t, root, small), []string{small, local, "usr/local/lib/*/perl/*/auto/Acme/Small"}})
}

// The test copies this machine's Python, without its packages, to the path that make install uses.
// Then it changes a file that is not part of Python.
func TestPythonBesideUpdate(t *testing.T) {
	t.Parallel()
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
	checkUpdate(t, root, update{"python", randomize(t, root, "usr/local/lib/app.data"), []string{"usr/local/lib/app.data"}})
}

// A complete runtime is about 200 MB in size. This runtime contains little more than a release file
// like Temurin's.
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
	checkUpdate(t, root, update{"jvm", randomize(t, root, "usr/local/lib/app.data"), []string{"usr/local/lib/app.data"}})
}

// This root looks like the output of dotnet publish, but needs no download from NuGet.
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
		randomize(t, root, "app/Acme.Log.dll")()
		put(t, root, "app/App.deps.json", strings.ReplaceAll(deps, "VERSION", "2.0.0"))
	}
	checkUpdate(t, root, update{"dotnet", change, []string{"app/Acme.Log.dll", "app/App.deps.json"}})
}

// Yarn installs real packages from the registry for Plug'n'Play. The dependencies of a package
// change together with the package.
func TestYarnUpdate(t *testing.T) {
	t.Parallel()
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
	// If CI is set, Yarn requires this variable to write a lock file.
	install.Env = append(os.Environ(), "YARN="+filepath.Join(dir, "node_modules/@yarnpkg/cli-dist/bin/yarn.js"), "HOME="+dir,
		"YARN_ENABLE_IMMUTABLE_INSTALLS=false")
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
		randomize(t, root, files...)()
		randomize(t, root, "srv/app/.yarn/install-state.gz")()
	}
	checkUpdate(t, root, update{"yarn", change, append(files, database...)})
}
