package cli

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/image"
	"chunkah/lib/oci"
	"chunkah/lib/rootfs"
	"chunkah/lib/scan"
	"chunkah/lib/source"
	"chunkah/lib/transport"
	"chunkah/lib/write"
)

// sourceFlags are those that scan and build share.
type sourceFlags struct {
	imageFlags
	Platform string `long:"platform" value-name:"OS/ARCH" unquote:"false" description:"which image of an index to take (default: this machine's)" section:"Source" brief:"which image of an index (default: this machine)"`
	BySource bool   `long:"by-source" description:"make each source a component"`
	KeepBase string `long:"keep-base" value-name:"N|IMAGE" unquote:"false" description:"keep the lowest N layers of the source, or those of the image that it is built on" brief:"keep the lowest layers of the source"`
}

func (f *sourceFlags) sourceOptions(env *Env) source.Options {
	opt := source.Options{Image: f.imageOptions(env), BySource: f.BySource, KeepBase: f.KeepBase}
	opt.Image.Platform = f.Platform
	return opt
}

// openSources opens what is to be scanned: those sources, or the directory that
// the environment or an option names. how is the way to name one.
func (f *sourceFlags) openSources(ctx context.Context, env *Env, how string, sources []string, rootfs string) (*source.Set, error) {
	sources, err := f.sourceNames(how, sources, rootfs)
	if err != nil {
		return nil, err
	}
	spareMemory(sources)
	set, err := source.Open(ctx, sources, f.sourceOptions(env))
	if err != nil {
		return nil, err
	}
	for _, note := range set.Notes {
		env.warn("%s", note)
	}
	return set, nil
}

// sourceNames are what is to be scanned, by name.
func (f *sourceFlags) sourceNames(how string, sources []string, rootfs string) ([]string, error) {
	if rootfs == "" {
		rootfs = os.Getenv("CHUNKAH_ROOTFS")
	}
	if len(sources) == 0 {
		if rootfs == "" {
			return nil, usagef("no root: name it with %s, or set CHUNKAH_ROOTFS", how)
		}
		if err := cmp.Or(refuseCopy(rootfs), refuseLayout(rootfs)); err != nil {
			return nil, err
		}
		sources = []string{image.Source{Transport: transport.Directory, Path: rootfs}.String()}
	}
	take := ""
	if strings.Contains(how, "--from") {
		take = "chunkah build --from"
	}
	return sources, f.check(take, sources)
}

// checkSource refuses the name of what is not a source.
func checkSource(name string) error {
	src, err := transport.ParseSource(name)
	if err != nil {
		return &usageError{err}
	}
	if !src.IsImage() {
		err = refuseCopy(src.Path)
	}
	if err == nil && src.Path == name { // without a transport
		err = refuseLayout(name)
	}
	return err
}

// copyNames are those in a folder that skopeo's dir: transport has written, and copyForm
// those of its blobs and signatures.
var (
	copyNames = []string{"version", "manifest.json"}
	copyForm  = regexp.MustCompile(`^([0-9a-f]{64}(\.manifest\.json)?|signature-[0-9]+)$`)
)

// refuseCopy refuses a folder with an image in it as skopeo writes one to dir:, which means
// a root here.
func refuseCopy(path string) error {
	names := namesIn(path, copyNames[0])
	foreign := func(name string) bool { return !slices.Contains(copyNames, name) && !copyForm.MatchString(name) }
	if slices.ContainsFunc(names, foreign) || !slices.ContainsFunc(names, copyForm.MatchString) || !slices.Contains(names, copyNames[1]) {
		return nil
	}
	return usagef("%q is a folder of skopeo's dir: transport, which holds an image and no root: make a layout of it with %s, and name that with --from oci:layout", path,
		shellLine([]string{"skopeo", "copy", "dir:" + path, "oci:layout"}))
}

// namesIn are the names in a directory; none if it has no regular file of that name.
func namesIn(path, file string) []string {
	if info, err := os.Lstat(filepath.Join(path, file)); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	root, err := rootfs.Open(path)
	if err != nil {
		return nil // opening it for good says so
	}
	defer root.Close()
	names, _ := root.ReadDir("/") // the same
	return names
}

// layoutNames are those in a layout folder; the last three are there for other tools.
var layoutNames = []string{"oci-layout", "index.json", "blobs", "ingest", "manifest.json", "repositories"}

// refuseLayout refuses a directory that is nothing but a layout folder, unless its name
// says that it is meant as a directory: the image in it is, more often than its blobs.
func refuseLayout(path string) error {
	names := namesIn(path, layoutNames[0])
	foreign := func(name string) bool { return !slices.Contains(layoutNames, name) }
	if slices.ContainsFunc(names, foreign) || !slices.Contains(names, "index.json") || !slices.Contains(names, "blobs") {
		return nil
	}
	return usagef("%q is a layout folder: did you mean the source %s? (%s takes its files)", path,
		shellLine([]string{"oci:" + path}), shellLine([]string{"dir:" + path}))
}

// imageGC is how much garbage may lie beside what lives, in percent of it, where an
// image is read. Its tree lives beside all that a directory takes: with Go's 100 a
// build takes a third more memory than of a directory of 60,000 files, with this a
// sixth, for a twentieth of CPU time.
const imageGC = 60

// parseImage reads the name of an image.
func parseImage(name string) (image.Source, error) {
	if err := refuseName(name, ""); err != nil {
		return image.Source{}, err
	}
	src, err := transport.ParseSource(name)
	if err != nil {
		return src, &usageError{err}
	}
	if src.IsImage() {
		return src, nil
	}
	if meant := imageAt(src.Path); meant != "" && src.IsDirectory() {
		return src, usagef("source %q is no image: did you mean %s?", name, shellLine([]string{meant}))
	}
	return src, usagef("source %q is no image: want %s", name, anyOf(transport.Forms((*image.Transport).IsImage)))
}

