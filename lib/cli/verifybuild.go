package cli

import (
	"context"
	"fmt"
	"os"
	"slices"

	"chunkah/lib/diff"
	"chunkah/lib/image"
	"chunkah/lib/names"
	"chunkah/lib/oci"
	"chunkah/lib/pack"
	"chunkah/lib/rootfs"
	"chunkah/lib/scan"
	"chunkah/lib/verify"
	"chunkah/lib/write"
)

// checkVerify refuses --verify if the image cannot be read before it appears in the output, or
// cannot be compared with its source.
func (c *buildCommand) checkVerify() error {
	if !c.Verify {
		return nil
	}
	outputs, err := c.outputs()
	switch {
	case err != nil:
		return err
	case slices.ContainsFunc(outputs, func(o names.Output) bool { return o.IsStdout() }):
		return usagef("--verify reads the image again: use -o with something other than standard output")
	case c.SkipCaches && c.KeepBase != "":
		return usagef("--verify cannot be used with both --keep-base and --skip-caches, because it cannot detect which of the base's caches were skipped")
	}
	return nil
}

// verifyImage verifies an image in all outputs before it appears, and compares it with its source.
func (c *buildCommand) verifyImage(ctx context.Context, env *Env, b *building, made *write.Pending) error {
	outputs, err := c.outputs()
	if err != nil {
		return err
	}
	for i, o := range outputs {
		if err := c.verifyOutput(ctx, env, b, finished{made, o.Location, made.At[i]}); err != nil {
			return err
		}
	}
	return nil
}

// finished is a finished image in one of its outputs.
type finished struct {
	*write.Pending
	target image.Location
	at     oci.Finished
}

func (c *buildCommand) verifyOutput(ctx context.Context, env *Env, b *building, made finished) error {
	var found []diff.Difference
	src := image.Location{Transport: made.target.Transport, Path: made.at.Path, Ref: made.at.Ref}
	opt := c.imageOptions(env)
	opt.Direct = true
	verified, err := verify.Run(ctx, src, verify.Options{
		Image: opt,
		Whole: func(ctx context.Context, img *image.Image, tree *image.Tree) (err error) {
			found, err = b.differences(ctx, made, img, tree)
			return err
		},
	})
	if err != nil {
		return err
	}
	for _, f := range verified.Faults {
		env.warn("%s", f)
	}
	for _, d := range found {
		env.warn("%s", d)
	}
	if len(verified.Faults)+len(found) > 0 {
		return fmt.Errorf("verifying %q: %s, %s from the source: the image was discarded", made.target,
			plural(len(verified.Faults), "fault"), plural(len(found), "difference"))
	}
	b.verified = verified
	return nil
}

// differences compares the source with the image made from it. Times are not compared, because pack
// sets them.
func (b *building) differences(ctx context.Context, made finished, img *image.Image, tree *image.Tree) ([]diff.Difference, error) {
	want := *made.Config
	if made.target.DockerFormat || img.Manifest.Descriptor.MediaType == oci.MediaTypeDockerManifest {
		want.Annotations = nil // Docker's formats have none
	}
	got, err := oci.ParseConfig(img.Config.Data)
	if err != nil {
		return nil, err
	}
	got.Annotations = img.Annotations
	found, err := diff.Configs(&want, got)
	if err != nil {
		return nil, err
	}
	inSource, inImage := b.scan, b.scan
	inSource.Components, inSource.Whiteouts = nil, false
	for _, name := range b.scan.MapXattrs {
		inImage.KeepXattrs = append(slices.Clip(inImage.KeepXattrs), name)
	}
	inImage.MapXattrs = nil
	inImage.Components, inImage.Whiteouts, inImage.Output, inImage.SkipCaches = nil, false, nil, false
	if inImage.Special == scan.SpecialRefuse {
		inImage.Special = scan.SpecialKeep // special files in the image are differences
	}
	outputs, err := b.outputs(made.Pending)
	if err != nil {
		return nil, err
	}
	inSource.Output = outputs
	files, err := diff.Run(ctx,
		diffSide(ctx, b.set.Root, nil, inSource, &scan.Report{}),
		diffSide(ctx, rootfs.Virtual(made.at.Path, tree), tree, inImage, &scan.Report{}),
		diff.Options{
			IgnoreMTime: true, AsInLayers: true,
			SkipXattr: func(name string) bool { return pack.DropsXattr(name, b.pack.KeepXattrs) },
		})
	return append(found, files...), err
}

// outputs returns a function that matches files in the source that belong to the image being
// written. An image is never part of itself.
func (b *building) outputs(made *write.Pending) (func(rootfs.Stat) bool, error) {
	var infos []os.FileInfo
	for _, at := range made.At {
		if at.Path == "" {
			continue
		}
		info, err := os.Stat(at.Path)
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	now, before := isFile(infos...), b.scan.Output
	var left []rootfs.Stat
	for _, path := range made.Report.LeftOut {
		if st, err := b.set.Root.Lstat(path); err == nil {
			left = append(left, st)
		}
	}
	return func(st rootfs.Stat) bool {
		for _, l := range left {
			if l.Dev == st.Dev && l.Ino == st.Ino {
				return true
			}
		}
		return now(st) || before != nil && before(st)
	}, nil
}
