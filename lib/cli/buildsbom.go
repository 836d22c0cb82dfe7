package cli

import (
	"context"

	"github.com/opencontainers/go-digest"

	"chunkah/lib/sbom"
)

// checkSBOM refuses what is not a bill of materials, and one that nobody can make.
func (c *buildCommand) checkSBOM() error {
	form, err := sbom.ParseFormat(c.SBOMFormat)
	switch {
	case err != nil:
		return &usageError{err}
	case c.SBOM == "" && c.SBOMFormat != "":
		return usagef("--sbom-format %s does nothing without --sbom", form.Name)
	case c.SBOM != "" && c.Assign != "":
		return usagef("--sbom and --assign cannot be used together: the command knows components, not packages")
	}
	return nil
}

// writeSBOM writes the bill of materials that --sbom asks for.
func (c *buildCommand) writeSBOM(ctx context.Context, env *Env, b *building, done *reports) error {
	if c.SBOM == "" {
		return nil
	}
	doc, data, err := c.bill(b, done)
	if err != nil {
		return err
	}
	return env.writeBill(ctx, c.SBOM, doc, data)
}

// bill makes the bill of materials of a finished image.
func (c *buildCommand) bill(b *building, done *reports) (*sbom.Document, []byte, error) {
	form, err := sbom.ParseFormat(c.SBOMFormat)
	if err != nil {
		return nil, nil, err
	}
	names, err := c.sourceNames("", c.From, c.Rootfs)
	if err != nil {
		return nil, nil, err
	}
	if place := c.place(); place != nil {
		names = []string{place.String()}
	}
	doc, _, err := describeSource(b.set, names)
	if err != nil {
		return nil, nil, err
	}
	doc.Subject.Digest = digest.Digest(done.written.Manifest)
	doc.Created = done.written.Created
	doc.Packages = sbom.Packages(done.assigned.Packages, done.written.In)
	data, err := form.Write(doc)
	return doc, data, err
}

// sbomLines are what does after the fact what --sbom does.
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
	return " &&\n  " + shellLine(append(words, "-o", c.SBOM))
}
