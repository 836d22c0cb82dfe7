package cli

import (
	"context"

	"github.com/opencontainers/go-digest"

	"chunkah/lib/sbom"
)

// attachSBOM is the value of --sbom that attaches the document to the image.
const attachSBOM = "attach"

// checkSBOM refuses an invalid value of --sbom, and an SBOM that this build cannot generate.
func (c *buildCommand) checkSBOM() error {
	form, err := sbom.ParseFormat(c.SBOMFormat)
	switch {
	case err != nil:
		return &usageError{err}
	case c.SBOM == "" && c.SBOMFormat != "":
		return usagef("--sbom-format %s does nothing without --sbom", form.Name)
	case c.SBOM == attachSBOM:
		if c.registryPlace() == nil {
			return usagef("--sbom attach needs -o docker://REF: other places have no referrers (a file of that name is ./attach)")
		}
	}
	switch {
	case c.SBOM != "" && c.Assign != "":
		return usagef("--sbom and --assign cannot be used together: the command knows components, not packages")
	}
	return nil
}

// writeSBOM writes the SBOM of --sbom.
func (c *buildCommand) writeSBOM(ctx context.Context, env *Env, b *building, done *reports) error {
	if c.SBOM == "" {
		return nil
	}
	form, err := sbom.ParseFormat(c.SBOMFormat)
	if err != nil {
		return err
	}
	doc, err := c.bill(b, done)
	if err != nil {
		return err
	}
	data, err := form.Write(doc)
	if err != nil {
		return err
	}
	if c.SBOM == attachSBOM {
		return c.attach(ctx, env, *c.registryPlace(), doc, form, data)
	}
	return env.writeBill(ctx, c.SBOM, doc, data)
}

// bill generates the SBOM of a finished image.
func (c *buildCommand) bill(b *building, done *reports) (*sbom.Document, error) {
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
	doc.Subject.Digest = digest.Digest(done.written.Manifest)
	doc.Created = done.written.Created
	doc.Packages = sbom.Packages(done.assigned.Packages, done.written.In)
	return doc, nil
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
		return " &&\n  " + shellLine(append(words, "--attach", c.registryPlace().String()))
	}
	return " &&\n  " + shellLine(append(words, "-o", c.SBOM))
}
