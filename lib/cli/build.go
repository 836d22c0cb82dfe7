package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/console"
	"chunkah/lib/image"
	"chunkah/lib/metrics"
	"chunkah/lib/pack"
	"chunkah/lib/pipeline"
	"chunkah/lib/report"
	"chunkah/lib/rootfs"
	"chunkah/lib/scan"
	"chunkah/lib/source"
	"chunkah/lib/verify"
	"chunkah/lib/write"
)

// buildFlags are the options that only build supports.
type buildFlags struct {
	Rootfs           string   `long:"rootfs" value-name:"DIR" unquote:"false" description:"make an image from this root directory" variable:"CHUNKAH_ROOTFS" section:"Source"`
	From             []string `long:"from" value-name:"SOURCE" unquote:"false" description:"read {sources} (repeatable: later sources are applied on top)" brief:"an image: oci:DIR, docker://REF ... (repeatable)"`
	Assign           string   `long:"assign" value-name:"CMD" unquote:"false" description:"run CMD instead of assign" section:"Custom stages"`
	Pack             string   `long:"pack" value-name:"CMD" unquote:"false" description:"run CMD instead of pack"`
	Compressed       bool     `long:"compressed" description:"the same as --compress gzip" section:"Output"`
	Verify           bool     `long:"verify" section:"Output" description:"before the image gets its final name, read it back, verify it, and compare it with the source" brief:"read the image back and compare it with the source"`
	SBOM             string   `long:"sbom" value-name:"FILE|attach" unquote:"false" description:"write a bill of materials to FILE, as chunkah sbom does. With the word attach instead of FILE, attach it to the image in its registry, as an OCI referrer" brief:"write or attach a bill of materials"`
	SBOMFormat       string   `long:"sbom-format" value-name:"spdx|cyclonedx" unquote:"false" description:"format of --sbom (default: spdx)"`
	DryRun           bool     `short:"n" long:"dry-run" section:"Run" description:"print the pipeline that makes the same image, and exit" brief:"print the equivalent pipeline, and exit"`
	CompressionLevel string   `long:"compression-level" value-name:"N" unquote:"false" description:"the same as --level; 0 does not compress"`
}

type buildCommand struct {
	buildFlags
	sourceFlags
	scanFlags
	assignFlags
	packFlags
	writeFlags
	clockFlags
	formatFlags
	metricsFlags
	rustFlags
}

// aliases merges options that have two names.
func (c *buildCommand) aliases(env *Env) error {
	if c.Compressed {
		if c.Compress != "" && c.Compress != "gzip" {
			return usagef("--compressed means --compress gzip, but --compress is %q", c.Compress)
		}
		c.Compress = "gzip"
	}
	if c.CompressionLevel != "" {
		if c.Level != "" {
			return usagef("--level and --compression-level are the same option: use one of them")
		}
		if c.Compress == "" {
			env.warn("--compression-level has no effect without --compressed")
			return nil
		}
		c.Level = c.CompressionLevel
	}
	return nil
}

// checkReplaced refuses options of a stage that --assign or --pack replaces.
func (c *buildCommand) checkReplaced() error {
	if c.Assign != "" && isSet(&c.assignFlags) {
		return usagef("--repos and the other options of assign have no effect with --assign: pass them to the --assign command")
	}
	if c.Pack != "" && isSet(&c.packFlags) {
		return usagef("--max and the other options of pack have no effect with --pack: pass them to the --pack command")
	}
	if c.Pack != "" && c.WriteManifestTo != "" {
		return usagef("--write-manifest-to has no effect with --pack, because the --pack command does not report the components")
	}
	return nil
}

// building contains the options of all stages, and the files and images that they use.
type building struct {
	images image.Options
	part   *indexPart // nil unless the build makes one of several images

	header format.Header
	scan   scan.Options
	assign assign.Options
	pack   pack.Options
	write  write.Options

	measured   *measurement
	plan       pendingPlan
	set        *source.Set
	reusedFrom *image.Image   // the previous image, whose blobs can be reused; nil if there is none
	patched    *image.Image   // the previous image, whose layers can be kept; nil without --max-stale
	verified   *verify.Report // set after a successful --verify
}

// close closes everything that was opened for reading.
func (b *building) close() {
	if b.set != nil {
		_ = b.set.Close()
	}
	closeImage(b.reusedFrom)
	closeImage(b.patched)
}

