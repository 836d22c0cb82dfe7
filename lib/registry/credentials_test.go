package registry

import (
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

func TestFindCredentials(t *testing.T) {
	const (
		runtime, config, docker = "run/containers/auth.json", "config/containers/auth.json", "docker/config.json"
		auths                   = `{"auths":{%s}}`
	)
	login := func(key, user string) string {
		return fmt.Sprintf(`%q:{"auth":%q}`, key, base64.StdEncoding.EncodeToString([]byte(user+":secret")))
	}
	file := func(entries ...string) string { return fmt.Sprintf(auths, strings.Join(entries, ",")) }
	const helper = `#!/bin/sh
read host
case $1-$host in
get-registry.example) echo '{"ServerURL":"","Username":"helped","Secret":"secret"}';;
get-token.example) echo '{"Username":"<token>","Secret":"identity"}';;
get-https://index.docker.io/v1/) echo '{"Username":"hub","Secret":"secret"}';;
get-broken.example) echo 'keyring is locked'; exit 1;;
*) echo 'credentials not found in native keychain'; exit 1;;
esac
`
	for _, test := range []struct {
		name  string
		files map[string]string
		image string
		want  string // the user, "=" and an identity token, "!" and part of an error, or empty
		from  string
	}{
		{"nothing", nil, "registry.example/app", "", ""},
		{"podman's file of the login", map[string]string{runtime: file(login("registry.example", "a")), config: file(login("registry.example", "b"))}, "registry.example/app", "a", runtime},
		{"podman's file for ever", map[string]string{runtime: file(login("other.example", "a")), config: file(login("registry.example", "b")), docker: file(login("registry.example", "c"))}, "registry.example/app", "b", config},
		{"docker's file", map[string]string{runtime: `{}`, config: "", docker: file(login("registry.example", "c"))}, "registry.example/app", "c", docker},
		{"the file that is named", map[string]string{runtime: file(login("registry.example", "a")), "named": file(login("registry.example", "n"))}, "registry.example/app", "n", "named"},
		{"the file that is named and no other", map[string]string{runtime: file(login("registry.example", "a")), "named": `{}`}, "registry.example/app", "", ""},
		{"the longest key", map[string]string{runtime: file(login("registry.example", "a"), login("registry.example/team", "b"), login("registry.example/team/app", "c"), login("registry.example/te", "d"))}, "registry.example/team/app:1", "c", runtime},
		{"a key of a folder", map[string]string{runtime: file(login("registry.example", "a"), login("registry.example/team", "b"))}, "registry.example/team/sub/app", "b", runtime},
		{"no folder of that name", map[string]string{runtime: file(login("registry.example", "a"), login("registry.example/te", "b"))}, "registry.example/team/app", "a", runtime},
		{"another port", map[string]string{runtime: file(login("registry.example", "a"))}, "registry.example:5000/app", "", ""},
		{"an URL", map[string]string{docker: file(login("https://registry.example/v2/", "u"))}, "registry.example/app", "u", docker},
		{"docker.io in docker's file", map[string]string{docker: file(login(dockerHubKey, "hub"))}, "app", "hub", docker},
		{"docker.io in podman's file", map[string]string{runtime: file(login("docker.io", "hub"))}, "app", "hub", runtime},
		{"username and password", map[string]string{runtime: `{"auths":{"registry.example":{"username":"plain","password":"secret"}}}`}, "registry.example/app", "plain", runtime},
		{"identity token", map[string]string{runtime: `{"auths":{"registry.example":{"identitytoken":"x"}}}`}, "registry.example/app", "=x", runtime},
		{"helper of a registry", map[string]string{docker: `{"credHelpers":{"registry.example":"test"},` + file(login("registry.example", "a"))[1:]}, "registry.example/app", "helped", "docker-credential-test"},
		{"helper's token", map[string]string{docker: `{"credHelpers":{"token.example":"test"}}`}, "token.example/app", "=identity", "docker-credential-test"},
		{"helper for all, with an empty entry", map[string]string{docker: `{"credsStore":"test","auths":{"registry.example":{}}}`}, "registry.example/app", "helped", "docker-credential-test"},
		{"helper for all and docker.io", map[string]string{docker: `{"credsStore":"test"}`}, "app", "hub", "docker-credential-test"},
		{"helper with nothing", map[string]string{runtime: `{"credsStore":"test"}`, docker: file(login("empty.example", "c"))}, "empty.example/app", "c", docker},
		{"helper that fails", map[string]string{docker: `{"credHelpers":{"broken.example":"test"}}`}, "broken.example/app", `!running "docker-credential-test": exit status 1: "keyring is locked"`, ""},
		{"helper that is not there", map[string]string{docker: `{"credsStore":"missing"}`}, "registry.example/app", `!the key credsStore names the credential helper "missing", but "docker-credential-missing" is not in $PATH: install the helper, or remove the key`, ""},
		{"helper that is a path", map[string]string{docker: `{"credsStore":"../x"}`}, "registry.example/app", `!the key credsStore is the path "../x": use only the name after docker-credential-, or remove the key`, ""},
		{"helper of a registry that is not there", map[string]string{docker: `{"credHelpers":{"registry.example":"missing"}}`}, "registry.example/app", `!the key credHelpers["registry.example"] names the credential helper "missing"`, ""},
		{"helper of a key with a slash", map[string]string{docker: `{"credHelpers":{"registry.example/":"test"}}`}, "registry.example/app", "helped", "docker-credential-test"},
		{"helper of docker.io", map[string]string{docker: `{"credHelpers":{"https://index.docker.io/v1/":"test"}}`}, "app", "hub", "docker-credential-test"},
		{"a key with a slash", map[string]string{docker: file(login("registry.example/", "s"))}, "registry.example/team/app", "s", docker},
		{"a folder's key with a slash", map[string]string{docker: file(login("registry.example", "a"), login("registry.example/team/", "s"))}, "registry.example/team/app", "s", docker},
		{"a variable", map[string]string{"variable": file(login("registry.example", "v")), docker: file(login("registry.example", "d"))}, "registry.example/app", "v", "$DOCKER_AUTH_CONFIG"},
		{"a variable of another registry", map[string]string{"variable": file(login("other.example", "v")), docker: file(login("registry.example", "d"))}, "registry.example/app", "d", docker},
		{"a variable and a file that is named", map[string]string{"variable": file(login("registry.example", "v")), "named": file(login("registry.example", "n"))}, "registry.example/app", "n", "named"},
		{"a variable that is no JSON", map[string]string{"variable": "registry.example"}, "registry.example/app", "!$DOCKER_AUTH_CONFIG is not JSON", ""},
		{"no JSON", map[string]string{runtime: `{"auths"`}, "registry.example/app", "!auth.json\" is not JSON", ""},
		{"no base64", map[string]string{runtime: `{"auths":{"registry.example":{"auth":"?"}}}`}, "registry.example/app", `!"auth" is not USER:PASSWORD in base64`, ""},
		{"no colon", map[string]string{runtime: `{"auths":{"registry.example":{"auth":"YQ=="}}}`}, "registry.example/app", `!"auth" is not USER:PASSWORD in base64`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			noCredentials(t)
			t.Setenv("XDG_RUNTIME_DIR", filepath.Join(dir, "run"))
			t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
			t.Setenv("DOCKER_CONFIG", filepath.Join(dir, "docker"))
			writeFile(t, filepath.Join(dir, "bin/docker-credential-test"), helper)
			t.Setenv("PATH", filepath.Join(dir, "bin")+":/usr/bin:/bin")
			for name, text := range test.files {
				if name == "variable" {
					t.Setenv(envAuths, text)
					continue
				}
				path := writeFile(t, filepath.Join(dir, name), text)
				if name == "named" {
					t.Setenv("REGISTRY_AUTH_FILE", path)
				}
			}
			ref, err := ParseRef(test.image)
			if err != nil {
				t.Fatal(err)
			}
			found, err := findCredentials(t.Context(), ref, nil)
			if words, ok := strings.CutPrefix(test.want, "!"); ok {
				contains(t, err, "reading credentials", words)
				return
			}
			got := found.user
			if found.identityToken != "" {
				got = "=" + found.identityToken
			}
			if err != nil || got != test.want || !strings.HasSuffix(found.source, test.from) || test.from == "" && found.source != "" {
				t.Errorf("found %q in %q, %v, want %q in %q", got, found.source, err, test.want, test.from)
			}
		})
	}
	t.Run("the file that is named is missing", func(t *testing.T) {
		noCredentials(t)
		t.Setenv("REGISTRY_AUTH_FILE", filepath.Join(t.TempDir(), "none"))
		_, err := findCredentials(t.Context(), Ref{Registry: "registry.example", Name: "app"}, nil)
		contains(t, err, "reading credentials", "none", "no such file")
	})
}

