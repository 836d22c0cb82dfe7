package oci

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chunkah/tests/bound"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// capture returns the output of a real tool.
func capture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "config", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, append(got, '\n'), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != strings.TrimSuffix(string(want), "\n") {
		t.Errorf("%s:\n got %s\nwant %s", name, got, want)
	}
}

// configOf returns the config that Build makes from c, without the description of layers.
func configOf(t *testing.T, c *Config) []byte {
	t.Helper()
	if c.Platform.Architecture == "" {
		if err := c.SetArch("amd64"); err != nil {
			t.Fatal(err)
		}
	}
	b, err := (&Image{Config: c, Layers: testLayers("x")}).Build()
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b.Config.Data, &m); err != nil {
		t.Fatal(err)
	}
	delete(m, "rootfs")
	delete(m, "history")
	out, err := canonical(m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestParseConfigCaptures(t *testing.T) {
	for _, name := range []string{
		"podman-inspect", "podman-inspect-docker-format", "docker-inspect", "docker-inspect-classic-build",
		"skopeo-raw-config", "skopeo-config",
	} {
		t.Run(name, func(t *testing.T) {
			data := capture(t, name)
			c, err := ParseConfig(data)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "config-"+name+".json", configOf(t, c))
			if wantAnnotations := name == "podman-inspect"; wantAnnotations != (c.Annotations["k.a"] == "v") {
				t.Errorf("annotations %q", c.Annotations)
			}
			// The object and an array that contains it have the same meaning.
			var list []json.RawMessage
			if json.Unmarshal(data, &list) != nil {
				return
			}
			withoutTempName, err := ParseConfig(list[0])
			if err != nil {
				t.Fatal(err)
			}
			if got, want := configOf(t, withoutTempName), configOf(t, c); string(got) != string(want) {
				t.Errorf("withoutTempName object:\n got %s\nwant %s", got, want)
			}
		})
	}
}

func TestParseConfigForeign(t *testing.T) {
	for name, want := range map[string]string{
		"foreign-buildah-inspect":  "podman inspect",
		"foreign-skopeo-inspect":   "skopeo inspect --raw --config",
		"foreign-podman-container": "inspect its image",
		"foreign-docker-container": "inspect its image",
		"foreign-manifest":         "skopeo inspect --raw --config",
	} {
		if _, err := ParseConfig(capture(t, name)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want one with %q", name, err, want)
		}
	}
}

