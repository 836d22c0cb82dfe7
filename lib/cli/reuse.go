package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
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
	Client     string `long:"client" value-name:"docker|podman|containerd" unquote:"false" description:"print the downloads of one client, with reasons (default: totals for all clients, and components for podman and containerd)" brief:"print the downloads of one client (default: all)"`
	FailAbove  string `long:"fail-above" value-name:"SIZE" unquote:"false" description:"exit with status 1 if an update downloads more than SIZE, for example 50MB (without --client, podman's download counts)" brief:"exit with status 1 if an update downloads more"`
	Markdown   bool   `long:"markdown" description:"print tables in Markdown, for a pull request or a job summary" brief:"print tables in Markdown"`
	Partial    bool   `long:"partial" description:"also print what podman downloads with enable_partial_images, which fetches only the missing chunks of zstd:chunked layers" brief:"also print what podman's partial pulls download"`
	Components bool   `long:"components" description:"for a series, also print the table of components for each step (for two images it is always printed)"`
	Args       struct {
		Images []string `positional-arg-name:"IMAGE"`
	} `positional-args:"yes"`
}

func (c *reuseCommand) run(ctx context.Context, env *Env) error {
	sources, err := c.check()
	if err != nil {
		return err
	}
	most, err := c.failAbove()
	if err != nil {
		return err
	}
	asked, err := c.chosen(ctx)
	if err != nil {
		return err
	}
	drawn := page.NewSeries(c.client())
	series, err := c.compareAll(ctx, env, sources, asked, drawn)
	if err != nil {
		return err
	}
	done, err := c.draw(ctx, env, drawn.Write)
	if err == nil && !done {
		err = c.print(ctx, env, series)
	}
	if err != nil {
		return err
	}
	for _, step := range series.Steps {
		client := cmp.Or(c.client(), reuse.Podman)
		if n := step.Cost(client).Download; n > most {
			return fmt.Errorf("%s downloads %s for %q: --fail-above is %s", client, bytesText(n), step.New, bytesText(most))
		}
	}
	return nil
}

// print prints the series in the requested form.
func (c *reuseCommand) print(ctx context.Context, env *Env, series *reuse.Series) error {
	p := report.New(env.writer(ctx))
	switch {
	case c.JSON:
		p.JSON(series)
	case c.Markdown:
		report.Markdown(p, series, c.client())
	default:
		report.Series(p, series, c.client())
	}
	if err := p.Flush(); err != nil {
		return fmt.Errorf("writing the downloads: %w", err)
	}
	return nil
}

// failAbove returns the size, in bytes, above which a download is an error.
func (c *reuseCommand) failAbove() (int64, error) {
	if c.FailAbove == "" {
		return math.MaxInt64, nil
	}
	n, err := parseBytes(c.FailAbove)
	if err != nil {
		return 0, usagef("--fail-above: %w", err)
	}
	return n, nil
}

// check refuses invalid combinations before anything is opened.
func (c *reuseCommand) check() ([]image.Location, error) {
	if err := c.checkPage(); err != nil {
		return nil, err
	}
	if c.JSON && c.Markdown {
		return nil, usagef("--json and --markdown cannot be used together")
	}
	if n := len(c.Args.Images); n < 2 {
		return nil, usagef("reuse needs two images, but %d was given: OLD (what the client has) and NEW", n)
	}
	if c.Client != "" && !slices.Contains(reuse.Clients, c.client()) {
		return nil, usagef("--client %q is not one of %s", c.Client, strings.Trim(fmt.Sprint(reuse.Clients), "[]"))
	}
	return parseImages(c.Args.Images)
}

// client returns the selected client, or an empty string.
func (c *reuseCommand) client() reuse.Client { return reuse.Client(c.Client) }

// compareAll compares each image with the previous one, and adds the steps to the page. At most two
// images are open at a time.
func (c *reuseCommand) compareAll(ctx context.Context, env *Env, sources []image.Location, asked []assign.Repo, drawn *page.Series) (_ *reuse.Series, err error) {
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
			return nil, err
		}
		if i > 0 {
			html := c.HTML != ""
			var by []assign.Repo
			if c.needsLayers(sources[i-1], html) && c.needsLayers(src, html) {
				by = asked
			}
			step, err := c.compare(ctx, env, old, next, by)
			if err == nil && c.Partial {
				step.Partial, err = reuse.Partly(ctx, old, next, func(why error) {
					env.warn("%w: counting the layer as a whole", why)
				})
			}
			if err == nil && html {
				drawn.Add(step, old, next)
			}
			if err = errors.Join(err, old.Close()); err != nil {
				old = next
				return nil, err
			}
			series.Add(step)
		}
		old = next
	}
	return series, nil
}

// compare compares two images, and their files if needed. asked is nil if the layers must not be
// downloaded. All clients unpack the same files, so the result for Podman represents all of them.
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
		env.info("not reading the layers in the registry: use --download to see which files changed")
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
