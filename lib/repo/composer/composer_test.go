package composer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"chunkah/lib/repo/places"
	"chunkah/lib/repo/places/placestest"
	"chunkah/tests/bound"
)

const vendor = "/srv/app/vendor/"

// packageOf writes an entry of an installed.json of Composer 2.
func packageOf(name, path string, needs ...string) string {
	require := map[string]string{"php": ">=8.1"}
	for _, need := range needs {
		require[need] = "^1.0"
	}
	raw, err := json.Marshal(map[string]any{"name": name, "version": "v1.0.0", "install-path": path, "require": require, "bin": []string{"bin/" + strings.ReplaceAll(name, "/", "-")}})
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func list(entries ...string) string {
	return `{"packages": [` + strings.Join(entries, ",") + `], "dev": true, "dev-package-names": []}`
}

func TestProject(t *testing.T) {
	r := placestest.New(t).File("/srv/app/composer.json", `{"require": {"php": ">=8.1", "acme/web": "^1.0"}, "require-dev": {"acme/test": "*"}}`)
	r.File(vendor+"composer/installed.json", list(
		packageOf("acme/web", "../acme/web", "acme/log", "acme/big"), packageOf("acme/log", "../acme/log", "psr/log"), packageOf("psr/log", "../psr/log"),
		packageOf("acme/big", "../acme/big"), packageOf("acme/test", "../acme/test", "psr/log"), packageOf("acme/alone", "../acme/alone"),
		packageOf("drupal/core", "../../web/core"), packageOf("drupal/module", "../../web/core/modules/module"),
		packageOf("acme/path", "../acme/path"), packageOf("acme/same", "../acme/web"), packageOf("drupal/empty", "../../web/core/modules"), `{"name": "acme/meta", "install-path": null}`,
		packageOf("evil/up", "../../../../etc"), packageOf("evil/app", "../../../app"), packageOf("evil/vendor", "../../vendor"), packageOf("evil/dots", ".."), packageOf("evil/root", "/"),
	))
	for _, name := range []string{"acme/web", "acme/log", "psr/log", "acme/test", "acme/alone"} {
		r.File(vendor+name+"/src/A.php", "<?php")
	}
	r.Sparse(vendor+"acme/big/data", places.Least).File("/srv/app/web/core/core.php", "").File("/srv/app/web/core/modules/module/m.php", "").File("/srv/app/web/index.php", "")
	r.File("/srv/app/packages/path/x.php", "").Symlink(vendor+"acme/path", "../../packages/path")
	r.File(vendor+"autoload.php", "").File(vendor+"composer/autoload_real.php", "").File(vendor+"bin/acme-log", "").File(vendor+"bin/other", "").File("/srv/app/index.php", "")
	r.File(vendor+"acme/web/tests/vendor/composer/installed.json", list(packageOf("acme/log", "../acme/log"))).File(vendor+"acme/web/tests/vendor/acme/log/x", "")
	r.File("/srv/old/vendor/composer/installed.json", `[{"name": "acme/log", "require": []}]`).File("/srv/old/vendor/acme/log/x.php", "").File("/etc/passwd", "")
	a := r.Assign(Repo{})
	a.WantWarnings(`"evil/up"|but is in "/etc"`, `"evil/app"|but is in "/srv/app"`, `"evil/vendor"|but is in "/srv/app/vendor"`)
	a.Want(
		vendor+"acme/web/src/A.php", "composer/acme/web",
		vendor+"acme/log/src/A.php", "composer/acme/web",
		vendor+"psr/log/src/A.php", "composer/acme/test",
		vendor+"acme/big/data", "composer/acme/big",
		vendor+"acme/alone/src/A.php", "composer/acme/alone",
		vendor+"acme/web/tests/vendor/acme/log/x", "composer/acme/web",
		"/srv/app/web/core/core.php", "composer/drupal/core",
		"/srv/app/web/core/modules/module/m.php", "composer/drupal/module",
		"/srv/app/web/index.php", "chunkah/unclaimed/srv/app",
		"/srv/app/packages/path/x.php", "chunkah/unclaimed/srv/app",
		vendor+"bin/acme-log", "composer/acme/web",
		vendor+"bin/other", "chunkah/unclaimed/srv/app",
		vendor+"autoload.php", "composer/.database",
		vendor+"composer/installed.json", "composer/.database",
		vendor+"composer/autoload_real.php", "composer/.database",
		"/srv/app/index.php", "chunkah/unclaimed/srv/app",
		"/srv/old/vendor/acme/log/x.php", "composer/acme/log",
		"/etc/passwd", "chunkah/unclaimed",
	)
}

func TestDamage(t *testing.T) {
	r := placestest.New(t)
	for name, text := range map[string]string{"a": `{"packages": [`, "b": list(packageOf("../x", "..")), "c": `{"packages": "x"}`, "d": `[{"name": "a/b", "install-path": 1}]`} {
		r.File("/srv/"+name+"/vendor/composer/installed.json", text)
	}
	r.Sparse("/srv/e/vendor/composer/installed.json", maxInstalled+1)
	r.File("/srv/f/vendor/composer/installed.json", list(packageOf("a/b", "../a/b"))).File("/srv/f/vendor/a/b/x", "").File("/srv/f/composer.json", "[")
	a := r.Assign(Repo{})
	a.WantWarnings(`composer: project "/srv/a": reading "/srv/a/vendor/composer/installed.json": is not a list`, `"../x" is not the name`, "is not a list of packages",
		`"1" is not a path`, "is larger than", `reading "/srv/f/composer.json": is not a JSON object`)
	a.Want("/srv/a/vendor/composer/installed.json", "chunkah/unclaimed/srv/a", "/srv/f/vendor/a/b/x", "composer/a/b")
	if result, err := (Repo{}).Load(t.Context(), placestest.New(t).File("/vendor/composer/x.php", "").Tree()); err != nil || result != nil {
		t.Errorf("got %+v, %v", result, err)
	}
}

func FuzzInstalled(f *testing.F) {
	f.Add([]byte(list(packageOf("a/b", "../a/b", "c/d"), packageOf("c/d", "/x"))))
	f.Add([]byte(`[{"name": "a/b", "bin": "x", "require": []}]`))
	f.Add([]byte(`{"require": {"a/b": "*", "php": "8"}, "require-dev": []}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		bound.Input(t, len(raw))
		entries, err := parseInstalled(raw)
		if err != nil && entries != nil {
			t.Error("got entries and an error")
		}
		asked, _ := parseAsked(raw)
		for _, e := range entries {
			if !isName(e.Name) || len(e.needs) > maxNeeds || !slices.IsSorted(e.needs) {
				t.Errorf("got %+v", e)
			}
			asked = append(asked, e.needs...)
		}
		for _, name := range asked {
			if !isName(name) {
				t.Errorf("got %q", name)
			}
		}
	})
}

// TestManyNeeds checks that a package that needs too many packages is treated as damaged.
func TestManyNeeds(t *testing.T) {
	var needs []string
	for i := range maxNeeds + 1 {
		needs = append(needs, fmt.Sprintf("a/n%d", i))
	}
	if _, err := parseInstalled([]byte(list(packageOf("a/b", "..", needs...)))); err == nil || !strings.Contains(err.Error(), "more than 1024") {
		t.Errorf("got %v", err)
	}
}
