package cli

import (
	"context"
	"fmt"

	"chunkah/lib/report"
	"chunkah/lib/verify"
)

type verifyCommand struct {
	imageFlags
	Platform string `long:"platform" value-name:"OS/ARCH" unquote:"false" description:"platform to verify in an index (default: all)" section:"Source"`
	JSON     bool   `long:"json" description:"print one JSON object per fault"`
	Args     struct {
		Sources []string `positional-arg-name:"SOURCE"`
	} `positional-args:"yes"`
}

func (c *verifyCommand) run(ctx context.Context, env *Env) error {
	r, err := c.verify(ctx, env)
	if err != nil {
		return comparisonResult(0, err)
	}
	return comparisonResult(len(r.Faults), nil)
}

func (c *verifyCommand) verify(ctx context.Context, env *Env) (*verify.Report, error) {
	if len(c.Args.Sources) != 1 {
		return nil, usagef("%s given: verify needs one image, for example oci-archive:app.oci", plural(len(c.Args.Sources), "SOURCE"))
	}
	src, err := parseImage(c.Args.Sources[0])
	if err != nil {
		return nil, err
	}
	if err := checkPlatform(c.Platform); err != nil {
		return nil, err
	}
	opt := verify.Options{Image: c.imageOptions(env), Stale: env.Verbose >= 1}
	opt.Image.Platform = c.Platform
	work, stop := env.working("read", env.drawsProgress())
	opt.Image.Work = work
	r, err := verify.Run(ctx, src, opt)
	stop()
	if err != nil {
		return nil, err
	}
	for _, n := range r.Notes {
		env.warn("%s", n)
	}
	if err := printEach(ctx, env, r.Faults, c.JSON); err != nil {
		return nil, fmt.Errorf("writing the faults: %w", err)
	}
	report.Verify(env.console(), r)
	for _, s := range r.Stale {
		for _, line := range report.StaleLines(s.Layers, "") {
			env.info("%s: %s", s.Where, line)
		}
	}
	return r, nil
}
