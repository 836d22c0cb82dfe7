package cli

import (
	"context"
	"fmt"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/image"
	"chunkah/lib/names"
)

// platformPlace is replaced in the value of -o by the platform, with dashes (linux-arm64-v8).
const platformPlace = "{platform}"

// runAll lists the packages of each image in an index, in one document per image.
func (c *sbomCommand) runAll(ctx context.Context, env *Env) error {
	switch {
	case len(c.Args.Sources) != 1:
		return usagef("--platform %s needs one SOURCE, an index of several images", platformAll)
	case c.Attach == "" && !strings.Contains(c.Output, platformPlace), c.Output != "" && !strings.Contains(c.Output, platformPlace):
		return usagef("--platform %s writes several documents: include %s in the file name of -o, or use only --attach", platformAll, platformPlace)
	}
	src, err := parseImage(c.Args.Sources[0])
	if err != nil {
		return err
	}
	if names.CheckReadableAgain(c.Args.Sources) != nil {
		return usagef("--platform %s reads %q several times: save it to a file", platformAll, c.Args.Sources[0])
	}
	entries, err := c.images(ctx, env, src)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := c.forPlatform(src, e).run(ctx, env); err != nil {
			return fmt.Errorf("%s: %w", image.PlatformName(e.Platform), err)
		}
	}
	return nil
}

// images returns the images in an index.
func (c *sbomCommand) images(ctx context.Context, env *Env, src image.Location) (images []image.Entry, err error) {
	l, err := image.List(ctx, src, c.imageOptions(env))
	if err != nil {
		return nil, err
	}
	for _, e := range l.Entries {
		if !e.Artifact {
			images = append(images, e)
		}
	}
	return images, l.Close()
}

// forPlatform returns the command for one image in an index.
func (c *sbomCommand) forPlatform(src image.Location, e image.Entry) *sbomCommand {
	own := *c
	own.Platform, own.Args.Sources = "", []string{platformSource(src, e)}
	own.Output = strings.ReplaceAll(c.Output, platformPlace, platformWord(e.Platform))
	return &own
}

// platformWord returns the name of a platform in the form used in file names.
func platformWord(p v1.Platform) string { return strings.ReplaceAll(image.PlatformName(p), "/", "-") }
