package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"chunkah/format"
	"chunkah/lib/group"
	"chunkah/lib/oci"
	"chunkah/lib/pack"
	"chunkah/lib/plan"
	"chunkah/lib/replace"
)

// planFlags say what the last plan was and where this one goes.
type planFlags struct {
	Previous string `long:"previous" value-name:"FILE|IMAGE" unquote:"false" description:"keep what is worth keeping of the last layout: a plan, or an image (auto: the one at the output's place)"`
	Plan     string `long:"plan" value-name:"FILE" unquote:"false" description:"write the plan to FILE, for --previous of the next build"`
}

// previousAuto is the image that the output replaces.
const previousAuto = "auto"

// checkPlan refuses what can be told before the work. Standard output is free
// where the image goes elsewhere.
func (f *planFlags) checkPlan(output string) error {
	switch {
	case f.Plan == "":
		return nil
	case f.Plan == "-" && output == "":
		return usagef("--plan -: standard output holds the stream or the image")
	case f.Plan == "-":
		return nil
	}
	if dir := filepath.Dir(f.Plan); !isDir(dir) || isDir(f.Plan) {
		return usagef("--plan %q is no name of a file in a folder that is there", f.Plan)
	}
	return nil
}

// previous reads the last layout, nil where none is named. output is the image
// that is replaced, empty where that is on standard output.
//
// A place that is named and not there is a mistake: taken for a first build, a
// misspelt name would go unnoticed and cost every client the whole image. What is
// there is used for what it is worth.
func (f *planFlags) previous(ctx context.Context, env *Env, output string) (*group.Previous, error) {
	switch f.Previous {
	case "":
		return nil, nil
	case previousAuto:
		return previousOutput(ctx, env, output)
	}
	prev, note, err := readPrevious(ctx, f.Previous)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the previous plan: %w (for a first build leave out --previous, or name an empty file)", err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the previous plan: %w", err)
	}
	if note != "" {
		env.warn("previous plan: %s", note)
	}
	return prev, nil
}

// previousOutput reads the layout of the image that the output replaces. There is
// none at the first build, and whatever is there instead is none of ours.
func previousOutput(ctx context.Context, env *Env, output string) (*group.Previous, error) {
	if output == "" {
		return nil, usagef("--previous auto is the image at the output's place: it needs chunkah build with -o")
	}
	prev, note, err := readPrevious(ctx, output)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, fs.ErrNotExist):
		env.info("no previous image at %q: this is the first one", output)
		return nil, nil
	case err != nil:
		env.warn("previous image: %s: planning without", err)
		return nil, nil
	case note != "":
		env.warn("previous image: %s", note)
	}
	return prev, nil
}

// readPrevious reads a layout from a plan or an image. A plain path is either, or
// a folder with an image: its first byte tells.
func readPrevious(ctx context.Context, name string) (*group.Previous, string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	return plan.Read(patient{ctx, f}, fmt.Sprintf("%q", name))
}

// writePlan writes the plan that was asked for.
func (f *planFlags) writePlan(env *Env, r *pack.Report) error {
	if f.Plan == "" {
		return nil
	}
	records := make([]*format.Layer, len(r.Plan))
	for i, l := range r.Plan {
		records[i] = l.Record
	}
	data, err := plan.Marshal(records)
	switch {
	case err != nil:
	case f.Plan == "-":
		_, err = env.Stdout.Write(data)
	default:
		err = replace.File(f.Plan, data)
	}
	if err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	return nil
}

// place names the image that an output replaces, as --previous does; it is empty
// where that is standard output.
func (f *writeFlags) place() string {
	target, err := f.target()
	if err != nil {
		return "" // which is told when the output is opened
	}
	name := target.Path
	if target.Ref != "" {
		name += ":" + target.Ref
	}
	switch target.Kind {
	case oci.KindArchive:
		return "oci-archive:" + name
	case oci.KindLayout:
		return "oci:" + name
	}
	return ""
}
