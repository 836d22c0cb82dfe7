// Package storage reads and writes images in containers-storage, which podman, buildah and CRI-O
// use.
//
// To read an image, the package rebuilds each layer's tar from the unpacked files and from the
// tar-split metadata in the storage. It copies no files and takes no locks, and layers have the
// digests listed in the image's config. To write an image, it streams the tars into
// go.podman.io/storage, the library that podman uses.
package storage

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Store is a directory that contains images.
type Store struct {
	// Driver is the storage driver, overlay or vfs.
	Driver string
	// Root is the graph root, by default /var/lib/containers/storage.
	Root string
	// Run is the run root, by default taken from storage.conf. It is used for writing only.
	Run string
	// Options are the driver's options, joined by commas. They are used for writing only.
	Options string
}

// drivers contains the supported drivers. Each function returns the path of a layer's files,
// relative to the driver's directory.
var drivers = map[string]func(layer string) string{
	"overlay": func(layer string) string { return filepath.Join(layer, "diff") },
	"vfs":     func(layer string) string { return filepath.Join("dir", layer) },
}

// ParseRef splits [[DRIVER@]GRAPHROOT[+RUNROOT][:OPTIONS]]NAME, the syntax of podman and skopeo,
// into the store and the name. The outer brackets are literal. If they are missing, the store is
// empty.
func ParseRef(ref string) (Store, string, error) {
	rest, found := strings.CutPrefix(ref, "[")
	if !found {
		return Store{}, ref, checkName(ref)
	}
	place, name, found := strings.Cut(rest, "]")
	if !found {
		return Store{}, "", errors.New(`has "[" without "]"`)
	}
	var s Store
	driver, root, found := strings.Cut(place, "@")
	if found {
		if s.Driver = driver; drivers[driver] == nil {
			return s, "", fmt.Errorf("has the storage driver %q: expected overlay or vfs", driver)
		}
	} else {
		root = place
	}
	root, s.Options, _ = strings.Cut(root, ":")
	if s.Root, s.Run, found = strings.Cut(root, "+"); !filepath.IsAbs(s.Root) {
		return s, "", fmt.Errorf("has the graph root %q, which must be an absolute path", s.Root)
	}
	if found && !filepath.IsAbs(s.Run) {
		return s, "", fmt.Errorf("has the run root %q, which must be an absolute path", s.Run)
	}
	return s, name, checkName(name)
}

func checkName(name string) error {
	if name == "" {
		return errors.New("has no image name")
	}
	return nil
}

// Find fills in the missing fields of a store from containers-storage.conf(5) and podman's
// defaults.
func (s Store) Find() (Store, error) {
	if s.Root == "" {
		if err := s.configure(); err != nil {
			return s, err
		}
	}
	for _, driver := range []string{"overlay", "vfs"} {
		if s.Driver == "" && exists(s.images(driver)) {
			s.Driver = driver
		}
	}
	switch {
	case s.Driver == "":
		return s, missingError{fmt.Sprintf("%q contains no images", s.Root)}
	case drivers[s.Driver] == nil:
		return s, fmt.Errorf("the storage %q uses the driver %q, but chunkah reads only overlay and vfs: use podman save", s.Root, s.Driver)
	}
	return s, nil
}

// Dir returns the graph root, or "" if it cannot be determined.
func (s Store) Dir() string {
	if s.Root == "" && s.configure() != nil {
		return ""
	}
	return s.Root
}

func (s Store) images(driver string) string {
	return filepath.Join(s.Root, driver+"-images", "images.json")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// rootless reports whether podman would use a user's storage, for example under podman unshare.
func rootless() bool {
	uid := os.Getenv("_CONTAINERS_ROOTLESS_UID")
	return os.Geteuid() != 0 || uid != "" && uid != "0"
}

// configure sets the graph root, run root and driver of this user.
func (s *Store) configure() error {
	home, err := os.UserHomeDir()
	if rootless() && err != nil {
		return fmt.Errorf("finding the storage of this user: %w", err)
	}
	settings, own, err := readConf(home)
	if err != nil {
		return err
	}
	if s.Driver = os.Getenv("STORAGE_DRIVER"); s.Driver == "" {
		s.Driver = settings["driver"]
	}
	root, run := settings["graphroot"], settings["runroot"]
	if rootless() && !own {
		root, run = settings["rootless_storage_path"], ""
	}
	s.Run = expand(run)
	switch {
	case root != "":
		s.Root = expand(root)
	case !rootless():
		s.Root = "/var/lib/containers/storage"
	case os.Getenv("XDG_DATA_HOME") != "":
		s.Root = filepath.Join(os.Getenv("XDG_DATA_HOME"), "containers/storage")
	default:
		s.Root = filepath.Join(home, ".local/share/containers/storage")
	}
	return nil
}

// expand replaces variables in a path from the configuration.
func expand(path string) string {
	return os.Expand(path, func(name string) string {
		if name == "UID" {
			return uid()
		}
		return os.Getenv(name)
	})
}

// uid returns the ID of the user outside of podman unshare.
func uid() string {
	if uid := os.Getenv("_CONTAINERS_ROOTLESS_UID"); uid != "" {
		return uid
	}
	return strconv.Itoa(os.Geteuid())
}

// readConf reads the effective storage.conf. own is set if the file belongs to the user rather than
// to the system.
func readConf(home string) (settings map[string]string, own bool, err error) {
	if path := os.Getenv("CONTAINERS_STORAGE_CONF"); path != "" {
		settings, err = parseConf(path)
		return settings, true, err
	}
	paths := []string{"/etc/containers/storage.conf", "/usr/share/containers/storage.conf"}
	if rootless() {
		config := os.Getenv("XDG_CONFIG_HOME")
		if config == "" {
			config = filepath.Join(home, ".config")
		}
		paths = append([]string{filepath.Join(config, "containers/storage.conf")}, paths...)
	}
	for i, path := range paths {
		settings, err := parseConf(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return settings, rootless() && i == 0, err
	}
	return nil, false, nil
}

// parseConf reads the strings in the [storage] section of a TOML file. It expects one setting per
// line, the usual style.
func parseConf(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	settings, section := map[string]string{}, ""
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			section = line
		}
		key, value, found := strings.Cut(line, "=")
		if !found || section != "[storage]" || strings.HasPrefix(line, "#") {
			continue
		}
		value = strings.TrimSpace(value)
		if len(value) < 2 || value[0] != '"' && value[0] != '\'' {
			continue
		}
		if end := strings.IndexByte(value[1:], value[0]); end >= 0 {
			settings[strings.TrimSpace(key)] = value[1 : 1+end]
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading %q: %w", path, err)
	}
	return settings, nil
}
