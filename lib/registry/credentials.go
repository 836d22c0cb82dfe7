package registry

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"chunkah/lib/regular"
)

const (
	dockerHubKey = "https://index.docker.io/v1/" // docker's key for docker.io in its files and for its helpers

	// tokenUser is the user name with which a helper marks an identity token. helperHasNothing is
	// the message of a helper that has no credentials.
	tokenUser         = "<token>"
	helperHasNothing  = "credentials not found in native keychain"
	maxHelperSaid     = 200 // bytes of a helper's output in a message
	maxCredentialFile = 16 << 20
)

// credentials are login data and their source.
type credentials struct {
	user, password string
	identityToken  string // for the token server
	registryToken  string // for the registry
	source         string // a file, variable or helper; empty if no credentials were found
}

// none reports whether the credentials are empty.
func (c credentials) none() bool { return c == credentials{source: c.source} }

// authFile contains the keys that are read from podman's and docker's credential files.
type authFile struct {
	Auths       map[string]authEntry `json:"auths"`
	CredHelpers map[string]string    `json:"credHelpers"`
	CredsStore  string               `json:"credsStore"`
}

type authEntry struct {
	Auth          string `json:"auth"` // base64 of USER:PASSWORD
	Username      string `json:"username"`
	Password      string `json:"password"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

// authPaths returns the paths of the possible credential files, in podman's order, and whether the
// files must exist.
func authPaths() (paths []string, required bool) {
	if path := os.Getenv("REGISTRY_AUTH_FILE"); path != "" {
		return []string{path}, true
	}
	home, _ := os.UserHomeDir() // without a home directory, the paths below it do not exist
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		paths = append(paths, filepath.Join(dir, "containers/auth.json"))
	} else {
		paths = append(paths, fmt.Sprintf("/run/containers/%d/auth.json", os.Getuid()))
	}
	if dir := os.Getenv("XDG_CONFIG_HOME"); dir != "" {
		paths = append(paths, filepath.Join(dir, "containers/auth.json"))
	} else if home != "" {
		paths = append(paths, filepath.Join(home, ".config/containers/auth.json"))
	}
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		paths = append(paths, filepath.Join(dir, "config.json"))
	} else if home != "" {
		paths = append(paths, filepath.Join(home, ".docker/config.json"))
	}
	return paths, false
}

// envAuths is the variable that can contain the text of a config.json. docker and GitLab's runners
// read it before the files.
const envAuths = "DOCKER_AUTH_CONFIG"

// authFiles represents the credential files in a list of credential helpers, as in registries.conf.
const authFiles = "containers-auth.json"

// findCredentials calls the credential helpers, in the order of the list, to get the credentials
// for a repository. If a helper fails, findCredentials still calls the next helper. Without
// helpers, it reads the credentials from the files.
func findCredentials(ctx context.Context, ref Ref, helpers []string) (credentials, error) {
	if len(helpers) == 0 {
		helpers = []string{authFiles}
	}
	var failed error
	for _, helper := range helpers {
		var found credentials
		var err error
		if helper == authFiles {
			found, err = fileCredentials(ctx, ref)
		} else if found, err = runHelper(ctx, "credential-helpers", helper, ref.Registry); err != nil {
			err = fmt.Errorf("reading credentials of %q from registries.conf: %w", ref.Registry, err)
		}
		if err == nil && !found.none() {
			return found, nil
		}
		failed = cmp.Or(failed, err)
	}
	return credentials{}, failed
}

// fileCredentials finds the credentials for a repository in the credential files.
func fileCredentials(ctx context.Context, ref Ref) (credentials, error) {
	paths, required := authPaths()
	if text := os.Getenv(envAuths); text != "" && !required {
		file, err := parseAuthFile([]byte(text))
		if err != nil {
			return credentials{}, fmt.Errorf("reading credentials: $%s %w", envAuths, err)
		}
		if found, err := file.find(ctx, ref, "$"+envAuths); err != nil || !found.none() {
			return found, err
		}
	}
	for _, path := range paths {
		file, err := readAuthFile(path)
		if errors.Is(err, fs.ErrNotExist) && !required {
			continue
		}
		if err != nil {
			return credentials{}, fmt.Errorf("reading credentials: %w", err)
		}
		if found, err := file.find(ctx, ref, path); err != nil || !found.none() {
			return found, err
		}
	}
	return credentials{}, nil
}

func readAuthFile(path string) (*authFile, error) {
	data, err := regular.ReadConfig(path, maxCredentialFile)
	if err != nil {
		return nil, err
	}
	file, err := parseAuthFile(data)
	if err != nil {
		return nil, fmt.Errorf("%q %w", path, err)
	}
	return file, nil
}

func parseAuthFile(data []byte) (*authFile, error) {
	var file authFile
	if len(bytes.TrimSpace(data)) == 0 {
		return &file, nil // as podman and docker do
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("is not JSON in the format of podman and docker: %w", err)
	}
	return &file, nil
}

// find looks for credentials in one file. name is the file's name in errors.
func (f *authFile) find(ctx context.Context, ref Ref, name string) (credentials, error) {
	found, err := f.look(ctx, ref)
	if err != nil {
		return credentials{}, fmt.Errorf("reading credentials of %q from %q: %w", ref.Registry, name, err)
	}
	if found.source == "" && !found.none() {
		found.source = name
	}
	return found, nil
}

func (f *authFile) look(ctx context.Context, ref Ref) (credentials, error) {
	for _, key := range slices.Sorted(maps.Keys(f.CredHelpers)) {
		helper := f.CredHelpers[key]
		host := hostOfKey(key)
		if helper == "" || host != ref.Registry {
			continue
		}
		if strings.Contains(key, "://") {
			host = key // docker's key for docker.io
		}
		return runHelper(ctx, fmt.Sprintf("credHelpers[%q]", key), helper, host)
	}
	if entry := f.entry(ref); entry != (authEntry{}) {
		return entry.decode()
	}
	if f.CredsStore == "" {
		return credentials{}, nil
	}
	host := ref.Registry
	if host == dockerHub {
		host = dockerHubKey
	}
	return runHelper(ctx, "credsStore", f.CredsStore, host)
}

// entry returns the most specific entry for a repository. docker writes empty entries for
// credentials that its helpers store.
func (f *authFile) entry(ref Ref) authEntry {
	for key := ref.repository(); ; {
		for _, spelled := range []string{key, key + "/"} {
			if e := f.Auths[spelled]; e != (authEntry{}) {
				return e
			}
		}
		slash := strings.LastIndexByte(key, '/')
		if slash < 0 {
			break
		}
		key = key[:slash]
	}
	for _, key := range slices.Sorted(maps.Keys(f.Auths)) { // docker's keys were once URLs
		if e := f.Auths[key]; e != (authEntry{}) && strings.Contains(key, "://") && hostOfKey(key) == ref.Registry {
			return e
		}
	}
	return authEntry{}
}

// hostOfKey returns the registry of a key in docker's file: HOST, HOST/ or a URL.
func hostOfKey(key string) string {
	host := key
	if _, rest, ok := strings.Cut(key, "://"); ok {
		host, _, _ = strings.Cut(rest, "/")
	}
	host = strings.TrimRight(host, "/")
	if host == dockerIndex {
		return dockerHub
	}
	return host
}

func (e authEntry) decode() (credentials, error) {
	c := credentials{user: e.Username, password: e.Password, identityToken: e.IdentityToken, registryToken: e.RegistryToken}
	if e.Auth == "" {
		return c, nil
	}
	data, err := base64.StdEncoding.DecodeString(e.Auth)
	user, password, ok := strings.Cut(string(data), ":")
	if err != nil || !ok {
		return c, errors.New(`the key "auth" is not USER:PASSWORD in base64`)
	}
	c.user, c.password = user, strings.TrimRight(password, "\x00") // docker once padded passwords
	return c, nil
}

// helperPatience is how long to wait for a helper's output after the helper has exited, since its
// child processes can keep the pipe open.
const helperPatience = 5 * time.Second

// runHelper runs docker-credential-HELPER, which reads a registry's name and prints its
// credentials. key is the key in the file that names the helper.
func runHelper(ctx context.Context, key, helper, host string) (credentials, error) {
	program := "docker-credential-" + helper
	if strings.ContainsRune(helper, filepath.Separator) {
		return credentials{}, fmt.Errorf("the key %s is the path %q: use only the name after docker-credential-, or remove the key", key, helper)
	}
	cmd := exec.CommandContext(ctx, program, "get")
	cmd.Stdin = strings.NewReader(host)
	cmd.WaitDelay = helperPatience
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		// The error is not wrapped, because it would repeat the program's name.
		return credentials{}, fmt.Errorf("the key %s names the credential helper %q, but %q is not in $PATH: install the helper, or remove the key", key, helper, program)
	}
	if err != nil {
		said := strings.TrimSpace(string(out)) // helpers print errors on standard output
		if said == helperHasNothing {
			return credentials{}, nil
		}
		return credentials{}, fmt.Errorf("running %q: %w: %.*q", program, err, maxHelperSaid, said)
	}
	var answer struct{ Username, Secret string }
	if err := json.Unmarshal(out, &answer); err != nil {
		return credentials{}, fmt.Errorf("reading the output of %q: not JSON", program)
	}
	c := credentials{user: answer.Username, password: answer.Secret, source: program}
	if answer.Username == tokenUser {
		c = credentials{identityToken: answer.Secret, source: program}
	}
	return c, nil
}
