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

	"chunkah/lib/fifo"
	"chunkah/lib/oci"
	"chunkah/lib/plan"
	"chunkah/lib/registry"
	"chunkah/lib/temp"
)

// outputFlags say where an image goes and what it is called there.
type outputFlags struct {
	Output  []string `short:"o" long:"output" value-name:"DEST" unquote:"false" description:"PATH or oci-archive:PATH[:REF] for an archive, docker-archive:PATH[:REF] for one that docker load takes, oci:DIR[:REF] for a layout folder, to which an image is added, docker://REF for a registry; PATH - is standard output (default: an archive there)" section:"Output" brief:"PATH, oci:DIR, docker-archive:PATH, docker://REF"`
	Tag     []string `short:"t" long:"tag" value-name:"NAME[:TAG]" unquote:"false" description:"name of the image in the output (repeatable)"`
	KeepOld bool     `long:"keep-old" description:"keep the blobs of the image that this one replaces in a layout folder, as far as chunkah has made them" brief:"keep the blobs of the image that is replaced"`
}

// target reads -o and -t.
func (f *outputFlags) target() (oci.Target, error) {
	target, _, err := f.named()
	return target, err
}

// named reads them too, and returns what the image is called besides: further names, or
// tags of the same repository.
func (f *outputFlags) named() (target oci.Target, also []string, err error) {
	switch len(f.Output) {
	case 0:
		target.Stdout = true
	case 1:
		if err := refuseOutputName(f.Output[0]); err != nil {
			return target, nil, err
		}
		if target, err = oci.ParseDestination(f.Output[0]); err != nil {
			return target, nil, &usageError{err}
		}
	default:
		return target, nil, usagef("-o %q and -o %q: there is one output: copy the image from there, as with skopeo copy", f.Output[0], f.Output[1])
	}
	var names []string
	for _, tag := range f.Tag {
		if target.Kind == oci.KindRegistry {
			tag, err = tagOf(target.Ref, tag)
		} else if err = oci.CheckTag(tag); err != nil {
			err = &usageError{err}
		} else if target.Ref != "" && target.Ref != tag {
			err = usagef("-o names the image %q and --tag %q: give one", target.Ref, tag)
		}
		if err != nil {
			return target, nil, err
		}
		if !slices.Contains(names, tag) {
			names = append(names, tag)
		}
	}
	if len(names) > 0 && target.Kind != oci.KindRegistry {
		target.Ref, names = names[0], names[1:]
	}
	return target, names, nil
}

// spareTemp has temporary files go beside the output where no other folder takes any, as in
// a container whose root is read-only.
func (f *outputFlags) spareTemp() {
	target, err := f.target()
	if err != nil || target.Path == "" || temp.Writable(temp.Dir("/var/tmp", "/tmp")) || os.Getenv("TMPDIR") != "" {
		return
	}
	for _, dir := range []string{filepath.Dir(target.Path), target.Path} {
		if temp.Writable(dir) {
			_ = os.Setenv("TMPDIR", dir) // it fails for odd names only
			return
		}
	}
}

// tagOf is the tag that --tag gives an image beside the one of -o: a name of the same
// repository.
func tagOf(output, name string) (string, error) {
	at, err := registry.ParseRef(output)
	if err != nil {
		return "", &usageError{err}
	}
	ref, err := registry.ParseRef(name)
	if err != nil || ref.Registry != at.Registry || ref.Name != at.Name || ref.Digest != "" {
		return "", usagef("-o docker://%s names the image, and --tag %q is no tag of the same repository: give --tag %s/%s:TAG", output, name, at.Registry, at.Name)
	}
	return ref.Tag, nil
}

// own tells the layers whose blobs may go with the image that is replaced; nil for none.
func (f *outputFlags) own() func(v1.History) bool {
	if f.KeepOld {
		return nil
	}
	return func(h v1.History) bool { return h.CreatedBy == plan.Author && h.Author == "" }
}

// create opens the destination, for an image with further names.
func (f *imageFlags) create(ctx context.Context, env *Env, target oci.Target, also []string, opt oci.Options) (oci.Destination, error) {
	if isPipe(target) && opt.Check == nil { // who checks takes no pipe, and says so
		return pipeArchive(ctx, target, opt)
	}
	switch {
	case target.Kind == oci.KindRegistry:
		push, err := f.push(ctx, env, target.Ref)
		if err != nil {
			return nil, err
		}
		push.Check, push.Also = opt.Check, also
		return push, nil
	case target.Kind == oci.KindLayout:
		opt.Busy = env.waits(ctx)
		return oci.OpenLayout(target.Path, target.Ref, opt)
	case target.Kind == oci.KindDockerArchive && target.Stdout:
		return oci.NewDockerArchive(env.writer(ctx), opt), nil
	case target.Kind == oci.KindDockerArchive:
		return oci.CreateDockerArchive(target.Path, opt)
	case target.Stdout:
		return oci.NewArchive(env.writer(ctx), opt), nil
	}
	return oci.CreateArchive(target.Path, opt)
}

// lockPause is how long to wait before another look at a lock that another process has.
const lockPause = 100 * time.Millisecond

// waits waits for a folder that another process writes to, and says so once.
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

// isPipe tells whether an archive goes to a named pipe.
func isPipe(target oci.Target) bool {
	if target.Stdout || target.Kind != oci.KindArchive && target.Kind != oci.KindDockerArchive {
		return false
	}
	info, err := os.Stat(target.Path)
	return err == nil && info.Mode()&os.ModeNamedPipe != 0
}

// pipeArchive writes an archive to a named pipe, whose reader may come late, and be
// slow: neither keeps the command from ending. As standard output, it is closed by
// the end of the process.
func pipeArchive(ctx context.Context, target oci.Target, opt oci.Options) (oci.Destination, error) {
	f, err := fifo.Open(ctx, target.Path, func(path string) (*os.File, error) { return os.OpenFile(path, os.O_WRONLY, 0) })
	if err != nil {
		return nil, fmt.Errorf("creating archive %q: %w", target.Path, err)
	}
	if target.Kind == oci.KindDockerArchive {
		return oci.NewDockerArchive(patient{ctx, f}, opt), nil
	}
	return oci.NewArchive(patient{ctx, f}, opt), nil
}

// writer is standard output.
func (e *Env) writer(ctx context.Context) io.Writer {
	if len(e.stdoutInfo()) > 0 {
		return e.Stdout // a file, which nobody has to wait for
	}
	return patient{ctx, e.Stdout}
}

// existing describes what of the output is there before the run.
func (e *Env) existing(target oci.Target) []os.FileInfo {
	if target.Stdout {
		return e.stdoutInfo()
	}
	if target.Kind == oci.KindRegistry {
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

// takesArchive refuses to write an archive to a terminal, to nowhere, or where there is
// no folder, before the work.
func (e *Env) takesArchive(target oci.Target) error {
	switch {
	case target.Stdout && isTerminal(e.Stdout):
		return usagef("standard output is a terminal: use -o, or redirect it")
	case target.Stdout && isClosed(e.Stdout):
		return usagef("%w, or use -o", errClosed)
	case target.Stdout, target.Kind == oci.KindRegistry:
		return nil
	case target.Kind != oci.KindLayout && !isDir(filepath.Dir(target.Path)):
		return fmt.Errorf("creating archive %q: there is no folder %q: make it, or name another", target.Path, filepath.Dir(target.Path))
	}
	info, err := os.Stat(target.Path)
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil // opening it for good says what is wrong with it
	}
	// Opened so, it neither waits for a line nor becomes the terminal of this process.
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
