package cli

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"chunkah/lib/assign"
	"chunkah/lib/image"
	"chunkah/lib/inspect"
	"chunkah/lib/page"
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
	out := bufio.NewWriter(env.writer(ctx))
	if c.JSON {
		err = json.NewEncoder(out).Encode(series)
	} else {
		err = printSeries(out, series, c.client())
	}
	if err = cmp.Or(err, out.Flush()); err != nil {
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
func printSeries(w io.Writer, s *reuse.Series, chosen reuse.Client) error {
	if len(s.Steps) == 1 {
		return printStep(w, s.Steps[0], chosen)
	}
	clients := shownClients(chosen)
	t := table(w)
	fmt.Fprint(t, "step")
	for _, client := range clients {
		fmt.Fprintf(t, "\t%s", client)
	}
	fmt.Fprintln(t, "\tunpack\tof\t  image")
	for i, step := range s.Steps {
		fmt.Fprintf(t, "%d%s\t%s\t  %s\n", i+1, costCells(step.Cost, clients, 1), bytesText(step.Bytes), printable(step.New))
	}
	n := int64(len(s.Steps))
	fmt.Fprintf(t, "mean%s\t\t  a step\n", costCells(s.Cost, clients, n))
	fmt.Fprintf(t, "total%s\t\t  in %s\n", costCells(s.Cost, clients, 1), plural(n, "step"))
	if err := t.Flush(); err != nil {
		return err
	}
	for i, step := range s.Steps {
		if len(step.Parts) == 0 {
			continue
		}
		if _, err := fmt.Fprintf(w, "\nstep %d: ", i+1); err != nil {
			return err
		}
		if err := printStep(w, step, chosen); err != nil {
			return err
		}
	}
	return nil
}

// shownClients are the chosen client, or all.
func shownClients(chosen reuse.Client) []reuse.Client {
	if chosen != "" {
		return []reuse.Client{chosen}
	}
	return reuse.Clients
}

// costCells are what clients download, and what all of them unpack, divided by n.
func costCells(of func(reuse.Client) reuse.Cost, clients []reuse.Client, n int64) string {
	cells, unpack := "", "-"
	for _, client := range clients {
		cost := of(client)
		cells += "\t" + bytesText(cost.Download/n)
		if cost.Unpack != nil {
			unpack = bytesText(*cost.Unpack / n)
		}
	}
	return cells + "\t" + unpack
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

// printStep prints what a step costs, and why.
func printStep(w io.Writer, s *reuse.Step, chosen reuse.Client) error {
	fmt.Fprintf(w, "%s to %s\n", printable(s.Old), printable(s.New))
	for _, client := range shownClients(chosen) {
		cost := s.Cost(client)
		fmt.Fprintf(w, "%s downloads %s of %s, in %d of %s, and unpacks %s\n", clientTexts[client], bytesText(cost.Download), bytesText(s.Bytes),
			cost.DownloadLayers, plural(int64(s.Layers), "layer"), unpackText(cost))
	}
	if s.SameTarLayers > 0 {
		fmt.Fprintf(w, "of the downloads, %s in %s is there and only compressed otherwise\n", bytesText(s.SameTar), plural(int64(s.SameTarLayers), "layer"))
	}
	if len(s.Parts) == 0 {
		return nil
	}
	parts := slices.Clone(s.Parts)
	slices.SortStableFunc(parts, func(a, b reuse.Part) int {
		return cmp.Or(cmp.Compare(bytesOf(b.Download), bytesOf(a.Download)), cmp.Compare(a.Layer, b.Layer))
	})
	fmt.Fprintf(w, "\nwhat %s downloads, and why:\n", cmp.Or(string(chosen), "podman or containerd"))
	t := table(w)
	fmt.Fprintln(t, "download\tchanged\tunchanged\tlayer\t  component, and why the unchanged comes along")
	for _, p := range parts {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t  %s\n", sizeText(p.Download), sizeText(p.Changed), sizeText(p.Unchanged), p.Layer, partText(&p))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return printReasons(w, s)
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
		name = notTold
	}
	switch {
	case p.State == reuse.StateChanged && p.Changed != nil:
		name += fmt.Sprintf(": %d of %s changed", p.ChangedFiles, plural(p.ChangedFiles+p.UnchangedFiles, "file"))
	case p.State == reuse.StateChanged, p.State == reuse.StateNew:
		name += ": " + string(p.State)
	}
	if p.Why != "" && p.Reason != reuse.ReasonComponent {
		name += ": " + printable(p.Why)
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
func printReasons(w io.Writer, s *reuse.Step) error {
	sums, all, changed := map[reuse.Reason]int64{}, int64(0), int64(0)
	for _, p := range s.Parts {
		if p.Unchanged == nil {
			return nil // nobody has read them
		}
		sums[p.Reason] += *p.Unchanged
		all += *p.Unchanged
		changed += *p.Changed
	}
	t := table(w)
	fmt.Fprintf(t, "\n%s\t  changed or new\n%s\t  comes along\n", bytesText(changed), bytesText(all))
	for _, r := range reasonTexts {
		if n := sums[r.reason]; n > 0 {
			fmt.Fprintf(t, "%s\t    %s\n", bytesText(n), r.text)
		}
	}
	return t.Flush()
}
