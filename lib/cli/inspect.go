package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"chunkah/lib/image"
	"chunkah/lib/inspect"
	"chunkah/lib/page"
	"chunkah/lib/report"
	"chunkah/lib/temp"
)

// viewFlags are shared by inspect and reuse.
type viewFlags struct {
	imageFlags
	repoFlags
	Platform string `long:"platform" value-name:"OS/ARCH" unquote:"false" description:"platform to use if IMAGE is an index (default: this machine's)" brief:"platform in an index (default: this machine's)"`
	Download bool   `long:"download" description:"download the layers of an image in a registry; by default, only the manifest and the config are downloaded, unless another option needs the layers" brief:"also download the layers of an image in a registry"`
	JSON     bool   `long:"json" description:"print JSON"`
	HTML     string `long:"html" value-name:"FILE" unquote:"false" description:"also write a self-contained HTML page to FILE; - prints it instead of the text" brief:"also write a self-contained HTML page"`
}

type inspectCommand struct {
	viewFlags
	Components bool   `long:"components" description:"list the components, largest first"`
	Files      string `long:"files" value-name:"LAYER" unquote:"false" description:"list the entries of LAYER, which is a number or the start of a digest"`
	Tree       bool   `long:"tree" description:"list the file system of the image, with the size of each directory"`
	Depth      int    `long:"depth" value-name:"N" default:"-1" default-mask:"all" description:"maximum depth of --tree"`
	Args       struct {
		Image string `positional-arg-name:"IMAGE"`
	} `positional-args:"yes"`
}

func (c *inspectCommand) run(ctx context.Context, env *Env) (err error) {
	src, err := c.check()
	if err != nil {
		return err
	}
	asked, err := c.chosen(ctx)
	if err != nil {
		return err
	}
	in, err := c.open(ctx, env, src)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if c.needsLayers(src, c.Components || c.Files != "" || c.Tree || c.HTML != "") {
		opt := inspect.Options{Tree: c.Tree}
		if c.needsComponents() {
			opt.Repos = asked
		}
		if err := c.read(ctx, env, in, opt); err != nil {
			return err
		}
	} else {
		env.info("not reading the layers of %q, because --download is not given", src)
	}
	if done, err := c.draw(ctx, env, func(w io.Writer) error { return page.Inspect(w, in) }); done || err != nil {
		return err
	}
	p := report.New(env.writer(ctx))
	if err := c.print(p, in); err != nil {
		return err
	}
	if err := p.Flush(); err != nil {
		return fmt.Errorf("writing the contents of the image: %w", err)
	}
	return nil
}

// needsComponents reports whether the output shows the components of single files.
func (c *inspectCommand) needsComponents() bool {
	return c.Components || c.Files != "" && c.JSON || c.HTML != ""
}

// check refuses invalid combinations before anything is opened.
func (c *inspectCommand) check() (src image.Location, err error) {
	views := 0
	for _, asked := range []bool{c.Components, c.Files != "", c.Tree} {
		if asked {
			views++
		}
	}
	switch {
	case c.Args.Image == "":
		return src, usagef("no IMAGE given: for example, use oci-archive:app.oci or docker://registry.example/app:1")
	case views > 1:
		return src, usagef("--components, --files and --tree cannot be used together")
	case c.Depth != -1 && !c.Tree:
		return src, usagef("--depth %d needs --tree", c.Depth)
	case c.Depth < -1:
		return src, usagef("--depth %d: must be 0 or more", c.Depth)
	case (c.Repos != "" || c.Map != "") && !c.needsComponents():
		return src, usagef("--repos and --map have no effect, because the output shows no components of files: add --components, --html, or --files with --json")
	}
	if err := c.checkPage(); err != nil {
		return src, err
	}
	return parseImage(c.Args.Image)
}

func (f *viewFlags) leftovers() []string {
	return slices.Concat(databases(), f.imageFlags.leftovers(), parentDir(f.HTML))
}

// open opens an image and reads its manifest and config.
func (f *viewFlags) open(ctx context.Context, env *Env, src image.Location) (*inspect.Image, error) {
	opt := f.imageOptions(env)
	opt.Platform = f.Platform
	tuneCollector([]string{src.String()})
	work, stop := env.working("read", env.drawsProgress())
	defer stop()
	opt.Work = work
	return inspect.Open(ctx, src, opt)
}

// needsLayers reports whether to read the layers of an image. This is the case if they are local,
// if --download is given, or if the output needs them.
func (f *viewFlags) needsLayers(src image.Location, must bool) bool {
	return must || f.Download || !src.Network
}

func (f *viewFlags) read(ctx context.Context, env *Env, in *inspect.Image, opt inspect.Options) error {
	work, stop := env.working("read", env.drawsProgress())
	opt.Work = work
	err := in.Read(ctx, opt)
	stop()
	if err != nil {
		return err
	}
	for _, text := range append(in.Notes, in.Warnings...) {
		env.warn("%s", text)
	}
	return nil
}

// draw writes the page that --html requests. done is true if the page replaces the text output.
func (f *viewFlags) draw(ctx context.Context, env *Env, page func(io.Writer) error) (done bool, err error) {
	if f.HTML == "" {
		return false, nil
	}
	var b bytes.Buffer
	if err = page(&b); err == nil && f.HTML == "-" {
		_, err = env.writer(ctx).Write(b.Bytes())
	} else if err == nil {
		err = temp.ReplaceContext(ctx, f.HTML, b.Bytes())
	}
	if err != nil {
		return false, fmt.Errorf("writing the page %q: %w", f.HTML, err)
	}
	return f.HTML == "-", nil
}

// checkPage refuses invalid combinations before anything is opened.
func (f *viewFlags) checkPage() error {
	switch {
	case f.HTML == "-" && f.JSON:
		return usagef("--html - and --json both write to standard output: use --html FILE")
	case f.HTML == "" || f.HTML == "-":
		return nil
	}
	return checkOutputFile("--html", f.HTML)
}

func (c *inspectCommand) print(p *report.Printer, in *inspect.Image) error {
	switch {
	case c.Files != "":
		n, err := in.Find(c.Files)
		if err != nil {
			return err
		}
		report.Files(p, in, &in.Layers[n], c.JSON)
		return nil
	case c.Tree:
		nodes, err := in.Walk(c.Depth)
		if err != nil {
			return fmt.Errorf("listing %q: %w", in.Source, err)
		}
		report.Tree(p, nodes, c.JSON)
		return nil
	}
	s := in.Summary(c.Components)
	switch {
	case c.JSON:
		p.JSON(s)
	case c.Components:
		report.Components(p, s)
	default:
		report.Layers(p, s)
	}
	return nil
}
