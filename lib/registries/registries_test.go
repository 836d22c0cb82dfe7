package registries

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chunkah/lib/registry"
	"chunkah/tests/bound"
)

const sum = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// config returns a Config from one file.
func config(t *testing.T, text string) *Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "registries.conf")
	write(t, path, text)
	c, err := places{file: path, required: true}.read()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func reference(t *testing.T, text string) registry.Ref {
	t.Helper()
	ref, err := registry.ParseRef(text)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// shown formats endpoints. ! marks an insecure endpoint.
func shown(list []Endpoint) (texts []string) {
	for _, e := range list {
		text := e.Ref.String()
		if e.Insecure {
			text += "!"
		}
		texts = append(texts, text)
	}
	return texts
}

const example = `
unqualified-search-registries = ["registry.example"]
short-name-mode = "enforcing"

[[registry]]
prefix = "example.com/foo"
insecure = false
blocked = false
location = "internal.example.com/bar"

[[registry.mirror]]
location = "mirror-0.example/mirror-for-foo"

[[registry.mirror]]
location = "mirror-1.example/mirrors/foo/"
insecure = true

[[registry]]
location = "registry.example"
mirror-by-digest-only = true

[[registry.mirror]]
location = "digests.example"

[[registry]]
prefix = "registry.example/plain"
location = "registry.example/plain"
insecure = true

[[registry]]
location = "kinds.example"
[[registry.mirror]]
location = "digest.example"
pull-from-mirror = "digest-only"
[[registry.mirror]]
location = "tag.example:5000/x"
pull-from-mirror = "tag-only"
[[registry.mirror]]
location = "all.example"
pull-from-mirror = "all"

[[registry]]
location = "blocked.example"
blocked = true

[[registry]]
location = "only-mirror.example"
blocked = true
[[registry.mirror]]
location = "mirror.example"
[[registry.mirror]]
location = "blocked.example/mirror"

[[registry]]
prefix = "moved.example"
location = "blocked.example"

[[registry]]
prefix = "*.wild.example"
insecure = true

[[registry]]
prefix = "*.sub.wild.example"
location = "one.example/sub"

[[registry]]
prefix = "docker.io"
location = "hub.example/proxy"

[[registry]]
prefix = "port.example:5000"
location = "docker.io"
`

func TestPull(t *testing.T) {
	c := config(t, example)
	for in, want := range map[string][]string{
		"other.example/app:1":            {"other.example/app:1"},
		"example.com/foo/app:1":          {"mirror-0.example/mirror-for-foo/app:1", "mirror-1.example/mirrors/foo/app:1!", "internal.example.com/bar/app:1"},
		"example.com/foo:1":              {"mirror-0.example/mirror-for-foo:1", "mirror-1.example/mirrors/foo:1!", "internal.example.com/bar:1"},
		"example.com/food/app:1":         {"example.com/food/app:1"},
		"example.com/app:1":              {"example.com/app:1"},
		"registry.example/app:1":         {"registry.example/app:1"},
		"registry.example/app@" + sum:    {"digests.example/app@" + sum, "registry.example/app@" + sum},
		"registry.example/app:1@" + sum:  {"digests.example/app:1@" + sum, "registry.example/app:1@" + sum},
		"registry.example/plain/app:1":   {"registry.example/plain/app:1!"},
		"kinds.example/app:1":            {"tag.example:5000/x/app:1", "all.example/app:1", "kinds.example/app:1"},
		"kinds.example/app@" + sum:       {"digest.example/app@" + sum, "all.example/app@" + sum, "kinds.example/app@" + sum},
		"only-mirror.example/app:1":      {"mirror.example/app:1"},
		"a.wild.example/app:1":           {"a.wild.example/app:1!"},
		"a.b.wild.example:443/app:1":     {"a.b.wild.example:443/app:1!"},
		"wild.example/app:1":             {"wild.example/app:1"},
		"evil.example/a.wild.example/x":  {"evil.example/a.wild.example/x:latest"},
		"a.sub.wild.example/app:1":       {"one.example/sub/app:1"},
		"debian":                         {"hub.example/proxy/library/debian:latest"},
		"index.docker.io/org/app:1":      {"hub.example/proxy/org/app:1"},
		"port.example:5000/debian:12":    {"docker.io/library/debian:12"},
		"port.example:50000/debian:12":   {"port.example:50000/debian:12"},
		"mirror-1.example/mirrors/foo:1": {"mirror-1.example/mirrors/foo:1"},
	} {
		got, err := c.Pull(reference(t, in))
		if err != nil || !slices.Equal(shown(got), want) {
			t.Errorf("%s: got %q, %v, want %q", in, shown(got), err, want)
		}
	}
	for in, want := range map[string]string{
		"blocked.example/app:1": `"blocked.example/app" is blocked in `,
		"moved.example/app:1":   `"blocked.example/app" is blocked in `,
	} {
		if got, err := c.Pull(reference(t, in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %q, %v, want %q", in, shown(got), err, want)
		}
	}
}

// A push uses the registry in the image's name.
func TestPush(t *testing.T) {
	c := config(t, example)
	for in, want := range map[string]string{
		"example.com/foo/app:1":        "example.com/foo/app:1",
		"registry.example/plain/app:1": "registry.example/plain/app:1!",
		"a.wild.example/app:1":         "a.wild.example/app:1!",
		"moved.example/app:1":          "moved.example/app:1",
	} {
		got, err := c.Push(reference(t, in))
		if err != nil || shown([]Endpoint{got})[0] != want {
			t.Errorf("%s: got %q, %v, want %q", in, shown([]Endpoint{got}), err, want)
		}
	}
	if _, err := c.Push(reference(t, "only-mirror.example/app:1")); err == nil || !strings.Contains(err.Error(), "is blocked in") {
		t.Errorf("got %v", err)
	}
}

func TestCheckShort(t *testing.T) {
	for _, test := range []struct{ config, name, want string }{
		{"", "debian:12", ""},
		{`unqualified-search-registries = ["docker.io", "registry.example"]`, "debian", ""},
		{`unqualified-search-registries = []`, "debian", ""},
		{`unqualified-search-registries = ["registry.example/"]`, "org/app:1@" + sum, `"org/app:1@` + sum + `" has no registry: use registry.example/org/app, where podman looks first`},
		{`unqualified-search-registries = ["registry.example"]`, "localhost/app:1", ""},
		{`unqualified-search-registries = ["registry.example"]`, "registry.example:5000/app:1", ""},
		{"unqualified-search-registries = [\"registry.example\"]\n[aliases]\n\"debian\" = \"docker.io/library/debian\"", "debian:12", ""},
		{"[aliases]\n\"fedora\" = \"registry.example/fedora\"", "fedora:40", `"fedora:40" has no registry: use registry.example/fedora, as podman does`},
		{"[aliases]\n\"fedora\" = \"registry.example/fedora\"", "org/fedora:40", ""},
		{"[registries.search]\nregistries = ['registry.example']", "app", "registry.example/app, where podman looks first"},
	} {
		err := config(t, test.config).CheckShort(test.name)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s with %q: got %v, want %q", test.name, test.config, err, test.want)
		}
	}
}

// Old systems use version 1 of the file.
func TestVersion1(t *testing.T) {
	c := config(t, "[registries.insecure]\nregistries = ['plain.example:80']\n[registries.block]\nregistries = ['bad.example', 'plain.example:80/bad']")
	if got, err := c.Pull(reference(t, "plain.example:80/app:1")); err != nil || shown(got)[0] != "plain.example:80/app:1!" {
		t.Errorf("got %q, %v", shown(got), err)
	}
	for _, name := range []string{"bad.example/app", "plain.example:80/bad/app"} {
		if got, err := c.Pull(reference(t, name)); err == nil {
			t.Errorf("%s: got %q", name, shown(got))
		}
	}
}

func TestRefusedFiles(t *testing.T) {
	for text, want := range map[string]string{
		"registry":                                                                     "not TOML in the format of registries.conf: line 1",
		"[[registry]]\ninsecure = \"yes\"":                                             "line 2",
		"[[registry]]\ninsecure = true":                                                "neither prefix nor location",
		"[[registry]]\nprefix = \"a.example\"":                                         `the registry with the prefix "a.example" has no location`,
		"[[registry]]\nlocation = \"http://a\"":                                        `location "http://a" has a scheme`,
		"[[registry]]\nprefix = \"https://a\"":                                         `prefix "https://a" has a scheme`,
		"[[registry]]\nprefix = \"*.a/b\"":                                             `the prefix "*.a/b" has more than a host`,
		"[[registry]]\nlocation = \"a.example\"\npull-from-mirror = \"all\"":           "only a mirror can have",
		"[[registry]]\nlocation = \"a.example\"\n[[registry.mirror]]\ninsecure = true": `a mirror of "a.example" has no location`,
		"[[registry]]\nlocation = \"a.example\"\n[[registry.mirror]]\nlocation = \"m.example\"\npull-from-mirror = \"never\"":                       `pull-from-mirror "never": expected all, digest-only or tag-only`,
		"[[registry]]\nlocation = \"a.example\"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation=\"m.example\"\npull-from-mirror='all'": "only one of the two is allowed",
		"x = " + strings.Repeat("[", 1<<16): "arrays are nested",
	} {
		path := filepath.Join(t.TempDir(), "registries.conf")
		write(t, path, text)
		_, err := places{file: path}.read()
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60q: got %v, want %q", text, err, want)
		}
	}
	c := config(t, "[[registry]]\nprefix = \"a.example\"\nlocation = \"mirror\"")
	if _, err := c.Pull(reference(t, "a.example/app")); err == nil || !strings.Contains(err.Error(), `the location "mirror" of "a.example" does not begin with a registry's host`) {
		t.Errorf("got %v", err)
	}
}

