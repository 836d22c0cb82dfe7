package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"

	"chunkah/lib/interrupt"
	"chunkah/lib/names"
	"chunkah/lib/source"
)

type catCommand struct {
	imageFlags
	Platform string `long:"platform" value-name:"OS/ARCH" unquote:"false" description:"platform to use if SOURCE is an index (default: this machine's)" section:"Source" brief:"platform in an index (default: this machine's)"`
	Args     struct {
		Source string `positional-arg-name:"SOURCE"`
		Path   string `positional-arg-name:"PATH"`
	} `positional-args:"yes"`
}

func (c *catCommand) run(ctx context.Context, env *Env) (err error) {
	if c.Args.Source == "" || c.Args.Path == "" {
		return usagef("cat needs an image and a path in it, for example oci-archive:app.oci /etc/os-release")
	}
	if _, err := names.Source(c.Args.Source, "chunkah cat"); err != nil {
		return &usageError{err}
	}
	if err := checkPlatform(c.Platform); err != nil {
		return err
	}
	opt := source.Options{Image: c.imageOptions(env)}
	opt.Image.Platform = c.Platform
	set, err := env.openQuietly(ctx, []string{c.Args.Source}, opt, env.drawsProgress())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	physical, err := set.Root.Resolve(path.Clean("/" + c.Args.Path))
	if err != nil {
		return fmt.Errorf("reading %q: %w", c.Args.Source, err)
	}
	in, err := set.Root.OpenFile(physical)
	if err != nil {
		return fmt.Errorf("reading %q: %w", c.Args.Source, err)
	}
	defer in.Close() // opened only for reading
	_, err = io.Copy(env.writer(ctx), interrupt.Reader(ctx, in))
	return err
}