// check validates the flags that need no files or images.
func (c *buildCommand) check(env *Env, h *format.Header) error {
	if err := c.checkReplaced(); err != nil {
		return err
	}
	if err := c.aliases(env); err != nil {
		return err
	}
	if len(c.From) > 0 && c.Rootfs != "" {
		return usagef("--from and --rootfs cannot be used together")
	}
	if err := c.clockFlags.apply(h); err != nil {
		return err
	}
	if c.PrintDigest && c.Plan == "-" {
		return usagef("--print-digest cannot be used, because the plan is written to standard output: use --plan FILE or --digest-file")
	}
	if err := cmp.Or(c.checkVerify(), c.checkSBOM(), c.checkFiles()); err != nil {
		return err
	}
	if c.MaxStale != "" && c.KeepBase != "" {
		return usagef("--max-stale and --keep-base cannot be used together, because both choose the layers to keep")
	}
	return c.formatFlags.check()
}

// open validates the other flags, and opens the files and images that the flags refer to.
func (c *buildCommand) open(ctx context.Context, env *Env, b *building) (err error) {
	if b.pack, err = c.packFlags.options(ctx, env, b.images, c.place(), &b.plan); err != nil {
		return err
	}
	if b.patched, err = c.openPatched(ctx, env, b.images, c.place(), &b.pack); err != nil {
		return err
	}
	b.pack.KeepXattrs = c.KeepXattrs
	if b.pack.Threads, err = c.threads(); err != nil {
		return err
	}
	if !c.FreshTimes {
		b.pack.Open = func(context.Context, *format.Header) (pack.Contents, error) { return b.packContents(), nil }
		b.pack.Incomplete = true
	}
	b.pack.Contents = c.WriteManifestTo != ""
	if b.assign, err = c.assignFlags.options(ctx); err != nil {
		return err
	}
	if b.measured, err = c.measure(env, "build"); err != nil {
		return err
	}
	var outputs []os.FileInfo
	if b.write, outputs, err = c.writeFlags.options(ctx, env, b.images, c.Previous, c.Verify); err != nil {
		return err
	}
	if b.part != nil {
		b.write.Create, b.write.Ref, b.write.Also = b.part.create, "", nil
	}
	b.write.Reusable, b.reusedFrom, err = reusableLayers(ctx, env, b.images, c.Previous, c.place(), b.write.Compression.Algorithm)
	if err != nil {
		return err
	}
	sources, err := c.sourceNames("--rootfs or --from", c.From, c.Rootfs)
	if err != nil {
		return err
	}
	if b.set, err = env.openSources(ctx, sources, c.sourceOptions(b.images), env.drawsBuild(c.Plan == "-")); err != nil {
		return err
	}
	if err = c.checkKept(b.set); err != nil {
		return err
	}
	c.warnConfig(env, b.write.Config, b.set.Config)
	c.warnAttached(ctx, env, b.set)
	if b.scan, err = c.scanFlags.options(env, b.set.Root, slices.Concat(outputs, c.metricsFile(), c.planFile())); err != nil {
		return err
	}
	b.write.OpenPrevious, b.write.TrustPrevious = c.openPrevious(b.images, b.patched, b.pack.PreviousImage), c.TrustPrevious
	b.assign.Root, b.write.Inputs = b.set.Root, inputs(b.set)
	passLayers(b.assign.Repos, b.set)
	b.write.Scanned = c.Assign == "" && c.Pack == "" // no other program can have changed the stream
	b.scan, err = withSources(b.scan, b.set, &b.header)
	return err
}

func (c *buildCommand) leftovers() []string {
	return slices.Concat(databases(), c.imageFlags.leftovers(), c.writeFlags.folders(), c.planFlags.folders(), c.metricsFlags.folders())
}

func (c *buildCommand) run(ctx context.Context, env *Env) error {
	if c.Platform == platformAll {
		return c.runAll(ctx, env)
	}
	return c.build(ctx, env, nil)
}

// build makes one image. part is nil unless the image is one of several.
func (c *buildCommand) build(ctx context.Context, env *Env, part *indexPart) error {
	b := building{images: c.imageOptions(env), part: part}
	if part != nil {
		b.images.Like = &part.like
	}
	if err := c.check(env, &b.header); err != nil {
		return err
	}
	if c.DryRun {
		return c.printPipeline(ctx, env)
	}
	c.useOutputForTemp()
	c.rustFlags.check(env)
	defer b.close()
	if err := c.open(ctx, env, &b); err != nil {
		return err
	}
	defer b.plan.discard()
	var done report.Stages
	if err := c.runStages(ctx, env, &b, &done); err != nil {
		return err
	}
	done.Print(env.console())
	c.warnEmpty(env, b.set.Root, done.Scanned)
	if b.verified != nil {
		report.Verify(env.console(), b.verified)
	}
	if err := c.writeOthers(ctx, env, &b, &done); err != nil {
		return fmt.Errorf("the image %s is complete, but an error occurred afterwards: %w", done.Written.Manifest, err)
	}
	made := c.written(c.Insecure, done.Written, b.reusedFrom)
	made.Part = part != nil
	done.Summary(env.console(), b.measured.Run, made)
	b.measured.write(ctx, env)
	return c.writeDigest(ctx, env, done.Written.Manifest)
}