// Only the nesting of values is limited.
func TestBracketsInText(t *testing.T) {
	text := strings.Repeat("# see [[registry\nx = \"[[ \\\" [\"\ny = '[['\n", 100)
	if tooDeep([]byte(text)) || !tooDeep([]byte(text+"z = "+strings.Repeat("[\n", 65))) {
		t.Error("brackets in comments or strings count")
	}
}

// Later files replace only the settings that they contain.
func TestDropIns(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "registries.conf"), `
unqualified-search-registries = ["first.example"]
credential-helpers = ["a"]
[[registry]]
location = "a.example"
insecure = true
[[registry]]
location = "a.example"
blocked = true
[[registry]]
location = "b.example"
insecure = true
[aliases]
x = "first.example/x"
y = "first.example/y"
`)
	write(t, filepath.Join(dir, "etc/20.conf"), "credential-helpers = [\"containers-auth.json\", \"b\"]\n[[registry]]\nlocation = \"b.example\"\n[aliases]\nx = \"\"")
	write(t, filepath.Join(dir, "etc/10.conf"), "[[registry]]\nlocation = \"b.example\"\nblocked = true\nshort-name-mode = \"disabled\"")
	write(t, filepath.Join(dir, "etc/ignored"), "not TOML")
	write(t, filepath.Join(dir, "etc/sub.conf/x.conf"), "not TOML")
	write(t, filepath.Join(dir, "user/1.conf"), "unqualified-search-registries = [\"docker.io\"]")
	p := places{file: filepath.Join(dir, "registries.conf"), dirs: []string{filepath.Join(dir, "etc"), filepath.Join(dir, "user"), filepath.Join(dir, "none")}}
	c, err := p.read()
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{"a.example/app:1": "a.example/app:1!", "b.example/app:1": "b.example/app:1"} {
		if got, err := c.Pull(reference(t, in)); err != nil || shown(got)[0] != want {
			t.Errorf("%s: got %q, %v, want %q", in, shown(got), err, want)
		}
	}
	if got := c.Helpers(); !slices.Equal(got, []string{"containers-auth.json", "b"}) {
		t.Errorf("helpers %q", got)
	}
	if err := c.CheckShort("x"); err != nil {
		t.Error(err)
	}
	if err := c.CheckShort("y"); err == nil {
		t.Error("the alias y is gone")
	}
}

