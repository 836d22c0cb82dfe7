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

	"github.com/google/go-containerregistry/pkg/authn"
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
	auth   authn.AuthConfig
	source string // a file or helper; empty where there are none
}

func (c credentials) authenticator() authn.Authenticator {
	if c.source == "" {
		return authn.Anonymous
	}
	return authn.FromConfig(c.auth)
}

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

// findCredentials looks for those of a repository.
func findCredentials(ctx context.Context, ref Ref) (credentials, error) {
	paths, required := authPaths()
	for _, path := range paths {
		file, err := readAuthFile(path)
		if errors.Is(err, fs.ErrNotExist) && !required {
			continue
		}
		if err != nil {
			return credentials{}, fmt.Errorf("reading credentials: %w", err)
		}
		found, err := file.find(ctx, ref)
		if err != nil {
			return credentials{}, fmt.Errorf("reading credentials of %q from %q: %w", ref.Registry, path, err)
		}
		if found.auth != (authn.AuthConfig{}) {
			if found.source == "" {
				found.source = path
			}
			return found, nil
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
	var file authFile
	if len(bytes.TrimSpace(data)) == 0 {
		return &file, nil // as podman and docker take it
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("%q is not JSON as podman and docker write it: %w", path, err)
	}
	return &file, nil
}

// find looks in one file.
func (f *authFile) find(ctx context.Context, ref Ref) (credentials, error) {
	for _, host := range hostKeys(ref.Registry) {
		if helper := f.CredHelpers[host]; helper != "" {
			return askHelper(ctx, helper, host)
		}
	}
	if entry := f.entry(ref); entry != (authEntry{}) {
		auth, err := entry.decode()
		return credentials{auth: auth}, err
	}
	if f.CredsStore == "" {
		return credentials{}, nil
	}
	hosts := hostKeys(ref.Registry)
	return askHelper(ctx, f.CredsStore, hosts[len(hosts)-1])
}

// hostKeys are the names of a registry in helpers, docker's own last.
func hostKeys(host string) []string {
	if host == dockerHub {
		return []string{dockerHub, dockerHubKey}
	}
	return []string{host}
}

// entry returns the most exact entry for a repository; docker leaves empty ones for what its helpers keep.
func (f *authFile) entry(ref Ref) authEntry {
	for key := ref.repository(); ; {
		if e := f.Auths[key]; e != (authEntry{}) {
			return e
		}
		slash := strings.LastIndexByte(key, '/')
		if slash < 0 {
			break
		}
		key = key[:slash]
	}
	for _, key := range slices.Sorted(maps.Keys(f.Auths)) { // docker's keys were URLs once
		if e := f.Auths[key]; e != (authEntry{}) && hostOfKey(key) == ref.Registry {
			return e
		}
	}
	return authEntry{}
}

// hostOfKey is the registry that an URL in docker's file stands for; empty for what is no URL.
func hostOfKey(key string) string {
	_, rest, ok := strings.Cut(key, "://")
	if !ok {
		return ""
	}
	host, _, _ := strings.Cut(rest, "/")
	if host == dockerIndex {
		return dockerHub
	}
	return host
}

func (e authEntry) decode() (authn.AuthConfig, error) {
	auth := authn.AuthConfig{
		Username: e.Username, Password: e.Password, IdentityToken: e.IdentityToken, RegistryToken: e.RegistryToken,
	}
	if e.Auth == "" {
		return auth, nil
	}
	data, err := base64.StdEncoding.DecodeString(e.Auth)
	user, password, ok := strings.Cut(string(data), ":")
	if err != nil || !ok {
		return auth, errors.New(`its "auth" is not base64 of USER:PASSWORD`)
	}
	auth.Username, auth.Password = user, strings.TrimRight(password, "\x00") // docker once padded it
	return auth, nil
}

// askHelper runs docker-credential-HELPER, which reads a registry's name and prints what it knows of it.
func askHelper(ctx context.Context, helper, host string) (credentials, error) {
	program := "docker-credential-" + helper
	if strings.ContainsRune(helper, filepath.Separator) {
		return credentials{}, fmt.Errorf("credential helper %q is a path: want a name, the program being docker-credential-NAME", helper)
	}
	cmd := exec.CommandContext(ctx, program, "get")
	cmd.Stdin = strings.NewReader(host)
	out, err := cmd.Output()
	if err != nil {
		said := strings.TrimSpace(string(out)) // helpers complain on standard output
		if said == helperHasNothing {
			return credentials{}, nil
		}
		return credentials{}, fmt.Errorf("running %q: %w: %.*q", program, err, maxHelperSaid, said)
	}
	var answer struct{ Username, Secret string }
	if err := json.Unmarshal(out, &answer); err != nil {
		return credentials{}, fmt.Errorf("reading what %q prints: %w", program, err)
	}
	auth := authn.AuthConfig{Username: answer.Username, Password: answer.Secret}
	if answer.Username == tokenUser {
		auth = authn.AuthConfig{IdentityToken: answer.Secret}
	}
	return credentials{auth: auth, source: program}, nil
}