// The helpers in registries.conf are called in the order in which they are listed. A helper's
// failure is an error only if no other helper returns credentials.
func TestCredentialHelpers(t *testing.T) {
	const helper = "#!/bin/sh\nread host\ncase $0-$host in\n*-one-one.example) echo '{\"Username\":\"1\",\"Secret\":\"x\"}';;\n" +
		"*-two-*) echo '{\"Username\":\"2\",\"Secret\":\"x\"}';;\n*) echo 'credentials not found in native keychain'; exit 1;;\nesac\n"
	dir := t.TempDir()
	noCredentials(t)
	t.Setenv("DOCKER_CONFIG", filepath.Join(dir, "docker"))
	for _, name := range []string{"one", "two"} {
		writeFile(t, filepath.Join(dir, "bin/docker-credential-"+name), helper)
	}
	writeFile(t, filepath.Join(dir, "docker/config.json"), `{"auths":{"file.example":{"username":"f","password":"x"}}}`)
	t.Setenv("PATH", filepath.Join(dir, "bin")+":/usr/bin:/bin")
	for _, test := range []struct{ image, helpers, want string }{
		{"file.example/app", "", "f"},
		{"file.example/app", "containers-auth.json two", "f"},
		{"file.example/app", "two containers-auth.json", "2"},
		{"one.example/app", "one two", "1"},
		{"other.example/app", "one two", "2"},
		{"other.example/app", "one containers-auth.json", ""},
		{"one.example/app", "missing one", "1"},
		{"other.example/app", "missing one", `!from registries.conf: the key credential-helpers names the credential helper "missing"`},
	} {
		ref, err := ParseRef(test.image)
		if err != nil {
			t.Fatal(err)
		}
		found, err := findCredentials(t.Context(), ref, strings.Fields(test.helpers))
		if words, ok := strings.CutPrefix(test.want, "!"); ok {
			contains(t, err, words)
		} else if err != nil || found.user != test.want {
			t.Errorf("%s with %q: got %q, %v, want %q", test.image, test.helpers, found.user, err, test.want)
		}
	}
}