// imageAt is the name of the image that a path may stand for, empty for none.
func imageAt(path string) string {
	info, err := os.Stat(path)
	if err == nil && info.Mode().IsRegular() {
		return "oci-archive:" + path
	}
	if _, err := os.Stat(filepath.Join(path, "oci-layout")); err == nil {
		return "oci:" + path
	}
	return ""
}

func isImage(source string) bool {
	src, err := transport.ParseSource(source)
	return err == nil && src.IsImage()
}

// spareMemory sets the garbage collector up for images, unless the user has.
func spareMemory(sources []string) {
	inMemory := func(s string) bool { src, err := transport.ParseSource(s); return err == nil && !src.IsDirectory() }
	if os.Getenv("GOGC") == "" && slices.ContainsFunc(sources, inMemory) {
		debug.SetGCPercent(imageGC)
	}
}

// check refuses what can be told before anything is opened. take is the command that
// reads a source once, empty for others.
func (f *sourceFlags) check(take string, sources []string) error {
	for _, s := range sources {
		if err := refuseName(s, take); err != nil {
			return err
		}
		if err := checkSource(s); err != nil {
			return err
		}
	}
	switch {
	case f.KeepBase != "" && len(sources) > 1:
		return usagef("--keep-base keeps layers of one source alone: join the others first")
	case f.KeepBase != "" && !isImage(sources[0]):
		return usagef("--keep-base: source %q is not an image, and has no layers to keep", sources[0])
	case f.Platform == "":
		return nil
	}
	if !slices.ContainsFunc(sources, isImage) {
		return usagef("--platform %q applies to images: for a directory or a root tar use --arch", f.Platform)
	}
	if _, _, err := oci.ParseArch(f.Platform); err != nil {
		return usagef("--platform: %w", err)
	}
	return nil
}

// readableAgain refuses images that only this process can read, and only once: the
// header names them for the stages that follow.
func readableAgain(sources []string) error {
	for _, s := range sources {
		src, err := transport.ParseSource(s)
		if err != nil || src.IsDirectory() || src.Path == "" {
			continue // check says what is wrong
		}
		info, err := os.Stat(src.Path)
		if err != nil {
			continue // opening it says so
		}
		own := src.Path == "/dev/stdin" || strings.HasPrefix(src.Path, "/dev/fd/") || strings.HasPrefix(src.Path, "/proc/self/")
		if own || !info.Mode().IsRegular() && !info.IsDir() {
			return usagef("source %q is there for one reading by this command, and the stages after it read it again: put it into a file, or use chunkah build --from", s)
		}
	}
	return nil
}

// withSources completes what scan is to do with a set. A device in a directory is
// there by accident more often than not; in an image somebody put it.
func withSources(opt scan.Options, set *source.Set, h *format.Header) (scan.Options, error) {
	opt.Components, opt.Whiteouts = set.Components, len(set.Kept) > 0
	if opt.Special == scan.SpecialRefuse && set.Image != nil {
		opt.Special = scan.SpecialKeep
	}
	return opt, set.Header(h)
}

// openContents opens for write what a header names.
func (c *writeCommand) openContents(env *Env) func(context.Context, *format.Header) (*write.Source, error) {
	return func(ctx context.Context, h *format.Header) (*write.Source, error) {
		if len(h.Sources) == 0 {
			root, err := openHeaderRoot(h)
			return &write.Source{Root: root}, err
		}
		set, err := source.OpenHeader(ctx, h, source.Options{Image: c.imageOptions(env)})
		if err != nil {
			return nil, err
		}
		if err := c.takesKept(set); err != nil {
			return nil, errors.Join(err, set.Close())
		}
		return contents(set), nil
	}
}

// takesKept refuses to keep layers where the output has no place for them, before
// anything is read of them.
func (f *outputFlags) takesKept(set *source.Set) error {
	target, err := f.target()
	if err != nil || !target.DockerFormat {
		return err
	}
	for i, l := range set.Kept {
		if err := oci.CheckDockerLayer(l.Descriptor); err != nil {
			return usagef("keeping layer %d: %w, as oci-archive: may hold", i, err)
		}
	}
	return nil
}

func openHeaderRoot(h *format.Header) (*rootfs.Root, error) {
	if h.Root == "" {
		return nil, nil
	}
	return rootfs.Open(h.Root)
}

// openDatabases opens for assign what a header names, and tells the repos of it.
func (f *imageFlags) openDatabases(env *Env, repos []assign.Repo) func(context.Context, *format.Header) (*rootfs.Root, io.Closer, error) {
	return func(ctx context.Context, h *format.Header) (*rootfs.Root, io.Closer, error) {
		set, err := source.OpenHeader(ctx, h, source.Options{Image: f.imageOptions(env)})
		if err != nil {
			return nil, nil, err
		}
		remember(repos, set)
		return set.Root, set, nil
	}
}

// contents is a set as write sees it.
func contents(set *source.Set) *write.Source {
	s := &write.Source{Root: set.Root, Config: set.Config, Closer: set}
	for i, l := range set.Kept {
		s.Kept = append(s.Kept, write.Kept{
			Layer: oci.Layer{Descriptor: l.Descriptor, DiffID: l.DiffID, History: l.History},
			Image: set.Image.Source.InRegistry(),
			Open:  set.OpenLayer(i),
		})
	}
	return s
}
