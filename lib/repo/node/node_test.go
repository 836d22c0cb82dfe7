package node

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/repo/places"
	"chunkah/lib/repo/places/placestest"
	"chunkah/tests/bound"
)

// install adds a package with a package.json and one more file of the given size.
func install(r *placestest.Root, dir string, size int64, needs ...string) *placestest.Root {
	return r.File(dir+"/package.json", manifest("dependencies", needs...)).Sparse(dir+"/lib/index.js", size)
}

func manifest(field string, needs ...string) string {
	var list []string
	for _, name := range needs {
		list = append(list, fmt.Sprintf("%q: %q", name, "^1.0.0"))
	}
	return fmt.Sprintf(`{"name": "any", %q: {%s}}`, field, strings.Join(list, ", "))
}

const app = "/app/node_modules/"

func TestGathering(t *testing.T) {
	r := placestest.New(t).File("/app/package.json", manifest("devDependencies", "web", "alpha", "@big/tool"))
	install(r, app+"web", 10, "shared", "far", "huge")
	install(r, app+"alpha", 10, "mid")
	install(r, app+"mid", 10, "shared", "mid-only")
	install(r, app+"mid-only", 10, "mid", "missing")
	install(r, app+"shared", 10) // one step away from web, two steps away from alpha
	install(r, app+"far", 10, "both")
	install(r, app+"both", 10)
	install(r, app+"@big/tool", places.Least, "both")
	install(r, app+"@big/tool/node_modules/shared", 10, "inner")
	install(r, app+"inner", 10)
	install(r, app+"huge", places.Least, "under-huge")
	install(r, app+"under-huge", 10)
	install(r, app+"extra", 10, "extra-dep")
	install(r, app+"extra-dep", 10, "extra-dep-2")
	install(r, app+"extra-dep-2", 10, "extra-dep")
	install(r, app+"loop-b", 10, "loop-a")
	install(r, app+"loop-a", 10, "loop-b")
	install(r, app+"web/test/node_modules/fixture", 10)
	a := r.Assign(Repo{})
	a.WantWarnings()
	f := "/lib/index.js"
	a.Want(
		app+"web"+f, "node/web",
		app+"alpha"+f, "node/alpha",
		app+"mid"+f, "node/alpha",
		app+"mid-only"+f, "node/alpha",
		app+"shared"+f, "node/web",
		app+"far"+f, "node/web",
		app+"both"+f, "node/@big/tool",
		app+"@big/tool"+f, "node/@big/tool",
		app+"@big/tool/package.json", "node/@big/tool",
		app+"@big/tool/node_modules/shared"+f, "node/@big/tool", // the package that needs it does not matter
		app+"inner"+f, "node/@big/tool",
		app+"huge"+f, "node/huge",
		app+"under-huge"+f, "node/web",
		app+"extra"+f, "node/extra",
		app+"extra-dep"+f, "node/extra",
		app+"extra-dep-2"+f, "node/extra",
		app+"loop-a"+f, "node/loop-a",
		app+"loop-b"+f, "node/loop-a",
		app+"web/test/node_modules/fixture"+f, "node/web",
	)
	if got := a.Summaries[0]; got.Packages != 18 {
		t.Errorf("summary: %+v", got)
	}
}

func TestProjects(t *testing.T) {
	r := placestest.New(t)
	global := "/usr/local/lib/node_modules/"
	install(r, global+"npm", 10, "tar")
	install(r, global+"npm/node_modules/tar", 10)
	r.Symlink("/usr/local/bin/npm", "../lib/node_modules/npm/lib/index.js").Symlink("/usr/local/share/npm", "../lib/node_modules/npm")
	install(r, app+"npm", 10, "other")
	install(r, app+"other", places.Least)
	install(r, "/node_modules/top", 10)
	r.Symlink(app+".bin/npm", "../npm/lib/index.js").Symlink(app+".bin/dead", "../gone").Symlink(app+".bin/out", "/bin/sh")
	r.File(app+".package-lock.json", "{}").File(app+".cache/x", "").File(app+"loose.js", "").File(app+"nopackage/x", "")
	a := r.Assign(Repo{})
	a.WantWarnings()
	a.Want(
		global+"npm/lib/index.js", "node/npm@/usr/local/lib",
		global+"npm/node_modules/tar/lib/index.js", "node/npm@/usr/local/lib",
		"/usr/local/bin/npm", "node/npm@/usr/local/lib",
		"/usr/local/share/npm", "chunkah/unclaimed/usr/local/share",
		app+"npm/lib/index.js", "node/npm",
		app+"other/lib/index.js", "node/other",
		app+".bin/npm", "node/npm",
		app+".bin/dead", "chunkah/unclaimed/app",
		app+".bin/out", "chunkah/unclaimed/app",
		app+".package-lock.json", "node/.database",
		app+".cache/x", "chunkah/unclaimed/app",
		app+"loose.js", "chunkah/unclaimed/app",
		app+"nopackage/x", "chunkah/unclaimed/app",
		"/node_modules/top/lib/index.js", "node/top",
	)
	i := slices.Index(a.Components(), "node/.database")
	if i < 0 || a.Outcome.Components[i].IntervalDays != 1 {
		t.Errorf("components: %q", a.Components())
	}
}