// writeOthers writes the other results of the build: the plan, and documents about the image.
func (c *buildCommand) writeOthers(ctx context.Context, env *Env, b *building, done *report.Stages) error {
	if err := c.planned(ctx, env, c.place(), &b.plan, done.Packed); err != nil {
		return err
	}
	c.attachFiles(ctx, env, b.images, done.Written)
	if err := c.writeSBOM(ctx, env, b, done); err != nil {
		return err
	}
	var contents []pack.Content
	if done.Packed != nil {
		contents = done.Packed.Contents
	}
	return c.rustFlags.write(ctx, contents)
}

// runStages runs the four stages and shows their progress.
func (c *buildCommand) runStages(ctx context.Context, env *Env, b *building, done *report.Stages) error {
	draws := env.drawsBuild(c.Plan == "-")
	var told *report.Milestones
	if !draws { // a bar shows the milestones
		told = &report.Milestones{Log: env.console(), Run: b.measured.Run, Done: done}
	}
	stages := []pipeline.Stage{
		b.measured.stage(scanStage(env, done, b.set.Changed, b.header, b.scan), told, nil),
		b.measured.stage(c.assignStage(env, done, b.assign), told, nil),
		b.measured.stage(c.packStage(env, done, b), told, nil),
		b.measured.stage(c.writeStage(env, b, done), told, func(m *metrics.Stage) {
			m.Wrote(done.Written.BlobBytes, done.Written.ReusedBytes, done.Written.Manifest)
		}),
	}
	b.write.Work = b.measured.Last().Work()
	defer report.Follow(env.console(), b.measured.Run, draws)()
	return pipeline.Run(ctx, stages...)
}

// scannedGC is the value of GOGC after the scan of a build. From then on, the records of all files
// are in memory, and the peak memory depends on how much garbage accumulates in addition to them.
// The scan itself uses Go's default, because with a lower value the collector would run after every
// few files.
const scannedGC = 25

func scanStage(env *Env, done *report.Stages, root *rootfs.Root, header format.Header, opt scan.Options) pipeline.Stage {
	return pipeline.Stage{Name: "scan", Run: func(ctx context.Context, _ format.Source, out format.Sink) (err error) {
		if done.Scanned, err = scan.Run(ctx, root, header, opt, out); err == nil {
			setGC(scannedGC)
			report.Unmapped(env.console(), done.Scanned)
			report.Costly(env.console(), done.Scanned) // before any file is read
		}
		return err
	}}
}

func (c *buildCommand) assignStage(env *Env, done *report.Stages, opt assign.Options) pipeline.Stage {
	if c.Assign != "" {
		return c.command(env, "assign", c.Assign)
	}
	return pipeline.Stage{Name: "assign", Run: func(ctx context.Context, in format.Source, out format.Sink) (err error) {
		done.Assigned, err = assign.Run(ctx, in, out, opt)
		return err
	}}
}

func (c *buildCommand) packStage(env *Env, done *report.Stages, b *building) pipeline.Stage {
	if c.Pack != "" {
		return c.command(env, "pack", c.Pack)
	}
	return pipeline.Stage{Name: "pack", Run: func(ctx context.Context, in format.Source, out format.Sink) (err error) {
		done.Packed, err = pack.Run(ctx, in, c.planFiles(ctx, env, &b.plan, b.pack.MaxStale, out), b.pack)
		return err
	}}
}

// command returns a stage that runs a command line.
func (c *buildCommand) command(env *Env, stage, line string) pipeline.Stage {
	enc := format.JSON
	if c.Format != "" {
		enc = format.Encoding(c.Format)
	}
	stderr := env.stderrOf(stage)
	s := pipeline.Command(stage, line, enc, stderr)
	return pipeline.Stage{Name: stage, Run: func(ctx context.Context, in format.Source, out format.Sink) error {
		if lines, ok := stderr.(*console.Lines); ok {
			defer lines.Flush()
		}
		return s.Run(ctx, in, out)
	}}
}

// writeStage writes the image. With --verify, the image appears only after it is verified.
func (c *buildCommand) writeStage(env *Env, b *building, done *report.Stages) pipeline.Stage {
	return pipeline.Stage{Name: "write", Run: func(ctx context.Context, in format.Source, _ format.Sink) error {
		image, err := write.Run(ctx, in, b.write)
		if err != nil {
			return err
		}
		if c.Verify {
			if err := c.verifyImage(ctx, env, b, image); err != nil {
				return errors.Join(err, image.Discard())
			}
		}
		done.Written = image.Report
		return image.Commit()
	}}
}

func (missingCommand) run(context.Context, *Env) error {
	return usagef("no command given: use one of %s (see chunkah --help)", strings.Join(subcommands, ", "))
}
