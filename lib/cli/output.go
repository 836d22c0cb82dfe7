package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"chunkah/lib/image"
	"chunkah/lib/interrupt"
	"chunkah/lib/oci"
	"chunkah/lib/plan"
	"chunkah/lib/temp"
	"chunkah/lib/transport"
)

// outputFlags are the location of an image and its name there.
type outputFlags struct {
	Output  []string `short:"o" long:"output" value-name:"DEST" unquote:"false" description:"PATH for an archive, or {destinations}; PATH - is standard output (default: an archive there)" section:"Output" brief:"PATH, oci:DIR, docker-archive:PATH, docker://REF"`
	Tag     []string `short:"t" long:"tag" value-name:"NAME[:TAG]" unquote:"false" description:"name of the image in the output (repeatable)"`
	KeepOld bool     `long:"keep-old" description:"keep the blobs of the image that this one replaces in a layout folder, as far as chunkah has made them" brief:"keep the blobs of the image that is replaced"`
	digestFlags
}

// target parses -o and -t.
func (f *outputFlags) target() (image.Source, error) {
	target, _, err := f.named()
	return target, err
}

// named parses -o and -t, and returns the additional names or tags of the image.
func (f *outputFlags) named() (target image.Source, also []string, err error) {
	if len(f.Output) > 1 {
		return target, nil, usagef("-o %q and -o %q: there is one output: copy the image from there, as with skopeo copy", f.Output[0], f.Output[1])
	}
	output := append(slices.Clone(f.Output), "-")[0] // default: standard output
	if err := refuseOutputName(output); err != nil {
		return target, nil, err
	}
	if target, err = transport.ParseDestination(output); err != nil {
		return target, nil, &usageError{err}
	}
	named := target.Syntax == image.RefOnly // all tags are additional names
	var names []string
	for _, tag := range f.Tag {
		if target.Tag != nil {
			tag, err = target.Tag(target.Ref, tag)
		} else if err = oci.CheckTag(tag); err == nil && !named && target.Ref != "" && target.Ref != tag {
			err = fmt.Errorf("-o names the image %q and --tag %q: give one", target.Ref, tag)
		}
		if err != nil {
			return target, nil, &usageError{err}
		}
		if !slices.Contains(names, tag) && (!named || tag != target.Ref) {
			names = append(names, tag)
		}
	}
	if len(names) > 0 && !named {
		target.Ref, names = names[0], names[1:]
	}
	return target, names, nil
}

// spareTemp uses the directory of the output for temporary files if no other directory on disk is
// writable, for example in a container with a read-only root.
func (f *outputFlags) spareTemp() {
	target, err := f.target()
	dir := temp.Dir("/var/tmp", "/tmp")
	if err != nil || !target.IsLocalPath() || dir != temp.Memory && temp.Writable(dir) || os.Getenv("TMPDIR") != "" {
		return
	}
	for _, dir := range []string{filepath.Dir(target.Path), target.Path} {
		if temp.Writable(dir) {
			_ = os.Setenv("TMPDIR", dir) // it fails only for invalid names
			return
		}
	}
}

// own returns a function that selects the layers whose blobs can be removed with the replaced
// image, or nil to keep all blobs.
func (f *outputFlags) own() func(v1.History) bool {
	if f.KeepOld {
		return nil
	}
	return func(h v1.History) bool { return h.CreatedBy == plan.Author && h.Author == "" }
}

// create opens the output for an image with additional names. convert allows a manifest in Docker's
// format for registries that refuse that of OCI.
func (f *outputFlags) create(ctx context.Context, env *Env, images *imageFlags, readable, convert bool) (oci.Destination, error) {
	target, also, err := f.named()
	if err != nil {
		return nil, err
	}
	return target.Create(ctx, target, image.CreateOptions{
		Options: oci.Options{Own: f.own(), Readable: readable, Busy: env.waits(ctx)},
		Also:    also, Convert: convert, Stdout: env.writer(ctx), Registry: images.registryOptions(env),
	})
}

// lockPause is the interval between attempts to get a lock of another process.
const lockPause = 100 * time.Millisecond

// waits returns a function that waits for a directory that another process writes to. It prints one
// message.
func (e *Env) waits(ctx context.Context) func(path string) error {
	said := false
	return func(path string) error {
		if !said {
			e.warn("waiting for another process that is writing to %q", path)
			said = true
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(lockPause):
			return nil
		}
	}
}

// writer returns standard output with interruptible writes.
func (e *Env) writer(ctx context.Context) io.Writer {
	if len(e.stdoutInfo()) > 0 {
		return e.Stdout // writes to a file do not block
	}
	return interrupt.NewStream(ctx, e.Stdout)
}

// existing returns the files of the output that exist before the run.
func (e *Env) existing(target image.Source) []os.FileInfo {
	if target.IsStdout() {
		return e.stdoutInfo()
	}
	if !target.IsLocalPath() {
		return nil
	}
	var infos []os.FileInfo
	for _, stat := range []func(string) (os.FileInfo, error){os.Stat, os.Lstat} {
		if info, err := stat(target.Path); err == nil && (info.Mode().IsRegular() || info.IsDir()) {
			infos = append(infos, info)
		}
	}
	return infos
}

// takesArchive refuses an archive on a terminal, on a closed standard output or in a missing
// directory before the build starts.
func (e *Env) takesArchive(target image.Source) error {
	switch {
	case target.IsStdout() && isTerminal(e.Stdout):
		return usagef("standard output is a terminal: use -o, or redirect it")
	case target.IsStdout() && isClosed(e.Stdout):
		return usagef("%w, or use -o", errClosed)
	case !target.IsLocalPath():
		return nil
	case target.File && !isDir(filepath.Dir(target.Path)):
		return fmt.Errorf("creating archive %q: there is no folder %q: make it, or name another", target.Path, filepath.Dir(target.Path))
	}
	info, err := os.Stat(target.Path)
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil // the later open reports the error
	}
	// O_NONBLOCK keeps the open from blocking, and O_NOCTTY keeps the terminal from becoming the
	// controlling one.
	f, err := os.OpenFile(target.Path, os.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	if isTerminal(f) {
		return usagef("%q is a terminal: name a file with -o, or redirect standard output", target.Path)
	}
	return nil
}
