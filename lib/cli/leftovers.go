package cli

import (
	"path/filepath"
	"slices"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/cache"
	"chunkah/lib/proofs"
	"chunkah/lib/regular"
	"chunkah/lib/temp"
)

// nameLeftovers lists the unfinished files of killed runs in some directories. It does not remove
// them, because on a shared file system a lock does not show whether a run on another machine is
// still alive.
func (e *Env) nameLeftovers(folders []string) {
	slices.Sort(folders)
	var paths []string
	for _, dir := range slices.Compact(folders) {
		left, err := temp.Left(dir)
		if err != nil {
			e.debug("looking for leftovers: %w", err)
		}
		paths = append(paths, left...)
	}
	slices.Sort(paths)
	for _, path := range slices.Compact(paths) {
		e.warn("%q was left behind by a killed run: it can be deleted", path)
	}
}

// parentDir returns the directory of a file that is written under a temporary name.
func parentDir(file string) []string {
	if file == "" || file == "-" {
		return nil
	}
	return []string{filepath.Dir(file)}
}

func (f *metricsFlags) folders() []string { return parentDir(f.Metrics) }

func (f *planFlags) folders() []string { return parentDir(f.Plan) }

// leftovers returns the directory in which spooled files have a name for a short time. Commands
// that write more files have their own method.
func (f *imageFlags) leftovers() []string { return []string{temp.SpoolDir(f.Spool)} }

// folders returns the directories that can contain unfinished files of an output. These are its
// parent and a layout directory.
func (f *outputFlags) folders() []string {
	folders := parentDir(f.DigestFile)
	outputs, err := f.outputs()
	if err != nil {
		return folders // opening the output reports the error
	}
	for _, o := range outputs {
		if !o.IsLocalPath() {
			continue
		}
		path, opened, err := regular.Resolve(o.Path)
		if err != nil || opened {
			continue
		}
		path = filepath.Clean(path)
		if folders = append(folders, filepath.Dir(path)); !o.File {
			folders = append(folders, path, filepath.Join(path, v1.ImageBlobsDir, "sha256"))
		}
	}
	return folders
}

func (f *writeFlags) folders() []string {
	folders := slices.Concat(f.outputFlags.folders(), parentDir(proofs.Path()))
	if f.Cache != "" {
		folders = append(folders, cache.Folders(f.Cache)...)
	}
	return folders
}

// databases returns the directory to which component repos copy databases.
func databases() []string { return []string{temp.Dir("/tmp", "/var/tmp")} }
