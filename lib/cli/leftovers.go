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

// folders returns the directory in which spooled files have a name for a short time.
func (f *imageFlags) folders() []string { return []string{temp.SpoolDir(f.Spool)} }

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

func (c *buildCommand) leftovers() []string {
	return slices.Concat(databases(), c.imageFlags.folders(), c.writeFlags.folders(), c.planFlags.folders(), c.metricsFlags.folders())
}

func (c *scanCommand) leftovers() []string {
	return slices.Concat(c.imageFlags.folders(), c.metricsFlags.folders())
}

func (c *assignCommand) leftovers() []string {
	return slices.Concat(databases(), c.imageFlags.folders(), c.metricsFlags.folders())
}

func (c *packCommand) leftovers() []string {
	return slices.Concat(c.imageFlags.folders(), c.planFlags.folders(), c.metricsFlags.folders(), parentDir(proofs.Path()))
}

func (c *writeCommand) leftovers() []string {
	return slices.Concat(c.imageFlags.folders(), c.writeFlags.folders(), c.metricsFlags.folders())
}

func (c *indexCommand) leftovers() []string {
	return slices.Concat(c.imageFlags.folders(), c.outputFlags.folders())
}

func (f *viewFlags) leftovers() []string {
	return slices.Concat(databases(), f.imageFlags.folders(), parentDir(f.HTML))
}

func (c *diffCommand) leftovers() []string { return c.imageFlags.folders() }

func (c *verifyCommand) leftovers() []string { return c.imageFlags.folders() }

func (c *catCommand) leftovers() []string { return c.imageFlags.folders() }

func (c *extractCommand) leftovers() []string {
	folders := slices.Concat(c.imageFlags.folders(), parentDir(c.Args.Dir), parentDir(c.Tar))
	if c.Args.Dir != "" {
		folders = append(folders, c.Args.Dir)
	}
	return folders
}

func (c *doctorCommand) leftovers() []string {
	return slices.Concat(databases(), c.imageFlags.folders())
}

func (c *sbomCommand) leftovers() []string {
	return slices.Concat(databases(), c.imageFlags.folders(), parentDir(c.Output))
}

func (c *completionCommand) leftovers() []string { return nil }

func (missingCommand) leftovers() []string { return nil }

func (versionCommand) leftovers() []string { return nil }
