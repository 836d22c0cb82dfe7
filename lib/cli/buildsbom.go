package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"chunkah/lib/assign"
	"chunkah/lib/image"
	"chunkah/lib/index"
	"chunkah/lib/quote"
	"chunkah/lib/report"
	"chunkah/lib/sbom"
)

// attachSBOM is the value of --sbom that attaches the SBOM to the image.
const attachSBOM = "attach"

// checkSBOM refuses invalid values of --sbom, and SBOMs that this build cannot generate.
func (c *buildCommand) checkSBOM() error {
	form, err := sbom.ParseFormat(c.SBOMFormat)
	switch {
	case err != nil:
		return &usageError{err}
	case c.SBOM == "" && c.SBOMFormat != "":
		return usagef("--sbom-format %s has no effect without --sbom", form.Name)
	case c.SBOM == attachSBOM:
		if len(c.registryPlaces()) == 0 {
			return usagef("--sbom attach needs -o docker://REF, because other outputs cannot store attached documents (for a file with this name, write ./attach)")
		}
	}
	if c.SBOM != "" && c.Assign != "" {
		return usagef("--sbom and --assign cannot be used together, because the command assigns components and does not list packages")
	}
	return nil
}

// writeSBOM writes the SBOM that --sbom requests.
func (c *buildCommand) writeSBOM(ctx context.Context, env *Env, b *building, done *report.Stages) error {
	if c.SBOM == "" {
		return nil
	}
	doc, err := c.bill(ctx, b, done)
	if err != nil {
		return err
	}
	if b.part != nil {
		b.part.bill = doc // it is written when the index is complete
		return nil
	}
	return c.deliverBill(ctx, env, doc, done.Written.Manifests, c.SBOM)
}

// deliverBill writes an SBOM to a file, or attaches it to the image in all registries. digests are
// the digests of the image in the outputs.
func (c *buildCommand) deliverBill(ctx context.Context, env *Env, doc *sbom.Document, digests []digest.Digest, file string) error {
	form, err := sbom.ParseFormat(c.SBOMFormat)
	if err != nil {
		return err
	}
	write := func(output int) ([]byte, error) {
		doc.Subject.Digest = digests[output]
		return form.Write(doc)
	}
	if c.SBOM != attachSBOM {
		data, err := write(0)
		if err != nil {
			return err
		}
		return env.writeBill(ctx, file, doc, data)
	}
	for _, place := range c.registryPlaces() {
		data, err := write(place.output)
		if err == nil {
			err = c.attach(ctx, env, place.Location, doc, form, data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// deliverBills delivers the SBOMs of all images in an index.
func (c *buildCommand) deliverBills(ctx context.Context, env *Env, all *index.Collector, parts []*indexPart) error {
	for _, p := range parts {
		if p.bill == nil {
			continue
		}
		file := strings.ReplaceAll(c.SBOM, platformPlace, platformWord(p.platform))
		if err := c.deliverBill(ctx, env, p.bill, all.Written(p.bill.Subject.Digest), file); err != nil {
			return fmt.Errorf("%s: %w", image.PlatformName(p.platform), err)
		}
	}
	return nil
}

// bill generates the SBOM of a finished image.
func (c *buildCommand) bill(ctx context.Context, b *building, done *report.Stages) (*sbom.Document, error) {
	names, err := c.sourceNames("", c.From, c.Rootfs)
	if err != nil {
		return nil, err
	}
	if place := c.place(); place != nil {
		names = []string{place.String()}
	}
	doc, _, err := describeSource(b.set, names)
	if err != nil {
		return nil, err
	}
	doc.Subject.Digest = done.Written.Manifests[0]
	doc.Created = done.Written.Created
	packages, layers := done.Assigned.Packages, done.Written.In
	if len(b.set.BaseLayers) > 0 {
		if packages, layers, err = c.withKept(ctx, b, layers); err != nil {
			return nil, err
		}
	}
	doc.Packages = sbom.Packages(packages, layers)
	return doc, nil
}

// withKept returns the packages in an image with kept layers, and the layers of each component.
// These are kept layers, which the build has not scanned, and layers that the build has written.
func (c *buildCommand) withKept(ctx context.Context, b *building, written map[string][]digest.Digest) ([]*assign.Package, map[string][]digest.Digest, error) {
	assigning, err := c.assignFlags.options(ctx)
	if err != nil {
		return nil, nil, err
	}
	assigning.Root = b.set.Root
	passLayers(assigning.Repos, b.set)
	where := &sbom.Placement{LayerOf: b.set.Tree.Layer, Digests: make([]digest.Digest, len(b.set.Image.Layers))}
	for i, l := range b.set.BaseLayers {
		where.Digests[i] = l.Descriptor.Digest // only kept layers are in the new image
	}
	x := &examination{header: b.header, scan: b.scan, assign: assigning}
	x.header.KeepLayers, x.scan.Whiteouts = 0, false
	_, assigned, err := x.run(ctx, b.set.Root, "sbom", where.Read, nil)
	if err != nil {
		return nil, nil, err
	}
	layers := where.Layers()
	for name, list := range layers {
		list = slices.DeleteFunc(list, func(d digest.Digest) bool { return d == "" })
		layers[name] = append(list, written[name]...)
	}
	return assigned.Packages, layers, nil
}

// sbomLines returns the command that replaces --sbom in a pipeline.
func (c *buildCommand) sbomLines() string {
	words := []string{wrapper, "sbom"}
	if place := c.place(); place != nil {
		words = append(words, place.String())
	} else if names, err := c.sourceNames("", c.From, c.Rootfs); err == nil {
		words = append(words, names...)
	}
	if c.SBOMFormat != "" {
		words = append(words, "--format", c.SBOMFormat)
	}
	if c.SBOM == attachSBOM {
		var lines strings.Builder
		for _, place := range c.registryPlaces() {
			lines.WriteString(" &&\n  " + quote.Shell(slices.Concat(words, []string{"--attach", place.String()})...))
		}
		return lines.String()
	}
	return " &&\n  " + quote.Shell(append(words, "-o", c.SBOM)...)
}
