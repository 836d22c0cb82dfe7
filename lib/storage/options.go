//go:build !cgo || exclude_graphdriver_btrfs

package storage

import (
	"path/filepath"
	"strings"

	"go.podman.io/storage/pkg/homedir"
	"go.podman.io/storage/types"
)

// options returns the store's options for the library. The directories and the driver are the same
// as for reading. They are not taken from the library, because its newer versions treat system
// directories as user directories.
func (s Store) options() (types.StoreOptions, error) {
	opt, err := types.DefaultStoreOptions()
	if err != nil {
		return opt, err
	}
	configured := Store{}
	if err := configured.configure(); err != nil {
		return opt, err
	}
	if s.Root == "" {
		s.Root, s.Driver = configured.Root, configured.Driver
	}
	if s.Driver == "" {
		s.Driver = s.prior()
	}
	if s.Driver == "" {
		s.Driver = configured.Driver
	}
	if s.Run == "" {
		s.Run = configured.Run
	}
	if s.Run == "" {
		if s.Run, err = defaultRun(); err != nil {
			return opt, err
		}
	}
	if opt.GraphDriverName != "" && opt.GraphDriverName != s.Driver {
		opt.GraphDriverOptions = nil // they belong to the other driver
	}
	if s.Options != "" {
		opt.GraphDriverOptions = strings.Split(s.Options, ",")
	}
	opt.GraphDriverName = s.Driver
	if s.Root != opt.GraphRoot {
		opt.ImageStore = ""
	}
	opt.GraphRoot, opt.RunRoot = s.Root, s.Run
	return opt, nil
}

// prior returns the driver that the store has been used with, or "".
func (s Store) prior() string {
	for _, file := range []string{"-images/images.json", "-layers"} {
		for _, driver := range []string{"overlay", "vfs"} {
			if exists(filepath.Join(s.Root, driver+file)) {
				return driver
			}
		}
	}
	return ""
}

// defaultRun returns the run root that podman uses if no configuration sets one.
func defaultRun() (string, error) {
	if !rootless() {
		return "/run/containers/storage", nil
	}
	dir, err := homedir.GetRuntimeDir()
	return filepath.Join(dir, "containers"), err
}
