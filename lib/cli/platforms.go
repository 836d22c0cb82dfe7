package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/image"
	"chunkah/lib/index"
	"chunkah/lib/names"
	"chunkah/lib/oci"
	"chunkah/lib/report"
	"chunkah/lib/sbom"
)

// platformAll is the value of --platform that selects all platforms of an index.
const platformAll = "all"

// checkAll refuses options that cannot be used in a build of several images.
func (c *buildCommand) checkAll() (src image.Location, err error) {
	for _, o := range []struct {
		given bool
		name  string
	}{
		{c.Plan != "", "--plan"}, {c.Verify, "--verify"}, {c.DryRun, "--dry-run"}, {c.Arch != "", "--arch"},
		{c.Metrics != "", "--metrics"}, {c.WriteManifestTo != "", "--write-manifest-to"}, {c.WritePeakMemTo != "", "--write-peak-mem-to"},
		{c.Config == "-", "--config -"}, {c.MaxStale != "", "--max-stale"},
	} {
		if o.given {
			return src, usagef("%s works with one image only: use it with --platform OS/ARCH instead of --platform %s", o.name, platformAll)
		}
	}
	if c.SBOM != "" && c.SBOM != attachSBOM && !strings.Contains(c.SBOM, platformPlace) {
		return src, usagef("--platform %s writes several documents: include %s in the file name of --sbom, or use --sbom %s", platformAll, platformPlace, attachSBOM)
	}
	if len(c.From) != 1 {
		return src, usagef("--platform %s needs one --from, with an index of several images", platformAll)
	}
	outputs, err := c.outputs()
	if err != nil {
		return src, err
	}
	for _, o := range outputs {
		if o.ByConfig {
			return src, usagef("%s can contain only an image for one platform: use oci-archive:", o.Prefix)
		}
	}
	if src, err = parseImage(c.From[0]); err == nil && names.CheckReadableAgain(c.From) != nil {
		err = usagef("--platform %s reads %q several times: save it to a file", platformAll, c.From[0])
	}
	return src, err
}

// runAll makes an image for each platform of an index, and writes their index.
func (c *buildCommand) runAll(ctx context.Context, env *Env) (err error) {
	src, err := c.checkAll()
	if err != nil {
		return err
	}
	outputs, err := c.outputs()
	if err != nil {
		return err
	}
	for _, o := range outputs {
		if err := c.digestFlags.check(o.Location); err != nil {
			return err
		}
	}
	docker, err := c.dockerManifest(outputs, "")
	if err != nil {
		return err
	}
	entries, err := c.platforms(ctx, env, src)
	if err != nil {
		return err
	}
	all := index.NewCollector(func() (oci.Destination, error) {
		return c.create(ctx, env, c.imageOptions(env), false, c.ManifestType == "")
	})
	defer func() {
		if err != nil {
			err = errors.Join(err, all.Discard())
		}
	}()
	var parts []*indexPart
	for _, e := range entries {
		if env.Verbose >= 0 {
			env.console().Say(slog.LevelInfo, "%s:", image.PlatformName(e.Platform))
		}
		one, part := c.forPlatform(src, e), partOf(all, src, e)
		if err := one.build(ctx, env, part); err != nil {
			return err
		}
		parts = append(parts, part)
	}
	ref, also := names.IndexNames(outputs)
	joined, err := all.Commit(ctx, index.Options{Ref: ref, Also: also}, docker)
	if err != nil {
		return err
	}
	if env.Verbose >= 0 {
		env.console().Say(slog.LevelInfo, "wrote %s, digest %s, for %s", report.Places(outputs), joined.Digest, strings.Join(joined.Platforms, ", "))
	}
	if err := c.deliverBills(ctx, env, all, parts); err != nil {
		return fmt.Errorf("the index %s is complete, but an error occurred afterwards: %w", joined.Digest, err)
	}
	return c.writeDigest(ctx, env, joined.Digest)
}

// platforms lists the images in an index. Everything else is left out.
func (c *buildCommand) platforms(ctx context.Context, env *Env, src image.Location) (images []image.Entry, err error) {
	l, err := image.List(ctx, src, c.imageOptions(env))
	if err != nil {
		return nil, err
	}
	var others []v1.Descriptor
	for _, e := range l.Entries {
		if e.Artifact || e.Platform.OS != "" && e.Platform.OS != "linux" {
			others = append(others, e.Manifest.Descriptor)
		} else {
			images = append(images, e)
		}
	}
	if len(others) > 0 {
		env.warn("skipping %s of %q that are not for Linux: %s", plural(len(others), "manifest"), src, image.PlatformNames(others))
	}
	env.warnAbsent(src, l)
	if err := l.Close(); err != nil {
		return nil, err
	}
	if len(images) == 0 {
		return nil, usagef("%q has no image for Linux", src)
	}
	return images, nil
}

// indexPart is one image of a build that makes several.
type indexPart struct {
	platform v1.Platform                     // as recorded in the source's index and config
	like     v1.Platform                     // the platform of the previous image to compare with
	create   func() (oci.Destination, error) // opens the image's destination in the index
	bill     *sbom.Document                  // set by the build if --sbom is given
}

// partOf returns the part of an index that replaces an image in the source.
func partOf(all *index.Collector, src image.Location, e image.Entry) *indexPart {
	like := e.Platform
	if listed := e.Manifest.Descriptor.Platform; listed != nil && like.Variant == "" {
		like.Variant = listed.Variant
	}
	return &indexPart{platform: e.Platform, like: like, create: func() (oci.Destination, error) { return all.Image(src, e) }}
}

// forPlatform returns the command that makes the image of one platform.
func (c *buildCommand) forPlatform(src image.Location, e image.Entry) *buildCommand {
	own := *c
	own.From, own.Platform, own.digestFlags = []string{platformSource(src, e)}, "", digestFlags{}
	return &own
}

// platformSource returns the name of one image in an index. A source whose images are for one
// platform has only this image.
func platformSource(src image.Location, e image.Entry) string {
	if src.ByConfig {
		return src.String()
	}
	return src.Pinned(e.Manifest.Descriptor.Digest).Absolute().String()
}

// warnAbsent warns about manifests that an index lists, but its store does not contain.
func (e *Env) warnAbsent(src image.Location, l *image.Listing) {
	if len(l.Absent) > 0 {
		e.warn("the index of %q lists missing manifests, which are left out of the new index: %s", src, image.PlatformNames(l.Absent))
	}
}
