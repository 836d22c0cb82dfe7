package registry

import (
	"bytes"
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
)

const (
	dockerHubKey = "https://index.docker.io/v1/" // what docker calls docker.io in its files and to its helpers

	// What a helper gives for a user's name where its secret is an identity token, and says where it has nothing.
	tokenUser         = "<token>"
	helperHasNothing  = "credentials not found in native keychain"
	maxHelperSaid     = 200 // bytes of what a helper says that are shown
	maxCredentialFile = 16 << 20
)

// credentials are how to log in, and where that was found.
type credentials struct {
	user, password string
	identityToken  string // which the token server takes
	registryToken  string // which the registry takes
	source         string // a file, variable or helper; empty where there are none
}

// none reports whether there is nothing to log in with.
func (c credentials) none() bool { return c == credentials{source: c.source} }

// authFile is a file of podman or docker, as far as it is about logging in.
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

// authPaths are the files that may hold credentials, in podman's order, and whether they have to exist.
func authPaths() (paths []string, required bool) {
	if path := os.Getenv("REGISTRY_AUTH_FILE"); path != "" {
		return []string{path}, true
	}
	home, _ := os.UserHomeDir() // without one, the paths below it do not exist
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

// envAuths holds the text of a config.json: docker and GitLab's runners read it before the files.
const envAuths = "DOCKER_AUTH_CONFIG"

// findCredentials looks for those of a repository.
func findCredentials(ctx context.Context, ref Ref) (credentials, error) {
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
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxCredentialFile {
		return nil, fmt.Errorf("%q is no file, or too large for one with credentials", path)
	}
	data, err := os.ReadFile(path)
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
		return &file, nil // as podman and docker take it
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("is not JSON as podman and docker write it: %w", err)
	}
	return &file, nil
}

// find looks in one file, or what stands for one, of that name.
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
			host = key // what docker calls docker.io
		}
		return askHelper(ctx, fmt.Sprintf("credHelpers[%q]", key), helper, host)
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
	return askHelper(ctx, "credsStore", f.CredsStore, host)
}

// entry returns the most exact entry for a repository; docker leaves empty ones for what its helpers keep.
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
	for _, key := range slices.Sorted(maps.Keys(f.Auths)) { // docker's keys were URLs once
		if e := f.Auths[key]; e != (authEntry{}) && strings.Contains(key, "://") && hostOfKey(key) == ref.Registry {
			return e
		}
	}
	return authEntry{}
}

// hostOfKey is the registry that a key of docker's file stands for: HOST, HOST/ or a URL.
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
		return c, errors.New(`its "auth" is not base64 of USER:PASSWORD`)
	}
	c.user, c.password = user, strings.TrimRight(password, "\x00") // docker once padded it
	return c, nil
}

// helperPatience is how long the output of a helper is waited for once it has ended: what it has started may hold that open.
const helperPatience = 5 * time.Second

// askHelper runs docker-credential-HELPER, which reads a registry's name and prints what it knows of it. key is what names
// it.
func askHelper(ctx context.Context, key, helper, host string) (credentials, error) {
	program := "docker-credential-" + helper
	if strings.ContainsRune(helper, filepath.Separator) {
		return credentials{}, fmt.Errorf("its %s is the path %q: give the name after docker-credential- alone, or remove the key", key, helper)
	}
	cmd := exec.CommandContext(ctx, program, "get")
	cmd.Stdin = strings.NewReader(host)
	cmd.WaitDelay = helperPatience
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		// Not wrapped: to name a program with its path does not help here.
		return credentials{}, fmt.Errorf("its %s names the credential helper %q, and %q is not in $PATH: install it, or remove the key", key, helper, program)
	}
	if err != nil {
		said := strings.TrimSpace(string(out)) // helpers complain on standard output
		if said == helperHasNothing {
			return credentials{}, nil
		}
		return credentials{}, fmt.Errorf("running %q: %w: %.*q", program, err, maxHelperSaid, said)
	}
	var answer struct{ Username, Secret string }
	if err := json.Unmarshal(out, &answer); err != nil {
		return credentials{}, fmt.Errorf("reading what %q prints: it is not JSON", program)
	}
	c := credentials{user: answer.Username, password: answer.Secret, source: program}
	if answer.Username == tokenUser {
		c = credentials{identityToken: answer.Secret, source: program}
	}
	return c, nil
}
