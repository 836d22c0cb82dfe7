package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/image"
	"chunkah/lib/names"
	"chunkah/lib/oci"
	"chunkah/lib/rootfs"
	"chunkah/lib/scan"
	"chunkah/lib/source"
	"chunkah/lib/transport"
	"chunkah/lib/write"
)

// sourceFlags are shared by the commands that read file systems.
type sourceFlags struct {
	imageFlags
	Platform string `long:"platform" value-name:"OS/ARCH" unquote:"false" description:"platform to use if a source is an index (default: this machine's). With the word all, build makes an index, and sbom writes one document per image; other commands do not accept all" section:"Source" brief:"platform in an index, or all"`
	BySource bool   `long:"by-source" description:"make each source a component"`
	KeepBase string `long:"keep-base" value-name:"N|IMAGE" unquote:"false" description:"keep the lowest N layers of the source, or the layers of IMAGE, on which it is built" brief:"keep the lowest layers of the source"`
}

func (f *sourceFlags) sourceOptions(images image.Options) source.Options {
	opt := source.Options{Image: images, BySource: f.BySource, KeepBase: f.KeepBase}
	opt.Image.Platform = f.Platform
	return opt
}

// openSources opens the sources that sourceNames returns, and prints notes about them. It shows the
// progress, with a progress bar if draws is set.
func (e *Env) openSources(ctx context.Context, sources []string, opt source.Options, draws bool) (*source.Set, error) {
	set, err := e.openQuietly(ctx, sources, opt, draws)
	if err != nil {
		return nil, err
	}
	for _, note := range set.Notes {
		e.warn("%s", note)
	}
	return set, nil
}

// openQuietly does the same as openSources, but without the notes.
func (e *Env) openQuietly(ctx context.Context, sources []string, opt source.Options, draws bool) (*source.Set, error) {
	tuneCollector(sources)
	work, stop := e.working("read", draws && slices.ContainsFunc(sources, inMemory))
	defer stop()
	opt.Image.Work = work
	return source.Open(ctx, sources, opt)
}

// sourceNames returns the names of the sources to scan, or else the directory from the environment
// or an option. how describes how to specify a source.
func (f *sourceFlags) sourceNames(how string, sources []string, rootfs string) ([]string, error) {
	if rootfs == "" {
		rootfs = os.Getenv("CHUNKAH_ROOTFS")
	}
	if len(sources) == 0 {
		if rootfs == "" {
			return nil, usagef("no root directory given: use %s, or set CHUNKAH_ROOTFS", how)
		}
		if err := names.Directory(rootfs); err != nil {
			return nil, &usageError{err}
		}
		sources = []string{image.Location{Transport: transport.Directory, Path: rootfs}.String()}
	}
	command := ""
	if strings.Contains(how, "--from") {
		command = "chunkah build --from"
	}
	return sources, f.check(command, sources)
}

// imageGC is the value of GOGC for builds from images, whose file tree needs additional memory.
// With Go's default of 100, such a build needs a third more memory than one from a directory of
// 60,000 files. With this value it needs a sixth more, for 5% more CPU time.
//
// It is also used for builds with patch layers, which keep the files of two images in memory.
const imageGC = 60

// inMemory reports whether the file tree of a source is read into memory.
func inMemory(name string) bool {
	src, err := transport.ParseSource(name)
	return err == nil && !src.IsDirectory()
}

// tuneCollector configures the garbage collector for images, unless the user has configured it.
func tuneCollector(sources []string) {
	if slices.ContainsFunc(sources, inMemory) {
		setImageGC()
	}
}

func setImageGC() { setGC(imageGC) }

