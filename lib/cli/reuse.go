package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"chunkah/lib/assign"
	"chunkah/lib/image"
	"chunkah/lib/inspect"
	"chunkah/lib/page"
	"chunkah/lib/report"
	"chunkah/lib/reuse"
)

type reuseCommand struct {
	viewFlags
	Client     string `long:"client" value-name:"docker|podman|containerd" unquote:"false" description:"say what this client downloads, and why (default: all in sum; podman's and containerd's by component)" brief:"say what this client downloads (default: all)"`
	Components bool   `long:"components" description:"print the table by component for each step of a series too; of two images it is always there"`
	Args       struct {
		Images []string `positional-arg-name:"IMAGE"`
	} `positional-args:"yes"`
}

func (c *reuseCommand) run(ctx context.Context, env *Env) error {
	sources, err := c.check()
	if err != nil {
		return err
	}
	asked, err := c.chosen(ctx)
	if err != nil {
		return err
	}
	series, last, err := c.compareAll(ctx, env, sources, asked)
	if err != nil {
		return err
	}
	if done, err := c.draw(ctx, env, func(w io.Writer) error { return page.Reuse(w, series, last, c.client()) }); done || err != nil {
		return err
	}
	p := report.New(env.writer(ctx))
	if c.JSON {
		p.JSON(series)
	} else {
		report.Series(p, series, c.client())
	}
	if err := p.Flush(); err != nil {
		return fmt.Errorf("writing what is downloaded: %w", err)
	}
	return nil
}

// check refuses what makes no sense before anything is opened.
func (c *reuseCommand) check() ([]image.Source, error) {
	if err := c.checkPage(); err != nil {
		return nil, err
	}
	if len(c.Args.Images) < 2 {
		return nil, usagef("%s given: name what a client has, and then what it takes", plural(int64(len(c.Args.Images)), "IMAGE"))
	}
	if c.Client != "" && !slices.Contains(reuse.Clients, c.client()) {
		return nil, usagef("--client %q is none of %s", c.Client, strings.Trim(fmt.Sprint(reuse.Clients), "[]"))
	}
	var sources []image.Source
	for _, name := range c.Args.Images {
		src, err := parseImage(name)
		if err != nil {
			return nil, err
		}
		sources = append(sources, src)
	}
	return sources, nil
}

// client is the chosen client, empty for none.
func (c *reuseCommand) client() reuse.Client { return reuse.Client(c.Client) }

// compareAll compares each image with the one before it. No more than two are open.
// It returns the last one too, which is closed.
func (c *reuseCommand) compareAll(ctx context.Context, env *Env, sources []image.Source, asked []assign.Repo) (_ *reuse.Series, last *inspect.Image, err error) {
	series := &reuse.Series{}
	var old *inspect.Image
	defer func() {
		if old != nil {
			err = errors.Join(err, old.Close())
		}
	}()
	for i, src := range sources {
		next, err := c.open(ctx, env, src)
		if err != nil {
			return nil, nil, err
		}
		if i > 0 {
			drawn := c.HTML != ""
			var by []assign.Repo
			if c.reads(sources[i-1], drawn) && c.reads(src, drawn) {
				by = asked
			}
			step, err := c.compare(ctx, env, old, next, by)
			if err = errors.Join(err, old.Close()); err != nil {
				old = next
				return nil, nil, err
			}
			series.Add(step)
		}
		old = next
	}
	return series, old, nil
}

// compare compares two images: by their files where anybody wants to know, and these
// may be read; asked is nil where not. All clients unpack the same, so that podman can
// stand for all of them.
func (c *reuseCommand) compare(ctx context.Context, env *Env, old, next *inspect.Image, asked []assign.Repo) (*reuse.Step, error) {
	wanted := c.Components || c.HTML != "" || len(c.Args.Images) == 2
	step := reuse.Compare(old, next, c.client())
	switch {
	case !wanted:
		step.Parts = nil
		return step, nil
	case step.DownloadLayers == 0 && step.Cost(reuse.Podman).UnpackLayers == 0 && c.HTML == "":
		return step, nil
	case asked == nil:
		env.info("layers stay in the registry: --download reads them, and tells which files changed")
		return step, nil
	}
	if !old.IsRead() {
		if err := c.read(ctx, env, old, inspect.Options{}); err != nil {
			return nil, err
		}
	}
	if err := c.read(ctx, env, next, inspect.Options{Repos: asked}); err != nil {
		return nil, err
	}
	return reuse.Compare(old, next, c.client()), nil
}