func TestFind(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	const system = "/etc/containers/registries.conf"
	for _, name := range []string{"XDG_CONFIG_HOME", "CONTAINERS_REGISTRIES_CONF", "REGISTRIES_CONFIG_PATH"} {
		t.Setenv(name, "")
	}
	user := filepath.Join(home, ".config/containers/registries.conf")
	check := func(name string, want places) {
		t.Helper()
		got := find()
		if got.file != want.file || got.required != want.required || !slices.Equal(got.dirs, want.dirs) {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	check("nothing", places{system, false, []string{system + ".d", user + ".d"}})
	write(t, user, "")
	check("the user's", places{user, false, []string{user + ".d"}})
	t.Setenv("REGISTRIES_CONFIG_PATH", "/old")
	check("the old variable", places{"/old", true, []string{system + ".d", user + ".d"}})
	t.Setenv("CONTAINERS_REGISTRIES_CONF", "/named")
	check("the variable", places{"/named", true, []string{system + ".d", user + ".d"}})
	xdg := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", xdg)
	t.Setenv("CONTAINERS_REGISTRIES_CONF", "")
	t.Setenv("REGISTRIES_CONFIG_PATH", "")
	check("another directory", places{system, false, []string{system + ".d", filepath.Join(xdg, "containers/registries.conf.d")}})

	t.Setenv("CONTAINERS_REGISTRIES_CONF", filepath.Join(home, "none"))
	if _, err := Read(); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("got %v", err)
	}
	t.Setenv("CONTAINERS_REGISTRIES_CONF", os.DevNull)
	if _, err := Read(); err != nil {
		t.Error(err)
	}
}

// FuzzFile checks that a file is refused with a one-line error, or that every name gets valid
// endpoints according to the longest matching prefix.
func FuzzFile(f *testing.F) {
	f.Add([]byte(example), "example.com/foo/app:1")
	f.Add([]byte(example), "a.sub.wild.example:80/app@"+sum)
	f.Add([]byte("[registries.block]\nregistries = ['a.example']"), "a.example/app")
	f.Add([]byte("[[registry]]\nprefix = '*.'\nlocation = 'a:b'"), "a./x")
	f.Add([]byte("aliases = {a = 'b/c'}\nregistry = [{location = 'localhost', mirror = [{location = 'localhost:1//'}]}]"), "localhost/app")
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		bound.Input(t, len(data))
		doc, err := parse(data)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has several lines: %q", err)
			}
			return
		}
		c := &Config{}
		c.merge(doc, "file")
		ref, err := registry.ParseRef(name)
		if err != nil {
			return
		}
		for _, table := range c.registries {
			if found := c.find(ref); matched(nameOf(ref), table.Prefix) >= 0 && (found == nil || len(found.Prefix) < len(table.Prefix)) {
				t.Errorf("%q: the longest prefix is %q, not %+v", name, table.Prefix, found)
			}
		}
		list, err := c.Pull(ref)
		if err == nil && len(list) == 0 {
			t.Errorf("%q has no place and no error", name)
		}
		for _, e := range list {
			if again, err := registry.ParseRef(e.Ref.String()); err != nil || again != e.Ref {
				t.Errorf("%q becomes %q, which is %q, %v", name, e.Ref, again, err)
			}
			if e.Ref.Tag != ref.Tag || e.Ref.Digest != ref.Digest {
				t.Errorf("%q becomes another image, %q", name, e.Ref)
			}
		}
		if err := c.CheckShort(name); err != nil && !strings.Contains(err.Error(), "has no registry") {
			t.Errorf("%q: %v", name, err)
		}
	})
}