func TestParseConfigShapes(t *testing.T) {
	const linux = `"os":"linux"}`
	for _, test := range []struct{ name, in, want string }{
		{"empty", ` {} `, `{"architecture":"amd64","config":{},` + linux},
		{"execution", `{"Env":["A=<b>&c"],"Cmd":[]}`, `{"architecture":"amd64","config":{"Cmd":[],"Env":["A=<b>&c"]},` + linux},
		{"execution in an array", `[{"User":"1"}]`, `{"architecture":"amd64","config":{"User":"1"},` + linux},
		{"nulls", `{"Env":null,"OnBuild":null,"Labels":null,"Volumes":{"/d":null},"Future":null}`,
			`{"architecture":"amd64","config":{"Future":null,"Volumes":{"/d":{}}},` + linux},
		{"unknown keys", `{"User":"u","Future":{"b":[1.50,12345678901234567890],"a":null}}`,
			`{"architecture":"amd64","config":{"Future":{"a":null,"b":[1.50,12345678901234567890]},"User":"u"},` + linux},
		{"docker's keys", `{"ArgsEscaped":true,"Healthcheck":{"Test":["NONE"]},"OnBuild":["RUN x"],"Shell":["sh"],"StopTimeout":3}`,
			`{"architecture":"amd64","config":{"ArgsEscaped":true,"Healthcheck":{"Test":["NONE"]},"OnBuild":["RUN x"],"Shell":["sh"],"StopTimeout":3},` + linux},
		{"WorkDir", `{"WorkDir":"/w"}`, `{"architecture":"amd64","config":{"WorkingDir":"/w"},` + linux},
		{"WorkDir twice", `{"WorkDir":"/w","WorkingDir":"\u002fw"}`, `{"architecture":"amd64","config":{"WorkingDir":"/w"},` + linux},
		{"WorkDir null", `{"WorkDir":null,"WorkingDir":"/w"}`, `{"architecture":"amd64","config":{"WorkingDir":"/w"},` + linux},
		{"WorkingDir null", `{"WorkDir":"/w","WorkingDir":null}`, `{"architecture":"amd64","config":{"WorkingDir":"/w"},` + linux},
		{"image config", `{"architecture":"aarch64","os":"linux","os.features":["f"],"config":{"User":"u"},"rootfs":{"type":"layers","diff_ids":[]},"x":1}`,
			`{"architecture":"arm64","config":{"User":"u"},"os":"linux","os.features":["f"]}`},
		{"image config without config", `{"architecture":"arm","variant":"v6","created":"2020-01-02T03:04:05+01:00"}`,
			`{"architecture":"arm","config":{},"created":"2020-01-02T02:04:05Z","os":"linux","variant":"v6"}`},
		{"unknown architecture is kept", `{"architecture":"vax"}`, `{"architecture":"vax","config":{},` + linux},
		{"container_config", `{"architecture":"amd64","container_config":{"Cmd":["a"]}}`, `{"architecture":"amd64","config":{"Cmd":["a"]},` + linux},
		{"ContainerConfig", `{"Config":null,"ContainerConfig":{"User":"u","Cmd":["/bin/sh","-c","#(nop) ","CMD [\"c\"]"]},"Created":""}`,
			`{"architecture":"amd64","config":{"User":"u"},` + linux},
		{"Config wins", `{"Config":{"User":"a"},"ContainerConfig":{"User":"b"},"Created":"0001-01-01T00:00:00Z"}`,
			`{"architecture":"amd64","config":{"User":"a"},` + linux},
		{"HealthCheck beside Config", `{"Config":{},"HealthCheck":{"Test":["NONE"]},"User":"x","Labels":{"a":"b"}}`,
			`{"architecture":"amd64","config":{"Healthcheck":{"Test":["NONE"]}},` + linux},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := ParseConfig([]byte(test.in))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(configOf(t, c)); got != test.want {
				t.Errorf("\n got %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestParseConfigErrors(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"nothing", " \n", "empty"},
		{"no array", `[]`, "array of 0 images"},
		{"two images", `[{"Config":{}},{"Config":{}}]`, "array of 2 images"},
		{"null", `null`, "unknown format"},
		{"text", `"x"`, "unknown format"},
		{"array in an array", `[[{}]]`, "unknown format"},
		{"null in an array", `[null]`, "unknown format"},
		{"no known key", `{"foo":1}`, `unknown format with the keys "foo"`},
		{"trailing data", `{"Env":[]} {}`, "line 1: invalid character"},
		{"cut off", "{\n\"Env\":[", "line 2: unexpected end"},
		{"not UTF-8", "{\"User\":\"\xff\"}", "not UTF-8"},
		{"key twice", `{"Env":[],"Env":["a=b"]}`, `key "Env" occurs twice`},
		{"key twice, nested", `{"Labels":{"a":"1","a":"2"}}`, `key "a" occurs twice`},
		{"key twice, escaped", `{"Config":{"Cmd":["a"],"C\u006dd":["b"]}}`, `key "Cmd" occurs twice`},
		{"case", `{"Env":[],"cmd":["a"]}`, `unknown key "cmd": use "Cmd"`},
		{"case, alone", `{"ENV":[]}`, `unknown key "ENV": use "Env"`},
		{"case of WorkDir", `{"User":"","workdir":"/"}`, `use "WorkDir"`},
		{"Env a string", `{"Env":"A=b"}`, `key "Env" is "A=b": expected an array of strings`},
		{"Env with null", `{"Env":[null]}`, `key "Env" is [null]`},
		{"Cmd a string", `{"Config":{"Cmd":"/bin/sh"}}`, `in "Config": key "Cmd" is "/bin/sh"`},
		{"User a number", `{"User":1000}`, `key "User" is 1000: expected a string`},
		{"Labels a list", `{"Labels":["a=b"]}`, `key "Labels" is ["a=b"]: expected an object of strings`},
		{"Label a number", `{"Labels":{"a":1}}`, `key "Labels"`},
		{"ExposedPorts a list", `{"ExposedPorts":["80/tcp"]}`, `key "ExposedPorts"`},
		{"Volumes of strings", `{"Volumes":{"/a":"b"}}`, `key "Volumes"`},
		{"StopTimeout a string", `{"StopTimeout":"3"}`, `key "StopTimeout"`},
		{"Tty a string", `{"Tty":"true"}`, `key "Tty" is "true": expected true or false`},
		{"Healthcheck a list", `{"Config":{},"Healthcheck":[]}`, `key "Healthcheck" is []: expected an object`},
		{"WorkDir differs", `{"WorkDir":"/a","WorkingDir":"/b"}`, "differ: remove one of them"},
		{"WorkDir a number", `{"WorkDir":1}`, `key "WorkDir" is 1`},
		{"Config a string", `{"Config":"x"}`, `key "Config" is "x": expected an object`},
		{"execution key in an image config", `{"architecture":"amd64","Env":[]}`, "cannot be in one object"},
		{"execution key beside Config", `{"Config":{},"Env":[]}`, "cannot be in one object"},
		{"inspect key beside Env", `{"Env":[],"Architecture":"amd64"}`, "cannot be in one object"},
		{"both cases of config", `{"Config":{},"config":{}}`, "cannot be in one object"},
		{"inspect without Config", `{"Id":"x","Architecture":"amd64","Os":"linux"}`, "unknown format"},
		{"other system", `{"architecture":"amd64","os":"windows"}`, `operating system "windows"`},
		{"bad time", `{"Config":{},"Created":"yesterday"}`, `key "Created" is "yesterday"`},
		{"time a number", `{"config":{},"created":1}`, `key "created" is 1`},
		{"annotation a number", `{"Config":{},"Annotations":{"a":1}}`, `key "Annotations"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseConfig([]byte(test.in))
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "reading image config: ") {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}

// All faults are reported together, for any structure of the input.
func TestParseConfigFaults(t *testing.T) {
	for doc, want := range map[string]string{
		`{"Cmd":"sh","Env":5,"user":"u"}`: "3 faults\n  key \"Cmd\" is \"sh\": expected an array of strings\n  key \"Env\" is 5: expected an array of strings\n" +
			"  unknown key \"user\": use \"User\"",
		`{"os":"plan9","author":1,"created":"now","config":{"Cmd":"sh","Env":5}}`: "5 faults\n  key \"author\" is 1: expected a string\n" +
			"  key \"created\" is \"now\": expected a time such as 2006-01-02T15:04:05Z\n  the image is for the operating system \"plan9\": expected \"linux\"\n" +
			"  in \"config\": key \"Cmd\" is \"sh\": expected an array of strings\n  in \"config\": key \"Env\" is 5: expected an array of strings",
	} {
		if _, err := ParseConfig([]byte(doc)); err == nil || err.Error() != "reading image config: "+want {
			t.Errorf("%s: got %v", doc, err)
		}
	}
}

func TestEditLabels(t *testing.T) {
	for _, test := range []struct {
		edits []string
		want  map[string]string
		err   string
	}{
		{nil, map[string]string{"a": "1", "b-": "2"}, ""},
		{[]string{"c=x=y", "a-", "d="}, map[string]string{"b-": "2", "c": "x=y", "d": ""}, ""},
		{[]string{"c=x", "-", "d-=e-"}, map[string]string{"d-": "e-"}, ""},
		{[]string{"b--", "none-"}, map[string]string{"a": "1"}, ""},
		{[]string{"c=1", "plain"}, nil, `label "plain" is invalid`},
		{[]string{""}, nil, `label "" is invalid`},
		{[]string{"=x"}, nil, `label "=x" has no key`},
		{[]string{"k=\xff"}, nil, `is not UTF-8`},
	} {
		c := &Config{Labels: map[string]string{"a": "1", "b-": "2"}}
		err := c.EditLabels(test.edits)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) || len(c.Labels) != 2 {
				t.Errorf("%q: got %q and error %v, want one with %q", test.edits, c.Labels, err, test.err)
			}
			continue
		}
		if err != nil || !maps.Equal(c.Labels, test.want) {
			t.Errorf("%q: got %q, %v; want %q", test.edits, c.Labels, err, test.want)
		}
	}
	var c Config
	if err := c.EditAnnotations([]string{"a=b"}); err != nil || c.Annotations["a"] != "b" {
		t.Errorf("annotations: got %q, %v", c.Annotations, err)
	}
	if err := c.EditLabels([]string{"a=b", "-"}); err != nil || string(configOf(t, &c)) != `{"architecture":"amd64","config":{},"os":"linux"}` {
		t.Errorf("labels removed: got %s, %v", configOf(t, &c), err)
	}
}

func TestParseArch(t *testing.T) {
	for in, want := range map[string]string{
		"amd64": "amd64/", "x86_64": "amd64/", "X86-64": "amd64/", "amd64/v3": "amd64/v3", "i686": "386/", "aarch64": "arm64/",
		"arm64/v8": "arm64/v8", "linux/arm64/v8": "arm64/v8", "arm": "arm/", "armhf": "arm/v7", "armv7l": "arm/v7",
		"arm32v7": "arm/v7", "armv6l": "arm/v6", "armel": "arm/v5", "ppc64el": "ppc64le/", "powerpc64": "ppc64le/", "s390x": "s390x/",
		"riscv64": "riscv64/", "loongarch64": "loong64/",
		"": "error", "vax": "error", "amd64/": "error", "amd64/v9": "error", "armhf/v7": "error", "windows/amd64": "error", "riscv64/x": "error",
	} {
		arch, variant, err := ParseArch(in)
		if got := arch + "/" + variant; (want == "error") != (err != nil) || err == nil && got != want {
			t.Errorf("%q: got %q, %v; want %q", in, got, err, want)
		}
	}
	c := &Config{}
	c.Platform.Architecture, c.Platform.Variant = "arm64", "v8"
	if err := c.SetArch("aarch64"); err != nil || c.Platform.Variant != "v8" {
		t.Errorf("same architecture: got %+v, %v", c.Platform, err)
	}
	if err := c.SetArch("x86_64"); err != nil || c.Platform.Variant != "" || c.Platform.Architecture != "amd64" {
		t.Errorf("other architecture: got %+v, %v", c.Platform, err)
	}
}

// FuzzParseConfig checks that an image can be built with any accepted config, and that the config
// of the image is accepted and has the same meaning.
func FuzzParseConfig(f *testing.F) {
	names, err := filepath.Glob("testdata/config/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		f.Add(capture(f, strings.TrimSuffix(filepath.Base(name), ".json")))
	}
	f.Add([]byte(`{"WorkDir":"/w","Volumes":{"/d":null},"X":[1e5,"\u2028"]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		bound.Input(t, len(data))
		c, err := ParseConfig(data)
		if err != nil || c.Platform.Architecture == "" {
			return
		}
		first, err := (&Image{Config: c, Layers: testLayers("x")}).Build()
		if err != nil {
			return // for example a label without a key
		}
		c, err = ParseConfig(first.Config.Data)
		if err != nil {
			t.Fatalf("%s: %v", first.Config.Data, err)
		}
		second, err := (&Image{Config: c, Layers: testLayers("x")}).Build()
		if err != nil {
			t.Fatal(err)
		}
		if string(first.Config.Data) != string(second.Config.Data) {
			t.Fatalf("not the same:\n%s\n%s", first.Config.Data, second.Config.Data)
		}
	})
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
