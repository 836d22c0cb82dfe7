package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"chunkah/format"
	"chunkah/lib/chain"
	"chunkah/lib/doctor"
	"chunkah/lib/inspect"
	"chunkah/lib/oci"
	"chunkah/lib/plan"
	"chunkah/lib/report"
	"chunkah/lib/scan"
	"chunkah/lib/source"
)

type doctorCommand struct {
	examineFlags
	Ignore []string `long:"ignore" value-name:"ID" unquote:"false" description:"skip the check with this ID (repeatable)" brief:"skip the check with this ID (repeatable)"`
	JSON   bool     `long:"json" description:"print one JSON object per finding, with all paths"`
	Args   struct {
		Sources []string `positional-arg-name:"SOURCE"`
	} `positional-args:"yes"`
}

func (c *doctorCommand) leftovers() []string {
	return slices.Concat(databases(), c.imageFlags.leftovers())
}

func (c *doctorCommand) run(ctx context.Context, env *Env) error {
	found, err := c.findings(ctx, env)
	if err == nil {
		err = c.print(ctx, env, found)
	}
	return comparisonResult(len(found), err)
}

// findings checks the sources for problems that would affect a build.
func (c *doctorCommand) findings(ctx context.Context, env *Env) ([]doctor.Finding, error) {
	ignore, err := c.ignored()
	if err != nil {
		return nil, err
	}
	opening := c.sourceOptions(c.imageOptions(env))
	opening.Removed = true
	x, err := c.examine(ctx, env, c.Args.Sources, opening)
	if err != nil {
		return nil, err
	}
	set := x.set
	defer set.Close() // opened only for reading
	for _, line := range report.StaleLines(set.Stale, "") {
		env.info("%s", line)
	}
	looking := doctor.Options{Root: set.Root, Dir: dirOf(set), Layers: layersOf(set), Ignore: ignore, Removed: set.Removed}
	if set.Image != nil {
		if looking.Config, err = oci.ParseConfig(set.Image.Config.Data); err != nil {
			return nil, fmt.Errorf("reading the config of %q: %w", set.Image.Source, err) // the same message as in build
		}
		for _, l := range set.Image.Layers {
			looking.DiffIDs = append(looking.DiffIDs, l.DiffID)
		}
	}
	examiner := doctor.New(looking)
	var faults []scan.Fault
	x.scan.Special = x.special // special files in an image are findings
	scanned, _, err := x.run(ctx, set.Changed, "doctor", examiner.Run, func(found []scan.Fault) { faults = found })
	if err != nil {
		return nil, err
	}
	examiner.Sparse(scanned.Sparse)
	scanned.Sparse, scanned.OSTree = nil, false // reported as findings instead
	report.Scan(env.console(), scanned)
	if faults != nil {
		examiner.Faults(faults)
	} else {
		c.warnEmpty(env, set.Root, scanned)
	}
	return examiner.Findings(), nil
}

// dirOf returns the directory for suggested commands. It is empty if the source is an image or if
// there are several sources.
func dirOf(set *source.Set) string {
	var h format.Header
	if err := set.Header(&h); err != nil || len(h.Sources) > 0 {
		return ""
	}
	return set.Root.Path()
}

// layersOf returns the layers of the image if it is the only source. It returns nil if the
// stability of any layer is unknown.
//
// It also returns nil for an image built with --max-stale. In such an image, new layers are above
// the kept layers, whatever their stability, and a layer can be kept even if one of its files
// changes.
func layersOf(set *source.Set) []chain.Layer {
	var h format.Header
	if err := set.Header(&h); err != nil || len(h.Sources) != 1 || set.Image == nil {
		return nil
	}
	for _, l := range set.Image.Layers {
		if rec, _ := plan.FromHistory(l.History); rec != nil && rec.Entries != "" {
			return nil
		}
	}
	known := inspect.Chain(set.Image.Layers)
	if len(known) < len(set.Image.Layers) {
		return nil
	}
	return known
}

func (c *doctorCommand) ignored() ([]doctor.ID, error) {
	known := doctor.IDs()
	var list []doctor.ID
	for _, name := range c.Ignore {
		if !slices.Contains(known, doctor.ID(name)) {
			return nil, usagef("--ignore %q is not one of %s", name, strings.Trim(fmt.Sprint(known), "[]"))
		}
		list = append(list, doctor.ID(name))
	}
	return list, nil
}

func (c *doctorCommand) print(ctx context.Context, env *Env, found []doctor.Finding) error {
	p := report.New(env.writer(ctx))
	for _, f := range found {
		if c.JSON {
			p.JSON(f)
		} else {
			report.Finding(p, &f)
		}
	}
	if err := p.Flush(); err != nil {
		return fmt.Errorf("writing the findings: %w", err)
	}
	env.info("%s", plural(len(found), "finding"))
	return nil
}
