package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"chunkah/lib/image"
	"chunkah/lib/interrupt"
	"chunkah/lib/names"
	"chunkah/lib/oci"
	"chunkah/lib/plan"
	"chunkah/lib/temp"
)

// outputFlags are the location of an image and its name at that location.
type outputFlags struct {
	Output  []string `short:"o" long:"output" value-name:"DEST" unquote:"false" description:"PATH for an archive, or {destinations}. If PATH is -, the archive is written to standard output. This is the default. Repeat the option to write one build to several outputs" section:"Output" brief:"PATH, oci:DIR, docker-archive:PATH, docker://REF"`
	Tag     []string `short:"t" long:"tag" value-name:"NAME[:TAG]" unquote:"false" description:"name of the image in the output (repeatable)"`
	KeepOld bool     `long:"keep-old" description:"in a layout directory, keep the blobs of the image that is replaced (default: delete those that chunkah made)" brief:"keep the blobs of the image that is replaced"`
	digestFlags
}

// target returns the first output.
func (f *outputFlags) target() (image.Location, error) {
	outputs, err := f.outputs()
	if err != nil {
		return image.Location{}, err
	}
	return outputs[0].Location, nil
}

// outputs parses -o and -t.
func (f *outputFlags) outputs() ([]names.Output, error) {
	outputs, err := names.Outputs(f.Output, f.Tag)
	if err != nil {
		return nil, &usageError{err}
	}
	return outputs, nil
}

// useOutputForTemp uses the output's directory for temporary files if no other directory on disk is
// writable, for example in a container with a read-only root.
func (f *outputFlags) useOutputForTemp() {
	outputs, err := f.outputs()
	dir := temp.Dir("/var/tmp", "/tmp")
	if err != nil || dir != temp.Memory && temp.Writable(dir) || os.Getenv("TMPDIR") != "" {
		return
	}
	for _, o := range outputs {
		for _, dir := range []string{filepath.Dir(o.Path), o.Path} {
			if o.IsLocalPath() && temp.Writable(dir) {
				_ = os.Setenv("TMPDIR", dir) // it fails only for invalid names
				return
			}
		}
	}
}

// removableLayers returns a function that selects the layers whose blobs can be removed together
// with the replaced image. It returns nil to keep all blobs.
func (f *outputFlags) removableLayers() func(v1.History) bool {
	if f.KeepOld {
		return nil
	}
	return func(h v1.History) bool { return h.CreatedBy == plan.Author && h.Author == "" }
}

// create opens the outputs. convert allows a manifest in Docker's format for a registry that
// refuses OCI manifests. The other outputs keep the OCI manifest.
func (f *outputFlags) create(ctx context.Context, env *Env, images image.Options, readable, convert bool) (oci.Destination, error) {
	outputs, err := f.outputs()
	if err != nil {
		return nil, err
	}
	var opened []oci.Output
	for _, o := range outputs {
		dest, err := o.Create(ctx, o.Location, image.CreateOptions{
			Options: oci.Options{Own: f.removableLayers(), Readable: readable, Busy: env.waitForDir(ctx)},
			Also:    o.Also, Convert: convert, Stdout: env.writer(ctx), Registry: images.Registry,
			Warn: func(text string) { env.warn("%s", text) },
		})
		if err != nil {
			if len(opened) > 0 {
				err = errors.Join(err, oci.NewSeveral(opened).Discard())
			}
			return nil, err
		}
		ref, also := o.IndexNames()
		opened = append(opened, oci.Output{Destination: dest, Name: o.String(), Ref: ref, Also: also})
	}
	if len(opened) == 1 {
		return opened[0].Destination, nil
	}
	return oci.NewSeveral(opened), nil
}

// lockPause is the interval between attempts to get a lock that another process holds.
const lockPause = 100 * time.Millisecond

// waitForDir returns a function that waits for a directory that another process writes to. It
// prints one message.
func (e *Env) waitForDir(ctx context.Context) func(path string) error {
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

// writer returns standard output with writes that can be interrupted.
func (e *Env) writer(ctx context.Context) io.Writer {
	if len(e.stdoutInfo()) > 0 {
		return e.Stdout // writes to a file do not block
	}
	return interrupt.NewStream(ctx, e.Stdout)
}

// existing returns the files of the output that exist before the run.
func (e *Env) existing(target image.Location) []os.FileInfo {
	if target.IsStdout() {
		return e.stdoutInfo()
	}
	if !target.IsLocalPath() {
		return store(target)
	}
	var infos []os.FileInfo
	for _, stat := range []func(string) (os.FileInfo, error){os.Stat, os.Lstat} {
		if info, err := stat(target.Path); err == nil && (info.Mode().IsRegular() || info.IsDir()) {
			infos = append(infos, info)
		}
	}
	return infos
}

// store returns the directory of the store that contains a destination, if there is one.
func store(target image.Location) []os.FileInfo {
	if target.Dir == nil {
		return nil
	}
	info, err := os.Stat(target.Dir(target.Ref))
	if err != nil {
		return nil
	}
	return []os.FileInfo{info}
}

// checkArchive refuses an archive on a terminal, on a closed standard output or in a missing
// directory before the build starts.
func (e *Env) checkArchive(target image.Location) error {
	switch {
	case target.IsStdout() && isTerminal(e.Stdout):
		return usagef("standard output is a terminal: use -o, or redirect it")
	case target.IsStdout() && isClosed(e.Stdout):
		return usagef("%w, or use -o", errClosed)
	case !target.IsLocalPath():
		return nil
	case target.File && !isDir(filepath.Dir(target.Path)):
		return fmt.Errorf("creating archive %q: the directory %q does not exist: create the directory, or choose another one", target.Path, filepath.Dir(target.Path))
	}
	info, err := os.Stat(target.Path)
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil // the later open reports the error
	}
	// O_NONBLOCK keeps the open from blocking. O_NOCTTY keeps the terminal from becoming the
	// controlling terminal.
	f, err := os.OpenFile(target.Path, os.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	if isTerminal(f) {
		return usagef("%q is a terminal: use -o FILE, or redirect standard output", target.Path)
	}
	return nil
}