// TestPnpm reads packages in a store below node_modules, with links between the packages.
func TestPnpm(t *testing.T) {
	r := placestest.New(t).File("/app/package.json", `{}`).File("/app/packages/one/package.json", manifest("dependencies", "web", "two")).
		File("/app/packages/two/package.json", manifest("dependencies", "tool"))
	store := app + ".pnpm/"
	install(r, store+"web@1.0.0/node_modules/web", 10, "dep")
	install(r, store+"dep@1.0.0/node_modules/dep", 10, "web")
	install(r, store+"dep@2.0.0/node_modules/dep", 10)
	install(r, store+"tool@1.0.0/node_modules/tool", 10, "dep", "@s/leaf")
	install(r, store+"@s+leaf@1.0.0/node_modules/@s/leaf", 10)
	r.Symlink(store+"web@1.0.0/node_modules/dep", "../../dep@1.0.0/node_modules/dep")
	r.Symlink(store+"tool@1.0.0/node_modules/dep", "../../dep@2.0.0/node_modules/dep")
	r.Symlink(store+"tool@1.0.0/node_modules/@s/leaf", "../../../@s+leaf@1.0.0/node_modules/@s/leaf")
	r.Symlink("/app/packages/one/node_modules/web", "../../../node_modules/.pnpm/web@1.0.0/node_modules/web")
	r.Symlink("/app/packages/one/node_modules/two", "../../two")
	r.Symlink("/app/packages/two/node_modules/tool", "../../../node_modules/.pnpm/tool@1.0.0/node_modules/tool")
	r.File(app+".modules.yaml", "").File(store+"lock.yaml", "")
	r.Link("/store/v3/00", store+"web@1.0.0/node_modules/web/lib/index.js")
	a := r.Assign(Repo{})
	a.WantWarnings()
	f := "/lib/index.js"
	a.Want(
		store+"web@1.0.0/node_modules/web"+f, "node/web",
		store+"dep@1.0.0/node_modules/dep"+f, "node/web",
		store+"dep@2.0.0/node_modules/dep"+f, "node/tool",
		store+"tool@1.0.0/node_modules/tool"+f, "node/tool",
		store+"@s+leaf@1.0.0/node_modules/@s/leaf"+f, "node/tool",
		store+"lock.yaml", "node/.database",
		app+".modules.yaml", "node/.database",
		"/store/v3/00", "node/web",
	)
}

func TestDamagedManifest(t *testing.T) {
	r := placestest.New(t).File("/app/package.json", "{")
	for name, content := range map[string]string{
		"a-cut": "{\n\"dependencies\": {\"b\"", "b-list": "[]", "c-old": `{"dependencies": ["x"], "optionalDependencies": "x", "peerDependencies": {"d": null, "../../x": 1, "@/x": 1, "a/b": 1}}`, "d": "{}",
		"e-many": manifest("dependencies", numbered(maxNeeds+1)...),
	} {
		r.File(app+name+"/package.json", content)
	}
	r.Sparse(app+"f-huge/package.json", maxManifest+1).Symlink(app+"g-link/package.json", "../d/package.json").Mkdir(app + "h/package.json")
	a := r.Assign(Repo{})
	a.WantWarnings(
		`node: package "a-cut": reading "`+app+`a-cut/package.json": line 2: `,
		`package "b-list"|is not a JSON object`,
		`package "e-many"|more than 1024`,
		`package "f-huge"|is larger than 1048576 bytes`,
		`package "/app": reading "/app/package.json": line 1`,
	)
	a.Want(app+"a-cut/package.json", "node/a-cut", app+"d/package.json", "node/c-old", app+"g-link/package.json", "node/g-link", app+"h/package.json", format.EmptyDirectories)
}

func numbered(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprint("n", i))
	}
	return names
}

