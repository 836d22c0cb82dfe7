package cli

import (
	"context"
	"fmt"
	"slices"

	"chunkah/lib/diff"
	"chunkah/lib/image"
	"chunkah/lib/metrics"
	"chunkah/lib/names"
	"chunkah/lib/oci"
	"chunkah/lib/pack"
	"chunkah/lib/report"
	"chunkah/lib/rootfs"
	"chunkah/lib/scan"
	"chunkah/lib/source"
)

type diffCommand struct {
	imageFlags
	scanFlags
	Platform    string `long:"platform" value-name:"OS/ARCH" unquote:"false" description:"platform to use if a source is an index (default: this machine's)" section:"Source" brief:"platform in an index (default: this machine's)"`
	IgnoreMTime bool   `long:"ignore-mtime" description:"ignore mtimes and the creation times of images. By default, mtimes are compared to the nanosecond, but between a directory and an image only to the second" section:"Comparison" brief:"ignore mtimes and creation times"`
	JSON        bool   `long:"json" description:"print one JSON object per difference"`
	Args        struct {
		Sources []string `positional-arg-name:"SOURCE"`
	} `positional-args:"yes"`
}

func (c *diffCommand) run(ctx context.Context, env *Env) error {
	found, err := c.compare(ctx, env)
	if err == nil {
		if err = printEach(ctx, env, found, c.JSON); err != nil {
			err = fmt.Errorf("writing the differences: %w", err)
		}
	}
	return comparisonResult(len(found), err)
}

func (c *diffCommand) compare(ctx context.Context, env *Env) (found []diff.Difference, err error) {
	if len(c.Args.Sources) != 2 {
		return nil, usagef("%s given: diff needs two, for example dir:root oci:image", plural(len(c.Args.Sources), "SOURCE"))
	}
	for _, s := range c.Args.Sources {
		if _, err := names.Source(s, ""); err != nil {
			return nil, &usageError{err}
		}
	}
	var sets [2]*source.Set
	work, stop := env.working("read", env.drawsProgress())
	defer stop()
	for i, s := range c.Args.Sources {
		if sets[i], err = c.open(ctx, env, s, work); err != nil {
			return nil, err
		}
		defer sets[i].Close() // opened only for reading
	}
	stop()
	opt, err := c.options(env, sets)
	if err != nil {
		return nil, err
	}
	a, b := sets[0], sets[1]
	if found, err = c.configs(a, b); err != nil {
		return nil, err
	}
	var reports [2]scan.Report
	work, stop = env.working("compare", env.drawsProgress())
	files, err := diff.Run(ctx, c.side(ctx, a, opt, &reports[0]), c.side(ctx, b, opt, &reports[1]), diff.Options{
		Work: work, IgnoreMTime: c.IgnoreMTime, AsInLayers: (a.Tree == nil) != (b.Tree == nil),
		SkipXattr: func(name string) bool { return pack.DropsXattr(name, c.KeepXattrs) },
	})
	stop()
	if err != nil {
		return nil, err
	}
	// A pattern is not reported as unmatched if it matches files in at least one source.
	reports[0].Unmatched = slices.DeleteFunc(reports[0].Unmatched, func(p string) bool { return !slices.Contains(reports[1].Unmatched, p) })
	reports[1].Unmatched = nil
	report.Scan(env.console(), &reports[0])
	report.Scan(env.console(), &reports[1])
	return append(found, files...), nil
}

// open opens a source. For an image, it keeps only the digests of the files, unless scan has to
// read the contents.
func (c *diffCommand) open(ctx context.Context, env *Env, name string, work *metrics.Work) (*source.Set, error) {
	opt := source.Options{Image: c.imageOptions(env), Sums: !c.SkipCaches, Removed: env.Verbose >= 1}
	opt.Image.Platform, opt.Image.Work = c.Platform, work
	set, err := source.Open(ctx, []string{name}, opt)
	if err != nil {
		return nil, err
	}
	for _, note := range set.Notes {
		env.warn("%s", note)
	}
	for _, line := range report.StaleLines(set.Stale, "") {
		env.info("%s: %s", name, line)
	}
	return set, nil
}

// options returns the scan options, which are the same for both sources. Special files are compared
// unless they are excluded.
func (c *diffCommand) options(env *Env, sets [2]*source.Set) (scan.Options, error) {
	root := sets[0].Root
	if sets[1].Root.Path() == "/" {
		root = sets[1].Root // only part of / is compared
	}
	opt, err := c.scanFlags.options(env, root, nil)
	if opt.Special == scan.SpecialRefuse {
		opt.Special = scan.SpecialKeep
	}
	return opt, err
}

func (c *diffCommand) side(ctx context.Context, set *source.Set, opt scan.Options, report *scan.Report) diff.Side {
	tree := set.Tree
	if c.SkipCaches {
		tree = nil // the file contents are read from the root
	}
	return diffSide(ctx, set.Root, tree, opt, report)
}

// diffSide returns a root as one side of a comparison. If tree is not nil, it contains the digests
// of the files.
func diffSide(ctx context.Context, root *rootfs.Root, tree *image.Tree, opt scan.Options, report *scan.Report) diff.Side {
	side := diff.Side{Files: scan.Walk(ctx, root, opt, report), Root: root}
	if tree != nil {
		side.Sum = tree.Sum
	}
	return side
}

// configs compares the configs of two images. A directory has no config.
func (c *diffCommand) configs(a, b *source.Set) ([]diff.Difference, error) {
	if a.Config == nil || b.Config == nil {
		return nil, nil
	}
	x, y := *a.Config, *b.Config
	if c.IgnoreMTime {
		x.Created, y.Created = nil, nil
	}
	found, err := diff.Configs(&x, &y)
	return append(found, healthDifference(a, b)...), err
}

// healthDifference reports that podman runs the health check of only one of the images. The reason
// is that podman reads health checks only from images in Docker format.
func healthDifference(a, b *source.Set) []diff.Difference {
	var seen [2]*string
	for i, set := range []*source.Set{a, b} {
		if set.Config.HasHealthcheck() && set.Image != nil && set.Image.Config.Descriptor.MediaType == oci.MediaTypeDockerConfig {
			known := "known"
			seen[i] = &known
		}
	}
	if (seen[0] == nil) == (seen[1] == nil) {
		return nil
	}
	return []diff.Difference{{Field: diff.FieldConfig, Name: "config.Healthcheck for podman", A: seen[0], B: seen[1]}}
}

// printEach prints a line or a JSON object for each difference or fault.
func printEach[T fmt.Stringer](ctx context.Context, env *Env, found []T, asJSON bool) error {
	p := report.New(env.writer(ctx))
	for _, f := range found {
		if asJSON {
			p.JSON(f)
		} else {
			p.Linef("%s", f)
		}
	}
	return p.Flush()
}
