package cli

import (
	"cmp"
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
	"chunkah/lib/quote"
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
	p := newPrinter(env.writer(ctx))
	if c.JSON {
		p.json(series)
	} else {
		printSeries(p, series, c.client())
	}
	if err := p.flush(); err != nil {
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

// printSeries prints the steps, and what they come to where there are several.
func printSeries(p *printer, s *reuse.Series, chosen reuse.Client) {
	if len(s.Steps) == 1 {
		printStep(p, s.Steps[0], chosen, "")
		return
	}
	clients := shownClients(chosen)
	t := p.table()
	head := []any{"step"}
	for _, client := range clients {
		head = append(head, client)
	}
	t.row(append(head, "unpack", "of", "  image")...)
	for i, step := range s.Steps {
		t.row(costCells(i+1, step.Cost, clients, 1, bytesText(step.Bytes), "  "+quote.Name(step.New))...)
	}
	n := int64(len(s.Steps))
	t.row(costCells("mean", s.Cost, clients, n, "", "  a step")...)
	t.row(costCells("total", s.Cost, clients, 1, "", "  in "+plural(n, "step"))...)
	t.end()
	for i, step := range s.Steps {
		if len(step.Parts) > 0 {
			p.linef("")
			printStep(p, step, chosen, fmt.Sprintf("step %d: ", i+1))
		}
	}
}

// shownClients are the chosen client, or all.
func shownClients(chosen reuse.Client) []reuse.Client {
	if chosen != "" {
		return []reuse.Client{chosen}
	}
	return reuse.Clients
}

// costCells are a row with what clients download, and what all of them unpack, divided
// by n, in the middle.
func costCells(first any, of func(reuse.Client) reuse.Cost, clients []reuse.Client, n int64, last ...any) []any {
	cells, unpack := []any{first}, "-"
	for _, client := range clients {
		cost := of(client)
		cells = append(cells, bytesText(cost.Download/n))
		if cost.Unpack != nil {
			unpack = bytesText(*cost.Unpack / n)
		}
	}
	return append(append(cells, unpack), last...)
}

// clientTexts are the clients by name.
var clientTexts = map[reuse.Client]string{
	reuse.Docker: "docker (overlay2)", reuse.Podman: "podman", reuse.Containerd: "containerd",
}

// unpackText says how much a client unpacks. Where nobody has read the layers, only
// their blobs have a size.
func unpackText(c reuse.Cost) string {
	layers := plural(int64(c.UnpackLayers), "layer")
	if c.Unpack == nil {
		return fmt.Sprintf("%s (%s compressed)", layers, bytesText(c.UnpackBlobs))
	}
	return fmt.Sprintf("%s in %s", bytesText(*c.Unpack), layers)
}

// printStep prints what a step costs, and why, below a line that begins with title.
func printStep(p *printer, s *reuse.Step, chosen reuse.Client, title string) {
	p.linef("%s%s to %s", title, quote.Name(s.Old), quote.Name(s.New))
	for _, client := range shownClients(chosen) {
		cost := s.Cost(client)
		p.linef("%s downloads %s of %s, in %d of %s, and unpacks %s", clientTexts[client], bytesText(cost.Download), bytesText(s.Bytes),
			cost.DownloadLayers, plural(int64(s.Layers), "layer"), unpackText(cost))
	}
	if s.SameTarLayers > 0 {
		p.linef("of the downloads, %s in %s is there and only compressed otherwise", bytesText(s.SameTar), plural(int64(s.SameTarLayers), "layer"))
	}
	if len(s.Parts) == 0 {
		return
	}
	parts := slices.Clone(s.Parts)
	slices.SortStableFunc(parts, func(a, b reuse.Part) int {
		return cmp.Or(cmp.Compare(bytesOf(b.Download), bytesOf(a.Download)), cmp.Compare(a.Layer, b.Layer))
	})
	p.linef("")
	p.linef("what %s downloads, and why:", cmp.Or(string(chosen), "podman or containerd"))
	t := p.table()
	t.row("download", "changed", "unchanged", "layer", "  component, and why the unchanged comes along")
	for _, part := range parts {
		t.row(sizeText(part.Download), sizeText(part.Changed), sizeText(part.Unchanged), part.Layer, "  "+partText(&part))
	}
	t.end()
	printReasons(p, s)
}

func bytesOf(n *int64) int64 {
	if n == nil {
		return inspect.Unknown
	}
	return *n
}

// partText names a component, what became of it, and why the rest comes along.
func partText(p *reuse.Part) string {
	name := shorten(p.Component)
	if p.Component == "" {
		name = unknownComponent
	}
	switch {
	case p.State == reuse.StateChanged && p.Changed != nil:
		name += fmt.Sprintf(": %d of %s changed", p.ChangedFiles, plural(p.ChangedFiles+p.UnchangedFiles, "file"))
	case p.State == reuse.StateChanged, p.State == reuse.StateNew:
		name += ": " + string(p.State)
	}
	if p.Why != "" && p.Reason != reuse.ReasonComponent {
		name += ": " + quote.Name(p.Why)
	}
	return name
}

// reasonTexts are the reasons in a few words, in the order in which they are listed.
var reasonTexts = []struct {
	reason reuse.Reason
	text   string
}{
	{reuse.ReasonChain, "since layers below theirs changed"},
	{reuse.ReasonComponent, "with changed files of their component"},
	{reuse.ReasonNeighbour, "with another component of their layer"},
	{reuse.ReasonGrouping, "since components are grouped otherwise"},
	{reuse.ReasonRemoved, "since files of their layer are gone"},
	{reuse.ReasonDirectories, "for the metadata of directories"},
	{reuse.ReasonTimes, "for times of last change"},
	{reuse.ReasonCompression, "compressed otherwise"},
	{reuse.ReasonTar, "in a tar that is written otherwise"},
}

// printReasons sums up what comes along.
func printReasons(p *printer, s *reuse.Step) {
	sums, all, changed := map[reuse.Reason]int64{}, int64(0), int64(0)
	for _, part := range s.Parts {
		if part.Unchanged == nil {
			return // nobody has read them
		}
		sums[part.Reason] += *part.Unchanged
		all += *part.Unchanged
		changed += *part.Changed
	}
	p.linef("")
	t := p.table()
	t.row(bytesText(changed), "  changed or new")
	t.row(bytesText(all), "  comes along")
	for _, r := range reasonTexts {
		if n := sums[r.reason]; n > 0 {
			t.row(bytesText(n), "    "+r.text)
		}
	}
	t.end()
}
