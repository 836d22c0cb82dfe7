package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"chunkah/lib/cache"
	"chunkah/lib/compress"
	"chunkah/lib/image"
	"chunkah/lib/names"
	"chunkah/lib/oci"
	"chunkah/lib/proofs"
	"chunkah/lib/report"
	"chunkah/lib/rootfs"
	"chunkah/lib/temp"
	"chunkah/lib/write"
)

// writeFlags are shared by write and build.
type writeFlags struct {
	outputFlags
	Config     string   `long:"config" value-name:"FILE" unquote:"false" description:"image config: an OCI config, or the output of podman, docker or skopeo inspect" section:"Image" brief:"OCI config, or output of podman or docker inspect"`
	ConfigStr  string   `long:"config-str" value-name:"JSON" unquote:"false" description:"image config as text instead of a file" variable:"CHUNKAH_CONFIG_STR"`
	Labels     []string `long:"label" value-name:"K=V|K-|-" unquote:"false" description:"set a label (K=V), remove it (K-), or remove all (-); repeatable" brief:"set or remove labels (repeatable)"`
	KeepLabels []string `long:"keep-label" value-name:"NAME" unquote:"false" description:"keep a label or annotation that is dropped by default because it describes the source's layers, for example ostree.commit (repeatable)" brief:"keep a label that describes the source's layers"`
	Annotation []string `long:"annotation" value-name:"K=V|K-|-" unquote:"false" description:"set an annotation (K=V), remove it (K-), or remove all (-); repeatable" brief:"set or remove annotations (repeatable)"`
	executionFlags
	Arch string `long:"arch" value-name:"ARCH" unquote:"false" description:"architecture of the image (default: the config's, or this machine's)" brief:"architecture (default: from config, or this machine)"`
	compressFlags
	ManifestType string `long:"manifest-type" value-name:"oci|docker" unquote:"false" description:"format of the manifest in a registry or podman's storage (default: oci, or docker if the registry refuses oci). Use docker for old registries, or for a HEALTHCHECK in podman; it has no annotations" section:"Output" brief:"format of the manifest in a registry"`
	Cache        string `long:"cache" env:"CHUNKAH_CACHE" value-name:"DIR" unquote:"false" description:"keep compressed layers in DIR, and reuse unchanged ones" brief:"keep compressed layers in DIR for the next build"`
	CacheSize    string `long:"cache-size" value-name:"SIZE" unquote:"false" description:"maximum size of the cache (default: 10GiB)"`
	threadFlags
}

type writeCommand struct {
	writeFlags
	imageFlags
	clockFlags
	metricsFlags
	Rootfs        string `long:"rootfs" value-name:"DIR" unquote:"false" description:"root directory (default: from the stream)" section:"Source"`
	Previous      string `long:"previous" value-name:"IMAGE" unquote:"false" description:"copy unchanged layers from this image (auto: the image that the output replaces)" section:"Output" brief:"copy unchanged layers from this image"`
	TrustPrevious bool   `long:"trust-previous" description:"trust the chunk tables of kept zstd:chunked layers instead of reading layers that this user has not verified" brief:"trust the chunk tables of kept layers"`
}

func (c *writeCommand) leftovers() []string {
	return slices.Concat(c.imageFlags.leftovers(), c.writeFlags.folders(), c.metricsFlags.folders())
}

func (c *writeCommand) run(ctx context.Context, env *Env) error {
	if err := c.clockFlags.check(); err != nil {
		return err
	}
	if c.Config == "-" {
		return usagef("--config -: %w", errStdinTaken)
	}
	if err := c.checkFiles(names.File{Option: "--metrics", Path: c.Metrics}, names.File{Option: "--digest-file", Path: c.DigestFile}); err != nil {
		return err
	}
	c.useOutputForTemp()
	run, measured, err := c.measureStage(env, "write", env.drawsProgress())
	if err != nil {
		return err
	}
	defer run.end()
	images := c.imageOptions(env)
	opt, _, err := c.writeFlags.options(ctx, env, images, c.Previous, false)
	if err != nil {
		return err
	}
	var previous *image.Image
	if opt.Reusable, previous, err = reusableLayers(ctx, env, images, c.Previous, c.place(), opt.Compression.Algorithm); err != nil {
		return err
	}
	if previous != nil {
		defer previous.Close() // opened only for reading
	}
	in, err := env.input(ctx)
	if err != nil {
		return err
	}
	if c.Rootfs != "" {
		root, err := rootfs.Open(c.Rootfs)
		if err != nil {
			return err
		}
		defer root.Close()
		opt.Inputs = &write.Inputs{Root: root}
	}
	opt.OpenPrevious, opt.TrustPrevious = c.openPrevious(images, nil, nil), c.TrustPrevious
	opt.Open, opt.Work = c.openContents(images), measured.Work()
	made, err := write.Run(ctx, measured.In(clocked{in, &c.clockFlags}), opt)
	if err != nil {
		return err
	}
	if err := made.Commit(); err != nil {
		return err
	}
	report.Written(env.console(), c.written(c.Insecure, made.Report, previous))
	c.attachFiles(ctx, env, images, made.Report)
	measured.Wrote(made.Report.BlobBytes, made.Report.ReusedBytes, made.Report.Manifest)
	run.write(ctx, env)
	return c.writeDigest(ctx, env, made.Report.Manifest)
}

