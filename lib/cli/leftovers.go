package cli

import (
	"path/filepath"
	"slices"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/cache"
	"chunkah/lib/proofs"
	"chunkah/lib/regular"
	"chunkah/lib/spool"
	"chunkah/lib/temp"
)

// A tidier knows where a run of it that was killed may have left something. Runs
// that end in any other way leave nothing.
type tidier interface{ leftovers() leftovers }

// leftovers are places to look at.
type leftovers struct {
	folders []string
	cache   string
}

// nameLeftovers names what is there. It is not removed: on a file system that other
// machines share, a lock may not say all.
func (e *Env) nameLeftovers(l leftovers) {
	slices.Sort(l.folders)
	var paths []string
	look := func(left []string, err error) {
		if err != nil {
			e.debug("looking for leftovers: %w", err)
		}
		paths = append(paths, left...)
	}
	for _, dir := range slices.Compact(l.folders) {
		look(temp.Left(dir))
	}
	if l.cache != "" {
		look(cache.Left(l.cache))
	}
	slices.Sort(paths)
	for _, path := range slices.Compact(paths) {
		e.warn("%q was left by a run that was killed: it can be removed", path)
	}
}

// add puts places together.
func (l leftovers) add(more ...leftovers) leftovers {
	for _, m := range more {
		l.folders = append(l.folders, m.folders...)
		if m.cache != "" {
			l.cache = m.cache
		}
	}
	return l
}

// besides is the folder of a file that is put in place whole.
func besides(file string) leftovers {
	if file == "" || file == "-" {
		return leftovers{}
	}
	return leftovers{folders: []string{filepath.Dir(file)}}
}

func (f *metricsFlags) left() leftovers { return besides(f.Metrics) }

func (f *planFlags) left() leftovers { return besides(f.Plan) }

// left is where spools have a name for a moment.
func (f *imageFlags) left() leftovers { return leftovers{folders: []string{spool.Dir(f.Spool)}} }

func (f *viewFlags) left() leftovers { return databases().add(f.imageFlags.left(), besides(f.HTML)) }

// left is where an output has unfinished files: beside it, and in a layout folder.
func (f *outputFlags) left() leftovers {
	target, err := f.target()
	if err != nil || !target.IsLocalPath() {
		return leftovers{} // an error is told when the output is opened
	}
	path, opened, err := regular.Resolve(target.Path)
	if err != nil || opened {
		return leftovers{}
	}
	path = filepath.Clean(path)
	folders := []string{filepath.Dir(path)}
	if !target.File {
		folders = append(folders, path, filepath.Join(path, v1.ImageBlobsDir, "sha256"))
	}
	return leftovers{folders: folders}
}

func (f *writeFlags) left() leftovers {
	return leftovers{cache: f.Cache}.add(f.outputFlags.left(), besides(proofs.Path()))
}

// databases is where those who ask component repos have private copies.
func databases() leftovers { return leftovers{folders: []string{temp.Dir("/tmp", "/var/tmp")}} }

func (c *buildCommand) leftovers() leftovers {
	return databases().add(c.imageFlags.left(), c.writeFlags.left(), c.planFlags.left(), c.metricsFlags.left())
}

func (c *scanCommand) leftovers() leftovers {
	return c.imageFlags.left().add(c.metricsFlags.left())
}

func (c *assignCommand) leftovers() leftovers {
	return databases().add(c.imageFlags.left(), c.metricsFlags.left())
}

func (c *packCommand) leftovers() leftovers {
	return c.imageFlags.left().add(c.planFlags.left(), c.metricsFlags.left())
}

func (c *writeCommand) leftovers() leftovers {
	return c.imageFlags.left().add(c.writeFlags.left(), c.metricsFlags.left())
}

func (c *indexCommand) leftovers() leftovers { return c.imageFlags.left().add(c.outputFlags.left()) }

func (c *diffCommand) leftovers() leftovers { return c.imageFlags.left() }

func (c *verifyCommand) leftovers() leftovers { return c.imageFlags.left() }

func (c *inspectCommand) leftovers() leftovers { return c.viewFlags.left() }

func (c *reuseCommand) leftovers() leftovers { return c.viewFlags.left() }

func (c *doctorCommand) leftovers() leftovers { return databases().add(c.imageFlags.left()) }
