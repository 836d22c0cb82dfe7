package sbom

import (
	"time"
)

// The parts of a CycloneDX 1.6 document that are used (cyclonedx.org/docs/1.6/json). The document
// contains no serial number, because that would be random.
type cdxDocument struct {
	Schema      string         `json:"$schema"`
	Format      string         `json:"bomFormat"`
	SpecVersion string         `json:"specVersion"`
	Version     int            `json:"version"`
	Metadata    cdxMetadata    `json:"metadata"`
	Components  []cdxComponent `json:"components"`
}

type cdxMetadata struct {
	Timestamp string       `json:"timestamp"`
	Tools     cdxTools     `json:"tools"`
	Component cdxComponent `json:"component"`
}

type cdxTools struct {
	Components []cdxComponent `json:"components"`
}

type cdxComponent struct {
	Ref        string       `json:"bom-ref,omitempty"`
	Type       string       `json:"type"`
	Group      string       `json:"group,omitempty"`
	Name       string       `json:"name"`
	Version    string       `json:"version,omitempty"`
	Hashes     []cdxHash    `json:"hashes,omitempty"`
	Licenses   []cdxLicense `json:"licenses,omitempty"`
	PURL       string       `json:"purl,omitempty"`
	Properties []property   `json:"properties,omitempty"`
}

type cdxHash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

// cdxLicense is an SPDX expression or the name of a licence.
type cdxLicense struct {
	Expression string   `json:"expression,omitempty"`
	License    *cdxName `json:"license,omitempty"`
}

type cdxName struct {
	Name string `json:"name"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// cycloneDX returns the document in CycloneDX 1.6.
func (d *Document) cycloneDX() ([]byte, error) {
	ids := make(identifiers)
	out := cdxDocument{
		Schema: "http://cyclonedx.org/schema/bom-1.6.schema.json", Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata: cdxMetadata{
			Timestamp: d.Created.UTC().Format(time.RFC3339),
			Tools:     cdxTools{[]cdxComponent{{Type: "application", Name: "chunkah", Version: d.Version}}},
			Component: cdxComponent{Ref: ids.next("subject"), Type: "operating-system", Name: text(d.Subject.Name)},
		},
		Components: []cdxComponent{},
	}
	if sum := d.Subject.Digest; sum != "" {
		root := &out.Metadata.Component
		root.Type, root.Version, root.Hashes = "container", sum.String(), []cdxHash{{"SHA-256", sum.Encoded()}}
	}
	if d.System.ID != "" {
		out.Components = append(out.Components, cdxComponent{
			Ref: ids.next("system", d.System.ID), Type: "operating-system", Name: text(d.System.ID), Version: text(d.System.Version),
		})
	}
	for i := range d.Packages {
		p := &d.Packages[i]
		c := cdxComponent{
			Ref: ids.next(p.Type, p.Name, p.Version, p.Arch), Type: "library", Group: text(p.Namespace), Name: text(p.Name), Version: text(p.Version),
			PURL: p.purl(d.System), Properties: p.properties(),
		}
		if isExpression(p.License) {
			c.Licenses = []cdxLicense{{Expression: p.License}}
		} else if p.License != "" {
			c.Licenses = []cdxLicense{{License: &cdxName{text(p.License)}}}
		}
		out.Components = append(out.Components, c)
	}
	return encode(out)
}

// properties returns data for which neither format has a field.
func (p *Package) properties() (list []property) {
	if p.Component != "" {
		list = append(list, property{"chunkah:component", text(p.Component)})
	}
	for _, layer := range p.Layers {
		list = append(list, property{"chunkah:layer", layer.String()})
	}
	return list
}