// options parses the flags, and also returns the existing files in the output. readable requests
// outputs from which the image can be read before it appears there.
func (f *writeFlags) options(ctx context.Context, env *Env, images image.Options, previous string, readable bool) (write.Options, []os.FileInfo, error) {
	var opt write.Options
	var err error
	outputs, err := f.outputs()
	if err != nil {
		return opt, nil, err
	}
	if opt.Compression, opt.Chunked, err = f.compression(outputs); err != nil {
		return opt, nil, err
	}
	if opt.Threads, err = f.threads(); err != nil {
		return opt, nil, err
	}
	for _, o := range outputs {
		if err := f.checkOutput(env, o); err != nil {
			return opt, nil, err
		}
	}
	if opt.Config, err = f.config(ctx, env); err != nil {
		return opt, nil, err
	}
	if opt.Docker, err = f.dockerManifest(outputs, opt.Compression.Algorithm); err != nil {
		return opt, nil, err
	}
	opt.Edit, opt.KeepLabels = f.edit, f.KeepLabels
	if opt.Created, err = f.created(); err != nil {
		return opt, nil, err
	}
	if err := f.edit(&oci.Config{}); err != nil { // before anything is read
		return opt, nil, err
	}
	opt.Ref, opt.Also = names.IndexNames(outputs)
	opt.Create = func() (oci.Destination, error) { return f.create(ctx, env, images, readable, f.ManifestType == "") }
	var existing []os.FileInfo
	for _, o := range outputs {
		if len(o.Also) > 0 && o.ManyNames != "" {
			env.warn("%s", o.ManyNames)
		}
		existing = append(existing, env.existing(o.Location)...)
		if name := env.stdoutName(); o.IsStdout() && name != "" {
			opt.OutputNames = append(opt.OutputNames, name)
		}
	}
	for _, info := range existing {
		opt.OutputNames = append(opt.OutputNames, info.Name())
	}
	opt.SpoolDir = spoolDir(outputs, images.Spool)
	opt.Proofs, opt.Record = proofs.Open(proofs.Path()), f.Cache != "" || previous != ""
	if opt.Cache, err = f.openCache(); err != nil {
		return opt, nil, err
	}
	opt.Own = f.ownFiles(opt.Cache, images.Spool)
	return opt, slices.Concat(existing, opt.Own, f.digestFile()), nil
}

// ownFiles returns the cache, the spool directory and the record of verified blobs, which scan must
// exclude from the root.
func (f *writeFlags) ownFiles(store *cache.Cache, spoolDir string) []os.FileInfo {
	paths := []string{proofs.Path()}
	if store != nil {
		paths = append(paths, store.Dir())
	}
	if holdsOnlySpool(spoolDir) {
		paths = append(paths, spoolDir)
	}
	var infos []os.FileInfo
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil {
			infos = append(infos, info)
		}
	}
	return infos
}

// holdsOnlySpool reports whether a directory is used only for spooled files, which have no names. A
// directory such as /var/tmp belongs to the system, even if it is empty.
func holdsOnlySpool(dir string) bool {
	info, err := os.Stat(dir)
	if err != nil || info.Mode()&os.ModeSticky != 0 {
		return false
	}
	entries, err := os.ReadDir(dir)
	return err == nil && !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return !temp.Is(e.Name()) })
}

// openCache opens the cache, or returns nil if none is requested.
func (f *writeFlags) openCache() (*cache.Cache, error) {
	if f.Cache == "" {
		if f.CacheSize != "" {
			return nil, usagef("--cache-size needs --cache")
		}
		return nil, nil
	}
	size := int64(0)
	if f.CacheSize != "" {
		var err error
		if size, err = parseBytes(f.CacheSize); err != nil || size <= 0 {
			return nil, usagef("--cache-size %q is not a size such as 500MB or 10GiB", f.CacheSize)
		}
	}
	return cache.Open(f.Cache, size)
}

// checkOutput refuses an output that cannot store the image, before anything is read.
func (f *outputFlags) checkOutput(env *Env, o names.Output) error {
	if err := f.digestFlags.check(o.Location); err != nil {
		return err
	}
	return env.checkArchive(o.Location)
}

