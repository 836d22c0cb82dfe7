package registries

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Config combines the contents of all files. The zero Config contains no rules.
type Config struct {
	registries []registryTable // each prefix once
	search     []string
	searchFile string // the file with search
	aliases    map[string]alias
	helpers    []string
}

// alias is the image that podman uses for a name without a registry.
type alias struct{ name, file string }

const (
	fileName = "containers/registries.conf"
	system   = "/etc"
	dropIns  = ".d" // appended to fileName: the directory with additional files
)

// places are the locations of the files.
type places struct {
	file     string
	required bool     // the file must exist
	dirs     []string // directories with additional files
}

// find finds the locations, as podman does. The only difference is that $XDG_CONFIG_HOME can
// replace the user's ~/.config.
func find() places {
	user := os.Getenv("XDG_CONFIG_HOME")
	if home, err := os.UserHomeDir(); user == "" && err == nil {
		user = filepath.Join(home, ".config")
	}
	var p places
	dirs := []string{filepath.Join(system, fileName+dropIns)}
	if user != "" {
		dirs = append(dirs, filepath.Join(user, fileName+dropIns))
	}
	for _, name := range []string{"CONTAINERS_REGISTRIES_CONF", "REGISTRIES_CONFIG_PATH"} {
		if p.file = os.Getenv(name); p.file != "" {
			return places{p.file, true, dirs}
		}
	}
	if user != "" {
		p.file = filepath.Join(user, fileName)
		if _, err := os.Stat(p.file); err == nil {
			return places{p.file, false, dirs[1:]}
		}
	}
	return places{filepath.Join(system, fileName), false, dirs}
}

// Read reads all files. If a file cannot be read or parsed, Read returns an error.
func Read() (*Config, error) { return find().read() }

func (p places) read() (*Config, error) {
	c := &Config{}
	if err := c.add(p.file); err != nil && (p.required || !errors.Is(err, fs.ErrNotExist)) {
		return nil, fmt.Errorf("reading the configuration of registries: %w", err)
	}
	for _, dir := range p.dirs {
		entries, err := os.ReadDir(dir) // sorted
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("reading the configuration of registries: %w", err)
		}
		for _, e := range entries {
			if e.IsDir() || !strings.HasSuffix(e.Name(), ".conf") {
				continue
			}
			if err := c.add(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("reading the configuration of registries: %w", err)
			}
		}
	}
	return c, nil
}

// add reads a file and applies it on top of the files before it.
func (c *Config) add(path string) error {
	doc, err := readFile(path)
	if err != nil {
		return err
	}
	c.merge(doc, path)
	return nil
}

func (c *Config) merge(doc *document, path string) {
	byPrefix := map[string]registryTable{}
	for _, t := range slices.Backward(doc.Registries) { // within a file, the first one counts
		byPrefix[t.Prefix] = t
	}
	for _, t := range c.registries {
		if _, replaced := byPrefix[t.Prefix]; !replaced {
			byPrefix[t.Prefix] = t
		}
	}
	c.registries = nil
	for _, prefix := range slices.Sorted(maps.Keys(byPrefix)) {
		c.registries = append(c.registries, byPrefix[prefix])
	}
	if doc.Search != nil {
		c.search, c.searchFile = doc.Search, path
	}
	if doc.Helpers != nil {
		c.helpers = doc.Helpers
	}
	if c.aliases == nil {
		c.aliases = map[string]alias{}
	}
	for name, to := range doc.Aliases {
		c.aliases[name] = alias{to, path}
		if to == "" {
			delete(c.aliases, name)
		}
	}
}

// Helpers returns the credential helpers, in the order in which they are called. The list is empty
// if only credential files are used.
func (c *Config) Helpers() []string { return c.helpers }