func TestSystemPackages(t *testing.T) {
	r := placestest.New(t)
	install(r, "/usr/share/node_modules/x", 10, "y")
	install(r, "/usr/share/node_modules/y", 10)
	for _, name := range []string{"x", "y"} {
		dir := "/usr/share/node_modules/" + name
		r.Own("dpkg/node-"+name, dir, dir+"/package.json", dir+"/lib", dir+"/lib/index.js")
	}
	if result, err := (Repo{}).Load(t.Context(), r.Tree()); err != nil || result != nil {
		t.Errorf("got %+v, %v", result, err)
	}
	if result, err := (Repo{}).Load(t.Context(), placestest.New(t).File("/app/package.json", "{}").Tree()); err != nil || result != nil {
		t.Errorf("got %+v, %v", result, err)
	}
}

// TestInstall installs a tree with npm and compares the result with npm's list of the packages that
// need each package.
func TestInstall(t *testing.T) {
	if testing.Short() {
		t.Skip("installs packages")
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	project := filepath.Join(dir, "app")
	if err := os.Mkdir(project, 0o755); err != nil {
		t.Fatal(err)
	}
	content := `{"name": "app", "version": "1.0.0", "dependencies": {"express": "4.21.2", "yargs": "17.7.2"}}`
	if err := os.WriteFile(filepath.Join(project, "package.json"), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	install := exec.Command(npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-progress")
	install.Dir = project
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("%v: %s", err, out)
	}
	a := placestest.Scan(t, dir).Assign(Repo{})
	a.WantWarnings()
	if want := []string{"node/.database", "node/express", "node/yargs"}; !slices.Equal(a.Components()[:3], want) {
		t.Errorf("components: %q", a.Components())
	}
	checkLock(t, a, project)
	err = fs.WalkDir(os.DirFS(dir), "app/node_modules", func(path string, d fs.DirEntry, err error) error {
		if owner := a.Owner("/" + path); err == nil && !d.IsDir() && !strings.HasPrefix(owner, "node/") {
			t.Errorf("%s belongs to %q", path, owner)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// checkLock compares the result with the lock file, which lists dependencies too.
func checkLock(t *testing.T, a *placestest.Assigned, project string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(project, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	var lock struct {
		Packages map[string]struct{ Dependencies map[string]string }
	}
	if err := json.Unmarshal(raw, &lock); err != nil {
		t.Fatal(err)
	}
	reach := func(top string) map[string]bool {
		seen := map[string]bool{}
		for todo := []string{"node_modules/" + top}; len(todo) > 0; todo = todo[1:] {
			if seen[todo[0]] {
				continue
			}
			seen[todo[0]] = true
			for name := range lock.Packages[todo[0]].Dependencies {
				for dir := todo[0]; ; dir = filepath.Dir(filepath.Dir(dir)) {
					path := filepath.Join(dir, "node_modules", name)
					if _, found := lock.Packages[path]; found || dir == "." {
						todo = append(todo, path)
						break
					}
				}
			}
		}
		return seen
	}
	express, yargs := reach("express"), reach("yargs")
	for path := range lock.Packages {
		if path == "" {
			continue
		}
		owner := a.Owner("/app/" + path + "/package.json")
		if !(owner == "node/express" && express[path] || owner == "node/yargs" && yargs[path]) {
			t.Errorf("%s belongs to %q", path, owner)
		}
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(manifest("dependencies", "a", "@s/b")), "/app/node_modules/@s/b")
	f.Add([]byte(`{"dependencies": ["x"], "peerDependencies": {"d": null, "../../x": 1}}`), "/node_modules/x")
	tree := install(placestest.New(f), app+"a", 1).Symlink(app+"b", "a").Tree()
	l := &loader{tree: tree, out: places.New("node", tree), byDir: make(map[string]int), has: make(map[string]bool)}
	l.find()
	f.Fuzz(func(t *testing.T, raw []byte, dir string) {
		bound.Input(t, len(raw)+len(dir))
		needs, err := parseNeeds(raw, true)
		if err != nil && needs != nil || !slices.IsSorted(needs) || len(needs) > maxNeeds {
			t.Errorf("got %d names, %v", len(needs), err)
		}
		for _, name := range needs {
			if slices.Contains(strings.Split(name, "/"), "..") {
				t.Errorf("got %q", name)
			}
			l.resolve("/app/x/y", name)
		}
		if strings.HasPrefix(dir, "/") {
			_, _, _ = split(dir)
		}
	})
}