// spoolDir returns the directory for compressed layers. It is the directory of the first output
// with a path, because its disk needs room for the layers anyway.
func spoolDir(outputs []names.Output, spool string) string {
	for _, o := range outputs {
		if !o.IsLocalPath() {
			continue
		}
		if info, err := os.Stat(o.Path); err != nil || info.Mode().IsRegular() {
			return filepath.Dir(filepath.Clean(o.Path))
		} else if info.IsDir() {
			return o.Path
		}
	}
	if outputs[0].Syntax == image.RefOnly {
		return spool
	}
	return ""
}

// stdoutName returns the name of the file to which standard output is redirected, or "".
func (e *Env) stdoutName() string {
	name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", e.Stdout.Fd()))
	if err != nil {
		return ""
	}
	return filepath.Base(name)
}

// dockerManifest reports whether to write Docker's manifest format.
func (f *writeFlags) dockerManifest(outputs []names.Output, algorithm compress.Algorithm) (bool, error) {
	switch {
	case f.ManifestType == "" || f.ManifestType == "oci":
		return false, nil
	case f.ManifestType != "docker":
		return false, usagef("--manifest-type %q is neither oci nor docker", f.ManifestType)
	case slices.ContainsFunc(outputs, func(o names.Output) bool { return !o.OwnNames }):
		return false, usagef("--manifest-type docker is for registries and podman's storage: use it with -o docker://REF or containers-storage:NAME")
	case !algorithm.InDocker():
		return false, usagef("--manifest-type docker does not allow layers compressed with %s: use gzip", algorithm)
	}
	return true, nil
}

// edit applies the flags to the config of the image.
func (f *writeFlags) edit(config *oci.Config) error {
	if err := config.EditLabels(f.Labels); err != nil {
		return usagef("--label: %w", err)
	}
	if err := config.EditAnnotations(f.Annotation); err != nil {
		return usagef("--annotation: %w", err)
	}
	if err := f.executionFlags.edit(config); err != nil {
		return err
	}
	if f.Arch != "" {
		if err := config.SetArch(f.Arch); err != nil {
			return usagef("--arch: %w", err)
		}
	}
	return nil
}

// envConfig is the environment variable that contains a config. It is used if neither --config nor
// --config-str is given.
const envConfig = "CHUNKAH_CONFIG_STR"

// config reads the config, or returns nil if none is given. Options take precedence over the
// environment.
func (f *writeFlags) config(ctx context.Context, env *Env) (*oci.Config, error) {
	var data []byte
	var from string
	switch {
	case f.Config != "" && f.ConfigStr != "":
		return nil, usagef("--config and --config-str cannot be used together")
	case f.Config != "":
		var err error
		if data, err = env.readAll(ctx, f.Config); err != nil {
			return nil, fmt.Errorf("reading config: %w", err)
		}
		from = strconv.Quote(f.Config)
	case f.ConfigStr != "":
		data, from = []byte(f.ConfigStr), "of --config-str"
	case os.Getenv(envConfig) != "":
		data, from = []byte(os.Getenv(envConfig)), "of "+envConfig
	default:
		return nil, nil
	}
	config, err := oci.ParseConfig(data)
	if err != nil {
		return nil, fmt.Errorf("reading config %s: %w", from, err)
	}
	if err := config.Check(); err != nil {
		return nil, fmt.Errorf("reading config %s: %w", from, err)
	}
	if arch := config.Platform.Architecture; arch != "" && f.Arch == "" {
		if _, _, err := oci.ParseArch(arch); err != nil {
			env.warn("config: %w: the image keeps it (replace it with --arch)", err)
		}
	}
	return config, nil
}

// warnConfig warns about missing settings for containers. It reports a missing config if neither
// the user nor the source provides one, and fields in the config that podman does not read.
func (f *writeFlags) warnConfig(env *Env, given, source *oci.Config) {
	config := cmp.Or(given, source)
	if config == nil && f.executionFlags.given() {
		return
	}
	if config == nil {
		edited := oci.Config{}
		if f.edit(&edited) == nil {
			env.warn("the image has no config, so %s are empty: use --config FILE, options such as --cmd, or --config-str \"$(podman inspect IMAGE)\", or --config-str '{}' for an empty config",
				strings.Join(edited.Missing(), ", "))
		}
		return
	}
	if config.HasHealthcheck() && f.ManifestType != "docker" {
		env.warn("the config has a HEALTHCHECK, which docker runs and podman does not: podman reads it only from images in Docker's format")
	}
}

// written describes the image that was written. previous is nil if there is no previous image.
func (f *writeFlags) written(insecure bool, w *write.Report, previous *image.Image) *report.Image {
	outputs, _ := f.outputs() // checked before the build
	made := &report.Image{Report: w, Outputs: outputs}
	if insecure && outputs[0].Network {
		made.Options = []string{"--insecure"}
	}
	if previous != nil {
		made.CompareWith(previous)
	}
	return made
}
