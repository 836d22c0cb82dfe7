package cli

import (
	"context"
	"fmt"
	"os"

	"chunkah/lib/diff"
	"chunkah/lib/image"
	"chunkah/lib/oci"
	"chunkah/lib/pack"
	"chunkah/lib/rootfs"
	"chunkah/lib/scan"
	"chunkah/lib/verify"
	"chunkah/lib/write"
)

// checkVerify refuses --verify where an image cannot be read again before anybody
// else does, or not be compared.
func (c *buildCommand) checkVerify() error {
	if !c.Verify {
		return nil
	}
	target, err := c.target()
	switch {
	case err != nil:
		return err
	case target.Stdout:
		return usagef("--verify reads the image again: name a place for it with -o, not standard output")
	case c.SkipCaches && c.KeepBase != "":
		return usagef("--verify cannot tell what of a kept base --skip-caches leaves out: give one of them")
	}
	return nil
}

// imageKinds are the kinds of source that destinations are read as.
var imageKinds = map[oci.Kind]image.Kind{
	oci.KindArchive: image.KindArchive, oci.KindDockerArchive: image.KindDockerArchive,
	oci.KindLayout: image.KindLayout, oci.KindRegistry: image.KindRegistry,
}

// made is an image that nobody sees yet.
type made struct {
	at     oci.Target
	config *oci.Config // that it was given
	report *write.Report
}

// checkImage returns what verifies the image and compares it with its source; nil
// where that was not asked for.
func (c *buildCommand) checkImage(env *Env, b *building) func(context.Context, oci.Target, *oci.Config, *write.Report) error {
	if !c.Verify {
		return nil
	}
	return func(ctx context.Context, at oci.Target, config *oci.Config, report *write.Report) error {
		m := made{at, config, report}
		if at.Kind == oci.KindDockerArchive {
			config.Annotations = nil // of which manifest.json knows nothing
		}
		var found []diff.Difference
		src := image.Source{Kind: imageKinds[at.Kind], Path: at.Path, Ref: at.Ref}
		verified, err := verify.Run(ctx, src, verify.Options{
			Image: c.imageOptions(env),
			Whole: func(ctx context.Context, img *image.Image, tree *image.Tree) (err error) {
				found, err = b.differences(ctx, m, img, tree)
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
			return fmt.Errorf("verifying the image: %s, %s from the source: it does not appear",
				plural(int64(len(verified.Faults)), "fault"), plural(int64(len(found)), "difference"))
		}
		b.verified = verified
		return nil
	}
}

// differences compares the source with an image that was made of it. Times are for
// pack to choose.
func (b *building) differences(ctx context.Context, m made, img *image.Image, tree *image.Tree) ([]diff.Difference, error) {
	got, err := oci.ParseConfig(img.Config.Data)
	if err != nil {
		return nil, err
	}
	got.Annotations = img.Annotations
	found, err := diff.Configs(m.config, got)
	if err != nil {
		return nil, err
	}
	inSource, inImage := b.scan, b.scan
	inSource.Components, inSource.Whiteouts = nil, false
	inImage.Components, inImage.Whiteouts, inImage.Output, inImage.SkipCaches = nil, false, nil, false
	if inImage.Special == scan.SpecialRefuse {
		inImage.Special = scan.SpecialKeep // what is there all the same is a difference
	}
	outputs, err := b.outputs(m)
	if err != nil {
		return nil, err
	}
	inSource.Output = outputs
	files, err := diff.Run(ctx,
		diffSide(ctx, b.set.Root, nil, inSource, &scan.Report{}),
		diffSide(ctx, rootfs.Virtual(m.at.Path, tree), tree, inImage, &scan.Report{}),
		diff.Options{
			IgnoreMTime: true, AsInLayers: true,
			SkipXattr: func(name string) bool { return pack.DropsXattr(name, b.pack.KeepXattrs) },
		})
	return append(found, files...), err
}

// outputs matches what the source has by now of the image that is being made: it is
// never part of itself.
func (b *building) outputs(m made) (func(rootfs.Stat) bool, error) {
	var infos []os.FileInfo
	if m.at.Path != "" {
		info, err := os.Stat(m.at.Path)
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	now, before := isFile(infos...), b.scan.Output
	var left []rootfs.Stat
	for _, path := range m.report.LeftOut {
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
