package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"chunkah/lib/image"
	"chunkah/lib/inspect"
)

// viewFlags are those that inspect and reuse share.
type viewFlags struct {
	imageFlags
	Platform string `long:"platform" value-name:"OS/ARCH" unquote:"false" description:"which image of an index to take (default: this machine's)"`
	Download bool   `long:"download" description:"read the layers of an image in a registry too: they are left there unless something asked for needs them"`
	JSON     bool   `long:"json" description:"print JSON for tools"`
}

type inspectCommand struct {
	viewFlags
	Components bool   `long:"components" description:"list the components, the largest first"`
	Files      string `long:"files" value-name:"LAYER" unquote:"false" description:"list the entries of a layer: its number, or the start of its digest"`
	Tree       bool   `long:"tree" description:"list the file system that the layers make up, with the bytes below each directory"`
	Depth      int    `long:"depth" value-name:"N" default:"-1" default-mask:"all" description:"directories deep, of --tree"`
	Args       struct {
		Image string `positional-arg-name:"IMAGE"`
	} `positional-args:"yes"`
}

func (c *inspectCommand) run(ctx context.Context, env *Env) (err error) {
	src, err := c.check()
	if err != nil {
		return err
	}
	read := c.Components || c.Files != "" || c.Tree
	in, err := c.open(ctx, env, src, read, c.Components)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out := bufio.NewWriter(env.Stdout)
	if err := c.print(out, in); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("writing what is in the image: %w", err)
	}
	return nil
}

// check refuses what makes no sense before anything is opened.
func (c *inspectCommand) check() (src image.Source, err error) {
	views := 0
	for _, asked := range []bool{c.Components, c.Files != "", c.Tree} {
		if asked {
			views++
		}
	}
	switch {
	case c.Args.Image == "":
		return src, usagef("no IMAGE: name one, as in oci-archive:app.oci or docker://registry.example/app:1")
	case views > 1:
		return src, usagef("--components, --files and --tree exclude each other")
	case c.Depth != -1 && !c.Tree:
		return src, usagef("--depth %d is of --tree, which is not given", c.Depth)
	case c.Depth < -1:
		return src, usagef("--depth %d: want 0 or more", c.Depth)
	}
	return parseImage(c.Args.Image)
}

// parseImage reads the name of an image.
func parseImage(name string) (image.Source, error) {
	src, err := image.ParseSource(name)
	if err != nil {
		return src, &usageError{err}
	}
	if src.Kind == image.KindDir {
		return src, usagef("source %q is no image: want oci:PATH[:REF], oci-archive:PATH[:REF], docker-archive:PATH[:REF] or docker://REF", name)
	}
	return src, nil
}

// open inspects an image. Its layers are read where that takes no download, or where
// that has to be; components are found out then where its history does not tell.
func (f *viewFlags) open(ctx context.Context, env *Env, src image.Source, read, components bool) (*inspect.Image, error) {
	opt := inspect.Options{Image: f.imageOptions(env), Read: read || f.Download || src.Kind != image.KindRegistry}
	opt.Image.Platform = f.Platform
	if components {
		opt.Repos = repos(nil)
	}
	spareMemory([]string{src.String()})
	in, err := inspect.Open(ctx, src, opt)
	if err != nil {
		return nil, err
	}
	for _, text := range append(in.Notes, in.Warnings...) {
		env.warn("%s", text)
	}
	if !opt.Read {
		env.info("%q: its layers stay where they are: --download reads them", src)
	}
	return in, nil
}

func (c *inspectCommand) print(out io.Writer, in *inspect.Image) error {
	switch {
	case c.Files != "":
		n, err := in.Find(c.Files)
		if err != nil {
			return err
		}
		return c.printFiles(out, in, &in.Layers[n])
	case c.Tree:
		nodes, err := in.Walk(c.Depth)
		if err != nil {
			return fmt.Errorf("listing %q: %w", in.Source, err)
		}
		return c.printTree(out, nodes)
	}
	s := in.Summary(c.Components)
	switch {
	case c.JSON:
		return json.NewEncoder(out).Encode(s)
	case c.Components:
		return printComponents(out, s)
	}
	return printLayers(out, s)
}
