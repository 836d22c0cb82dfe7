package cli

import (
	"context"
	"errors"
	"slices"
	"strings"

	"chunkah/lib/image"
	"chunkah/lib/index"
	"chunkah/lib/names"
	"chunkah/lib/oci"
)

type indexCommand struct {
	outputFlags
	imageFlags
	Annotation []string `long:"annotation" value-name:"K=V|K-|-" unquote:"false" description:"set an annotation of the index (repeatable)" section:"Output"`
	Args       struct {
		Sources []string `positional-arg-name:"SOURCE"`
	} `positional-args:"yes"`
}

func (c *indexCommand) leftovers() []string {
	return slices.Concat(c.imageFlags.leftovers(), c.outputFlags.folders())
}

func (c *indexCommand) run(ctx context.Context, env *Env) (err error) {
	outputs, err := c.outputs()
	if err != nil {
		return err
	}
	if err := checkFiles(outputs, names.File{Option: "--digest-file", Path: c.DigestFile}); err != nil {
		return err
	}
	for _, o := range outputs {
		if o.ByConfig {
			return usagef("%s can contain only an image for one platform: use oci-archive:", o.Prefix)
		}
		if err := c.checkOutput(env, o); err != nil {
			return err
		}
	}
	ref, also := names.IndexNames(outputs)
	var config oci.Config
	if err := config.EditAnnotations(c.Annotation); err != nil {
		return usagef("--annotation: %w", err)
	}
	images := c.imageOptions(env)
	sources, err := c.sources()
	if err != nil {
		return err
	}
	var lists []*image.Listing
	defer func() {
		for _, l := range lists {
			err = errors.Join(err, l.Close())
		}
	}()
	for _, src := range sources {
		l, err := image.List(ctx, src, images)
		if err != nil {
			return err
		}
		lists = append(lists, l)
		env.warnAbsent(src, l)
	}
	report, err := index.Join(ctx, lists, index.Options{
		Create:      func() (oci.Destination, error) { return c.create(ctx, env, images, false, false) },
		Ref:         ref,
		Also:        also,
		Annotations: config.Annotations,
	})
	if err != nil {
		return err
	}
	env.info("%s: %s, %s, %s copied", report.Digest, strings.Join(report.Platforms, ", "),
		plural(report.Manifests, "manifest"), bytesText(report.Bytes))
	return c.writeDigest(ctx, env, report.Digest)
}

// sources parses the names of the images.
func (c *indexCommand) sources() ([]image.Location, error) {
	if len(c.Args.Sources) == 0 {
		return nil, usagef("no SOURCE given: list the images to combine, for example oci-archive:amd64.oci oci-archive:arm64.oci")
	}
	return parseImages(c.Args.Sources)
}
