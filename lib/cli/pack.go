package cli

import (
	"context"
	"slices"
	"strconv"

	"chunkah/lib/image"
	"chunkah/lib/names"
	"chunkah/lib/pack"
	"chunkah/lib/proofs"
	"chunkah/lib/report"
)

// packFlags are shared by pack and build. --max and --max-layers are the same option.
type packFlags struct {
	Max           string `long:"max" value-name:"N" unquote:"false" description:"maximum number of layers, 1 to 500 (default: 64)" section:"Layers"`
	MaxLayers     string `long:"max-layers" value-name:"N" unquote:"false" description:"the same as --max"`
	MaxSize       string `long:"max-layer-size" value-name:"SIZE" unquote:"false" description:"limit the size of a layer's tar, for example 500MB or 1GiB: larger components are cut into parts" brief:"limit a layer's size: 500MB or 1GiB"`
	MaxStale      string `long:"max-stale" value-name:"PERCENT" unquote:"false" description:"keep the layers of the --previous image, and put only changed files into new layers on top, while at most PERCENT of the image is stale (default: 0, no patch layers; see docs/patch-layers.md)" brief:"keep old layers until PERCENT of the image is stale"`
	TrustPrevious bool   `long:"trust-previous" description:"with --max-stale, trust the file lists of the --previous image instead of reading layers that this user has not verified. Anybody who can replace that image can then put files into the new image (see docs/patch-layers.md)" brief:"trust the file lists of the --previous image"`
	Explain       bool   `long:"explain" description:"print the plan and the reasons for it: to standard output, or to standard error if standard output has the image or the stream" brief:"print the plan and the reasons for it"`
	JSON          bool   `long:"json" description:"print the output of --explain as one line of JSON"`
	planFlags
}

// options parses the flags. output is nil if the image or stream is written to standard output.
func (f *packFlags) options(ctx context.Context, env *Env, images image.Options, output *image.Location, plan *pendingPlan) (pack.Options, error) {
	n, err := f.max(env)
	if err != nil {
		return pack.Options{}, err
	}
	if err := f.checkPlan(output); err != nil {
		return pack.Options{}, err
	}
	opt := pack.Options{Max: n, Explain: f.Explain || f.JSON}
	if opt.MaxStale, err = f.maxStale(output); err != nil {
		return opt, err
	}
	if opt.MaxStale == 0 {
		opt.Planned = f.preparePlan(ctx, env, plan)
	}
	if opt.MaxLayerSize, err = f.maxLayerSize(); err != nil {
		return opt, err
	}
	opt.PreviousLayout, err = f.previousLayout(ctx, env, images, output)
	return opt, err
}

func (f *packFlags) maxLayerSize() (int64, error) {
	if f.MaxSize == "" {
		return 0, nil
	}
	size, err := parseBytes(f.MaxSize)
	if err != nil || size <= 0 {
		return 0, usagef("--max-layer-size %q is not a size such as 500MB or 1GiB", f.MaxSize)
	}
	return size, nil
}

// max returns the requested maximum number of layers, or 0 if it is not set.
func (f *packFlags) max(env *Env) (int, error) {
	if f.Max != "" && f.MaxLayers != "" {
		return 0, usagef("--max and --max-layers are the same option: use one of them")
	}
	text, name := f.Max, "--max"
	if f.MaxLayers != "" {
		text, name = f.MaxLayers, "--max-layers"
	}
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < pack.MinMax || n > pack.MaxMax {
		return 0, usagef("%s %q is not a number from %d to %d", name, text, pack.MinMax, pack.MaxMax)
	}
	switch {
	case n > pack.MostLayers:
		env.warn("%s %d: podman refuses images with more than 128 layers, and containers-storage refuses more than %d, including layers that a Containerfile adds",
			name, n, pack.MaxMax)
	case n > pack.ManyLayers:
		env.warn("%s %d: docker's overlay2 store refuses images with more than %d layers, and podman refuses more than 128",
			name, n, pack.ManyLayers)
	}
	return n, nil
}

type packCommand struct {
	packFlags
	threadFlags
	xattrFlags
	imageFlags
	clockFlags
	formatFlags
	metricsFlags
}

func (c *packCommand) leftovers() []string {
	return slices.Concat(c.imageFlags.leftovers(), c.planFlags.folders(), c.metricsFlags.folders(), parentDir(proofs.Path()))
}

func (c *packCommand) run(ctx context.Context, env *Env) error {
	if err := checkFiles(nil, names.File{Option: "--plan", Path: c.Plan}, names.File{Option: "--metrics", Path: c.Metrics}); err != nil {
		return err
	}
	var plan pendingPlan
	images := c.imageOptions(env)
	opt, err := c.packFlags.options(ctx, env, images, nil, &plan)
	if err != nil {
		return err
	}
	patched, err := c.openPatched(ctx, env, images, nil, &opt)
	if err != nil {
		return err
	}
	defer closeImage(patched)
	opt.KeepXattrs = c.KeepXattrs
	if opt.Threads, err = c.threads(); err != nil {
		return err
	}
	if !c.FreshTimes {
		opt.Open = c.openPackContents(env)
	}
	run, measured, err := c.measureStage(env, "pack", env.drawsStage())
	if err != nil {
		return err
	}
	defer run.end()
	in, out, err := env.streams(ctx, &c.formatFlags, &c.clockFlags)
	if err != nil {
		return err
	}
	defer plan.discard()
	sink := c.planFiles(ctx, env, &plan, opt.MaxStale, measured.Out(out))
	packed, err := pack.Run(ctx, measured.In(in), sink, opt)
	if err != nil {
		return err
	}
	report.Pack(env.console(), packed)
	if err := c.planned(ctx, env, nil, &plan, packed); err != nil {
		return err
	}
	run.write(ctx, env)
	return nil
}

// planned writes the final plan file and prints the plan, if requested.
func (f *packFlags) planned(ctx context.Context, env *Env, output *image.Location, plan *pendingPlan, r *pack.Report) error {
	if r == nil {
		return nil // another program made the plan
	}
	if err := plan.commit(); err != nil {
		return err
	}
	return f.explainPlan(ctx, env, output, r)
}
