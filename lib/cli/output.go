package cli

import (
	"context"
	"errors"
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
	"chunkah/lib/names"
	"chunkah/lib/oci"
	"chunkah/lib/plan"
	"chunkah/lib/regular"
	"chunkah/lib/temp"
	"chunkah/lib/transport"
)

// outputFlags are the location of an image and its name at that location.
type outputFlags struct {
	Output  []string `short:"o" long:"output" value-name:"DEST" unquote:"false" description:"PATH for an archive, or {destinations}. The PATH - is standard output, and the default is an archive on standard output. Repeat the option to write one build to several outputs" section:"Output" brief:"PATH, oci:DIR, docker-archive:PATH, docker://REF"`
	Tag     []string `short:"t" long:"tag" value-name:"NAME[:TAG]" unquote:"false" description:"name of the image in the output (repeatable)"`
	KeepOld bool     `long:"keep-old" description:"in a layout directory, keep the blobs of the image that is replaced (default: delete those that chunkah made)" brief:"keep the blobs of the image that is replaced"`
	digestFlags
}

// output is one -o option with the names of the image in that output.
type output struct {
	image.Source
	also []string // names in addition to Ref
}

// target returns the first output.
func (f *outputFlags) target() (image.Source, error) {
	outputs, err := f.outputs()
	if err != nil {
		return image.Source{}, err
	}
	return outputs[0].Source, nil
}

// outputs parses -o and -t. A tag applies to the registry output with the same repository, or else
// to all outputs outside registries.
func (f *outputFlags) outputs() ([]output, error) {
	var outputs []output
	for _, name := range f.Output {
		target, err := names.Destination(name)
		if err != nil {
			return nil, &usageError{err}
		}
		outputs = append(outputs, output{Source: target})
	}
	if len(outputs) == 0 {
		stdout, err := transport.ParseDestination("-")
		if err != nil {
			return nil, err
		}
		outputs = []output{{Source: stdout}}
	}
	if err := checkDistinct(outputs); err != nil {
		return nil, err
	}
	names := make([][]string, len(outputs))
	for _, tag := range f.Tag {
		if err := addName(outputs, names, tag); err != nil {
			return nil, err
		}
	}
	for i := range outputs {
		outputs[i].also = names[i]
		if len(names[i]) > 0 && outputs[i].Syntax != image.RefOnly {
			outputs[i].Ref, outputs[i].also = names[i][0], names[i][1:]
		}
	}
	return outputs, nil
}

// addName adds a tag to the names of outputs. Registries take precedence.
func addName(outputs []output, names [][]string, tag string) error {
	var refused error
	for _, registry := range []bool{true, false} {
		taken := false
		for i, o := range outputs {
			if (o.Tag != nil) != registry {
				continue
			}
			name, err := o.name(tag)
			if err != nil {
				refused = err
				continue
			}
			taken = true
			if !slices.Contains(names[i], name) && (o.Syntax != image.RefOnly || name != o.Ref) {
				names[i] = append(names[i], name)
			}
		}
		if taken {
			return nil
		}
	}
	return &usageError{refused}
}

// name returns the name of the image in an output for a tag.
func (o output) name(tag string) (string, error) {
	if o.Tag != nil {
		return o.Tag(o.Ref, tag)
	}
	if err := oci.CheckTag(tag); err != nil {
		return "", err
	}
	if o.Syntax != image.RefOnly && o.Ref != "" && o.Ref != tag {
		return "", fmt.Errorf("-o names the image %q, but --tag names the image %q: use only one of the two options", o.Ref, tag)
	}
	return tag, nil
}

// checkDistinct refuses two outputs in one place, because one would replace the other or wait for
// it.
func checkDistinct(outputs []output) error {
	at := map[string]output{}
	for _, o := range outputs {
		place := o.realPlace()
		if before, twice := at[place]; twice {
			return usagef("-o %q and -o %q are the same output: use --tag to give the image more names", before, o)
		}
		at[place] = o
	}
	return nil
}

// realPlace returns the same text for all names of the file or directory that is written. It
// follows symlinks in the same way as the outputs.
func (o output) realPlace() string {
	path := o.Path
	switch {
	case o.IsStdout():
		path = "/dev/stdout"
	case path == "":
		return o.String()
	}
	target, _, err := regular.Resolve(path)
	if err != nil {
		return o.Absolute().Path // opening it reports the error
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(target)); err == nil {
		target = filepath.Join(dir, filepath.Base(target))
	}
	if target, err = filepath.Abs(target); err != nil {
		return o.String()
	}
	return target
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
		dest, err := o.Create(ctx, o.Source, image.CreateOptions{
			Options: oci.Options{Own: f.removableLayers(), Readable: readable, Busy: env.waitForDir(ctx)},
			Also:    o.also, Convert: convert, Stdout: env.writer(ctx), Registry: images.Registry,
			Warn: func(text string) { env.warn("%s", text) },
		})
		if err != nil {
			if len(opened) > 0 {
				err = errors.Join(err, oci.NewSeveral(opened).Discard())
			}
			return nil, err
		}
		ref, also := o.indexNames()
		opened = append(opened, oci.Output{Destination: dest, Name: o.String(), Ref: ref, Also: also})
	}
	if len(opened) == 1 {
		return opened[0].Destination, nil
	}
	return oci.NewSeveral(opened), nil
}

// indexNames returns the names of the image in the index of an output.
func (o output) indexNames() (ref string, also []string) {
	if o.OwnNames {
		return "", nil
	}
	return o.Ref, o.also
}

// indexNames returns the names of the image in its index. If there are several outputs, each has
// its own index.
func indexNames(outputs []output) (ref string, also []string) {
	if len(outputs) > 1 {
		return "", nil
	}
	return outputs[0].indexNames()
}

// lockPause is the interval between attempts to get a lock that another process owns.
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
func (e *Env) existing(target image.Source) []os.FileInfo {
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
func store(target image.Source) []os.FileInfo {
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
func (e *Env) checkArchive(target image.Source) error {
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
		return usagef("%q is a terminal: give -o a file, or redirect standard output", target.Path)
	}
	return nil
}
