package diff

import (
	"encoding/json"
	"testing"

	"chunkah/lib/oci"
)

const wholeConfig = `{"architecture":"arm64","variant":"v8","os":"linux","os.version":"1","os.features":["f"],"author":"me","created":"2026-01-02T03:04:05Z",
"config":{"User":"u","ExposedPorts":{"80/tcp":{}},"Env":["A=1","B=2"],"Entrypoint":["/e"],"Cmd":["c"],"Volumes":{"/v":{}},"WorkingDir":"/w",
"Labels":{"k":"v","l":"w"},"StopSignal":"SIGTERM","Healthcheck":{"Test":["NONE"]},"OnBuild":["RUN x"],"Shell":["sh"],"StopTimeout":5,"Unknown":[1]},
"rootfs":{"type":"layers","diff_ids":[]},"history":[]}`

func parsed(t *testing.T, doc map[string]any) *oci.Config {
	t.Helper()
	data, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	c, err := oci.ParseConfig(data)
	if err != nil {
		t.Fatal(err)
	}
	c.Annotations = map[string]string{"a": "b"}
	return c
}

func document(t *testing.T) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal([]byte(wholeConfig), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// other returns a different value of the same type.
func other(value any) any {
	switch v := value.(type) {
	case string:
		if len(v) == len("2026-01-02T03:04:05Z") {
			return "2026-01-02T03:04:06Z"
		}
		return v + "x"
	case float64:
		return v + 1
	case []any:
		return append([]any{v[0]}, v...)
	case map[string]any:
		return map[string]any{"other": map[string]any{}}
	}
	return nil
}

// Every changed or removed config key is found and named. Keys that describe layers are ignored.
func TestConfigMutations(t *testing.T) {
	base := parsed(t, document(t))
	check := func(name string, changed map[string]any, want int) {
		found, err := Configs(base, parsed(t, changed))
		if err != nil || len(found) != want || want == 1 && found[0].Name != name {
			t.Errorf("%s: %v, %v, want %d differences", name, found, err, want)
		}
	}
	check("nothing", document(t), 0)
	for _, prefix := range []string{"", "config."} {
		keys := document(t)
		if prefix != "" {
			keys = keys["config"].(map[string]any)
		}
		for key, value := range keys {
			want := 1
			switch {
			case key == "config" || key == "Labels":
				continue
			case key == "rootfs" || key == "history":
				want = 0
			}
			for _, gone := range []bool{false, true} {
				changed := document(t)
				in := changed
				if prefix != "" {
					in = changed["config"].(map[string]any)
				}
				if gone {
					delete(in, key)
				} else if key == "os" || want == 0 {
					continue // no other value is valid
				} else {
					in[key] = other(value)
				}
				if gone && key == "os" {
					want = 0 // false is the default
				}
				check(prefix+key, changed, want)
			}
		}
	}
	for _, name := range []string{"k", "l"} {
		changed := document(t)
		changed["config"].(map[string]any)["Labels"].(map[string]any)[name] = "x"
		check("config.Labels."+name, changed, 1)
	}
	annotated := parsed(t, document(t))
	annotated.Annotations = map[string]string{"a": "c", "n": ""}
	found, err := Configs(base, annotated)
	if err != nil || len(found) != 2 || found[0].String() != `annotation "a": "b" and "c"` || found[1].String() != `annotation "n": none and ""` {
		t.Errorf("%v, %v", found, err)
	}
}
