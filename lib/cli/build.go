package cli

import (
	"context"
	"os"
	"slices"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/metrics"
	"chunkah/lib/pack"
	"chunkah/lib/pipeline"
	"chunkah/lib/rootfs"
	"chunkah/lib/scan"
	"chunkah/lib/write"
)

// buildFlags are those that only build has.
type buildFlags struct {
	Rootfs           string `long:"rootfs" env:"CHUNKAH_ROOTFS" value-name:"DIR" unquote:"false" description:"the root to make an image of"`
	Assign           string `long:"assign" value-name:"CMD" unquote:"false" description:"run CMD in place of assign"`
	Pack             string `long:"pack" value-name:"CMD" unquote:"false" description:"run CMD in place of pack"`
	Compressed       bool   `long:"compressed" description:"the same as --compress gzip"`
	CompressionLevel string `long:"compression-level" value-name:"N" unquote:"false" description:"the same as --level; 0 stores"`
}

type buildCommand struct {
	buildFlags
	scanFlags
	assignFlags
	packFlags
	writeFlags
	clockFlags
	formatFlags
	metricsFlags
}

// aliases settles the options that have two names.
func (c *buildCommand) aliases(env *Env) error {
	if c.Compressed {
		if c.Compress != "" && c.Compress != "gzip" {
			return usagef("--compressed is --compress gzip, and --compress says %q", c.Compress)
		}
		c.Compress = "gzip"
	}
	if c.CompressionLevel != "" {
		if c.Level != "" {
			return usagef("--level and --compression-level are the same option: give one")
		}
		if c.Compress == "" {
			env.warn("--compression-level does nothing without --compressed")
			return nil
		}
		c.Level = c.CompressionLevel
		c.stored = c.CompressionLevel == "0"
	}
	return nil
}

// replaced refuses options of a stage that a command stands in for.
func (c *buildCommand) replaced() error {
	if c.Assign != "" && (c.Repos != "" || c.Map != "" || c.Override) {
		return usagef("--repos, --map and --override do nothing with --assign: give them to its command")
	}
	if c.Pack != "" && c.packFlags != (packFlags{}) {
		return usagef("--max and the other options of pack do nothing with --pack: give them to its command")
	}
	return nil
}

func (c *buildCommand) run(ctx context.Context, env *Env) error {
	if err := c.replaced(); err != nil {
		return err
	}
	if err := c.aliases(env); err != nil {
		return err
	}
	var header format.Header
	if err := c.clockFlags.apply(&header); err != nil {
		return err
	}
	if err := c.formatFlags.check(); err != nil {
		return err
	}
	packOpt, err := c.packFlags.options(ctx, env, c.place())
	if err != nil {
		return err
	}
	assignOpt, err := c.assignFlags.options()
	if err != nil {
		return err
	}
	if err := c.startMetrics(env, "build"); err != nil {
		return err
	}
	writeOpt, outputs, err := c.writeFlags.options(ctx, env)
	if err != nil {
		return err
	}
	root, err := openRoot("--rootfs", c.Rootfs)
	if err != nil {
		return err
	}
	defer root.Close()
	scanOpt, err := c.scanFlags.options(env, root, slices.Concat(outputs, c.metricsFile(), c.planFile()))
	if err != nil {
		return err
	}
	assignOpt.Root, writeOpt.Root = root, root
	defer c.discardPlan()
	var done reports
	err = pipeline.Run(ctx,
		c.measure(done.scan(root, header, scanOpt), nil),
		c.measure(c.assignStage(&done, assignOpt), nil),
		c.measure(c.packStage(&done, packOpt), nil),
		c.measure(done.write(writeOpt), func(m *metrics.Stage) { m.Wrote(done.written.BlobBytes, done.written.ReusedBytes) }),
	)
	if err != nil {
		return err
	}
	done.print(env)
	if err := c.planned(env, c.place(), done.packed); err != nil {
		return err
	}
	c.writeMetrics(env)
	return nil
}

// reports are what the stages say, gathered so that it is told in order.
type reports struct {
	scanned  *scan.Report
	assigned *assign.Outcome
	packed   *pack.Report
	written  *write.Report
}

func (r *reports) print(env *Env) {
	env.scanned(r.scanned)
	if r.assigned != nil {
		env.assigned(r.assigned)
	}
	if r.packed != nil {
		env.packed(r.packed)
	}
	env.written(r.written)
}

func (r *reports) scan(root *rootfs.Root, header format.Header, opt scan.Options) pipeline.Stage {
	return pipeline.Stage{Name: "scan", Run: func(ctx context.Context, _ format.Source, out format.Sink) (err error) {
		r.scanned, err = scan.Run(ctx, root, header, opt, out)
		return err
	}}
}

func (c *buildCommand) assignStage(r *reports, opt assign.Options) pipeline.Stage {
	if c.Assign != "" {
		return c.command("assign", c.Assign)
	}
	return pipeline.Stage{Name: "assign", Run: func(ctx context.Context, in format.Source, out format.Sink) (err error) {
		r.assigned, err = assign.Run(ctx, in, out, opt)
		return err
	}}
}

func (c *buildCommand) packStage(r *reports, opt pack.Options) pipeline.Stage {
	if c.Pack != "" {
		return c.command("pack", c.Pack)
	}
	return pipeline.Stage{Name: "pack", Run: func(ctx context.Context, in format.Source, out format.Sink) (err error) {
		r.packed, err = pack.Run(ctx, in, out, opt)
		return err
	}}
}

// command puts a command line in a stage's place.
func (c *buildCommand) command(stage, line string) pipeline.Stage {
	enc := format.JSON
	if c.Format != "" {
		enc = format.Encoding(c.Format)
	}
	return pipeline.Command(stage, line, enc, os.Stderr)
}

func (r *reports) write(opt write.Options) pipeline.Stage {
	return pipeline.Stage{Name: "write", Run: func(ctx context.Context, in format.Source, _ format.Sink) (err error) {
		r.written, err = write.Run(ctx, in, opt)
		return err
	}}
}

func (missingCommand) run(context.Context, *Env) error {
	return usagef("no command: one of build, scan, assign, pack and write is needed (see chunkah --help)")
}