func setGC(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

// check refuses invalid sources before anything is opened. command is the start of a command line
// that can be completed with a source. Error messages use it for suggestions. It can be empty.
func (f *sourceFlags) check(command string, sources []string) error {
	images := 0
	for _, s := range sources {
		src, err := names.Source(s, command)
		if err != nil {
			return &usageError{err}
		}
		if src.IsImage() {
			images++
		}
	}
	switch {
	case f.KeepBase != "" && len(sources) > 1:
		return usagef("--keep-base works with only one source: merge the sources first")
	case f.KeepBase != "" && images == 0:
		return usagef("--keep-base: source %q is not an image, so it has no layers to keep", sources[0])
	case f.Platform != "" && images == 0:
		return usagef("--platform %q applies to images: for a directory or a root tar use --arch", f.Platform)
	case f.Platform == platformAll:
		return usagef("--platform %s works only with chunkah build and sbom, because a stream describes one image", platformAll)
	}
	return checkPlatform(f.Platform)
}

// checkPlatform validates the value of --platform.
func checkPlatform(name string) error {
	if name == "" {
		return nil
	}
	if _, _, err := oci.ParseArch(name); err != nil {
		return usagef("--platform: %w", err)
	}
	return nil
}

// withSources completes the scan options for a set of sources. A device in a directory is usually
// there by accident. In an image, it was added on purpose.
func withSources(opt scan.Options, set *source.Set, h *format.Header) (scan.Options, error) {
	opt.Components, opt.Whiteouts = set.Components, len(set.BaseLayers) > 0
	if opt.Special == scan.SpecialRefuse && set.Image != nil {
		opt.Special = scan.SpecialKeep
	}
	return opt, set.Header(h)
}

// openContents returns a function with which the stage write opens the sources listed in a header.
func (c *writeCommand) openContents(images image.Options) func(context.Context, *format.Header) (*write.Inputs, error) {
	return func(ctx context.Context, h *format.Header) (*write.Inputs, error) {
		if len(h.Sources) == 0 {
			root, err := openHeaderRoot(h)
			return &write.Inputs{Root: root}, err
		}
		set, err := source.OpenHeader(ctx, h, source.Options{Image: images})
		if err != nil {
			return nil, err
		}
		if err := c.checkKept(set); err != nil {
			return nil, errors.Join(err, set.Close())
		}
		return inputs(set), nil
	}
}

// checkKept refuses to keep layers that the output format cannot contain, before anything is read.
func (f *outputFlags) checkKept(set *source.Set) error {
	for i, l := range set.BaseLayers {
		if err := f.checkLayer(l.Descriptor); err != nil {
			return usagef("keeping layer %d: %w (oci-archive: allows it)", i, err)
		}
	}
	return nil
}

// checkLayer refuses the blob of a layer that an output cannot contain.
func (f *outputFlags) checkLayer(blob v1.Descriptor) error {
	outputs, err := f.outputs()
	if err != nil || !slices.ContainsFunc(outputs, func(o names.Output) bool { return o.DockerFormat }) {
		return err
	}
	return oci.CheckDockerLayer(blob)
}

func openHeaderRoot(h *format.Header) (*rootfs.Root, error) {
	if h.Root == "" {
		return nil, nil
	}
	return rootfs.Open(h.Root)
}

// openDatabases returns a function with which the stage assign opens the sources listed in a
// header. It passes their layers to the repos.
func (f *imageFlags) openDatabases(env *Env, repos []assign.Repo) func(context.Context, *format.Header) (*rootfs.Root, io.Closer, error) {
	return func(ctx context.Context, h *format.Header) (*rootfs.Root, io.Closer, error) {
		set, err := source.OpenHeader(ctx, h, source.Options{Image: f.imageOptions(env)})
		if err != nil {
			return nil, nil, err
		}
		passLayers(repos, set)
		return set.Root, set, nil
	}
}

// inputs converts a set to the inputs of write.
func inputs(set *source.Set) *write.Inputs {
	in := &write.Inputs{Root: set.Root, Config: set.Config, Closer: set}
	for _, l := range set.BaseLayers {
		in.Base = append(in.Base, storedLayer(set.Image, l))
	}
	return in
}

// parseImage parses the name of an image.
func parseImage(name string) (image.Location, error) {
	src, err := names.Image(name)
	if err != nil {
		return src, &usageError{err}
	}
	return src, nil
}

// parseImages parses the names of images.
func parseImages(list []string) (images []image.Location, err error) {
	for _, name := range list {
		src, err := parseImage(name)
		if err != nil {
			return nil, err
		}
		images = append(images, src)
	}
	return images, nil
}
