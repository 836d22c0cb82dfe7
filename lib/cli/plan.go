package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"chunkah/format"
	"chunkah/lib/group"
	"chunkah/lib/image"
	"chunkah/lib/interrupt"
	"chunkah/lib/pack"
	"chunkah/lib/plan"
	"chunkah/lib/previous"
	"chunkah/lib/temp"
	"chunkah/lib/transport"
)

// planFlags are the previous plan and the file for the new plan.
type planFlags struct {
	Previous   string `long:"previous" value-name:"FILE|IMAGE" unquote:"false" description:"reuse the layer layout of a plan or an image where it saves downloads (auto: the image that the output replaces)" section:"Layers" brief:"reuse this layout where it saves downloads"`
	FreshTimes bool   `long:"fresh-times" description:"do not keep file times of the previous image. Files without a package build time get their time in the source, or SOURCE_DATE_EPOCH if that is earlier" brief:"use the source's times, not the previous image's"`
	Plan       string `long:"plan" value-name:"FILE" unquote:"false" description:"write the plan to FILE, for --previous in the next build" brief:"write the plan, to use as --previous next time"`
}

// previousAuto is the value of --previous for the image that the output replaces.
const previousAuto = "auto"

// checkPlan refuses invalid combinations before the build starts. A plan can be written to standard
// output only if the image is written elsewhere.
func (f *planFlags) checkPlan(output *image.Location) error {
	switch {
	case f.Plan == "":
		return nil
	case f.Plan == "-" && output == nil:
		return usagef("--plan - cannot be used, because the stream or the image is written to standard output: use --plan FILE")
	case f.Plan == "-":
		return nil
	}
	return checkOutputFile("--plan", f.Plan)
}

// previousLayout reads the previous layout, or returns nil without --previous. output is the image
// to be replaced, or nil for standard output.
//
// The file must exist. If a misspelt name were treated as a first build, every client would
// download the whole image again. A damaged layout is used as far as possible.
func (f *planFlags) previousLayout(ctx context.Context, env *Env, opt image.Options, output *image.Location) (*group.Previous, error) {
	switch f.Previous {
	case "":
		return nil, nil
	case previousAuto:
		return layoutOfOutput(ctx, env, opt, output)
	}
	src, err := transport.ParseSource(f.Previous)
	if err != nil {
		return nil, &usageError{err}
	}
	prev, note, err := previous.Layout(ctx, src, opt)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the previous layout: %w (for the first build, omit --previous or use an empty file)", err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the previous layout: %w", err)
	}
	if note != nil {
		env.warn("previous layout: %w", note)
	}
	return prev, nil
}

// layoutOfOutput reads the layout of the image that the output replaces. It returns an empty layout
// for a first build, and nil if the image contains no usable layout.
func layoutOfOutput(ctx context.Context, env *Env, opt image.Options, output *image.Location) (*group.Previous, error) {
	if output == nil {
		return nil, errNoPlace()
	}
	opt.Direct = true
	prev, note, err := previous.Layout(ctx, *output, opt)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, fs.ErrNotExist):
		env.info("no previous image at %q: this is the first build", output)
		return &group.Previous{}, nil // the next build will find a layout (docs/grouping.md)
	case err != nil:
		env.warn("previous layout: %w: planning without the previous layout", err)
		return nil, nil
	case note != nil:
		env.warn("previous layout: %w", note)
	}
	return prev, nil
}

// planFile returns the plan of a previous run, which scan must exclude from the root.
func (f *planFlags) planFile() []os.FileInfo { return existingFile(f.Plan) }

// pendingPlan is the file for --plan under a temporary name, until the image or stream is complete.
type pendingPlan struct{ file *temp.Pending }

func (p *pendingPlan) commit() error { return planError(p.file.Commit()) }

func (p *pendingPlan) discard() { p.file.Discard() }

// preparePlan returns a function that writes the plan under a temporary name. So errors in writing
// it occur before the image or stream is complete.
func (f *planFlags) preparePlan(ctx context.Context, env *Env, to *pendingPlan) func([]pack.Planned) error {
	if f.Plan == "" {
		return nil
	}
	return func(layers []pack.Planned) error {
		records := make([]*format.Layer, len(layers))
		for i, l := range layers {
			records[i] = l.Record
		}
		data, err := plan.Marshal(records)
		if err != nil {
			return planError(err)
		}
		return f.writePlan(ctx, env, to, bytes.NewReader(data))
	}
}

// writePlan writes the plan to standard output, or to a file under a temporary name.
func (f *planFlags) writePlan(ctx context.Context, env *Env, to *pendingPlan, data io.WriterTo) (err error) {
	if f.Plan == "-" {
		_, err = data.WriteTo(env.writer(ctx))
	} else {
		to.file, err = interrupt.Open(ctx, f.Plan, func(name string) (*temp.Pending, error) { return temp.Prepare(name, data) })
	}
	return planError(err)
}

func planError(err error) error {
	if err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	return nil
}

// place returns the image that the first output replaces, or nil for standard output.
func (f *writeFlags) place() *image.Location {
	target, err := f.target()
	if err != nil || target.IsStdout() {
		return nil // opening the output reports the error
	}
	if target.File { // a file contains one image, whatever its name
		target.Ref = ""
	}
	return &target
}

// registryPlace is an output in a registry.
type registryPlace struct {
	image.Location
	output int // its position in the outputs
}

// registryPlaces returns the outputs in registries.
func (f *writeFlags) registryPlaces() (places []registryPlace) {
	outputs, err := f.outputs()
	if err != nil {
		return nil // opening the output reports the error
	}
	for i, o := range outputs {
		if o.InRegistry() != "" {
			places = append(places, registryPlace{o.Location, i})
		}
	}
	return places
}
