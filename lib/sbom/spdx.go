package sbom

import (
	"cmp"
	"time"

	"github.com/opencontainers/go-digest"
)

// The parts of an SPDX 2.3 document that are used (spdx.github.io/spdx-spec/v2.3).
type spdxDocument struct {
	Version       string             `json:"spdxVersion"`
	License       string             `json:"dataLicense"`
	ID            string             `json:"SPDXID"`
	Name          string             `json:"name"`
	Namespace     string             `json:"documentNamespace"`
	Creation      spdxCreation       `json:"creationInfo"`
	Packages      []spdxPackage      `json:"packages"`
	Licenses      []spdxLicense      `json:"hasExtractedLicensingInfos,omitempty"`
	Relationships []spdxRelationship `json:"relationships"`
}

type spdxCreation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type spdxPackage struct {
	ID            string           `json:"SPDXID"`
	Name          string           `json:"name"`
	Version       string           `json:"versionInfo,omitempty"`
	Purpose       string           `json:"primaryPackagePurpose,omitempty"`
	Location      string           `json:"downloadLocation"`
	FilesAnalyzed bool             `json:"filesAnalyzed"`
	Concluded     string           `json:"licenseConcluded"`
	Declared      string           `json:"licenseDeclared"`
	Copyright     string           `json:"copyrightText"`
	SourceInfo    string           `json:"sourceInfo,omitempty"`
	Checksums     []spdxChecksum   `json:"checksums,omitempty"`
	References    []spdxReference  `json:"externalRefs,omitempty"`
	Annotations   []spdxAnnotation `json:"annotations,omitempty"`
}

type spdxChecksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type spdxReference struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type spdxAnnotation struct {
	Date      string `json:"annotationDate"`
	Type      string `json:"annotationType"`
	Annotator string `json:"annotator"`
	Comment   string `json:"comment"`
}

type spdxLicense struct {
	ID   string `json:"licenseId"`
	Name string `json:"name"`
	Text string `json:"extractedText"`
}

type spdxRelationship struct {
	From string `json:"spdxElementId"`
	Type string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}

const (
	spdxPrefix = "SPDXRef-"
	noClaim    = "NOASSERTION"
	// The specification writes OPERATING-SYSTEM, but the JSON schema allows only this form.
	spdxSystem = "OPERATING_SYSTEM"
)

// spdxWriter builds one document.
type spdxWriter struct {
	*Document
	ids       identifiers
	licenseID map[string]string // IDs of licence texts that are not expressions
	out       spdxDocument
}

// spdx returns the document in SPDX 2.3.
func (d *Document) spdx() ([]byte, error) {
	w := &spdxWriter{Document: d, ids: make(identifiers), licenseID: make(map[string]string)}
	w.out = spdxDocument{
		Version: "SPDX-2.3", License: "CC0-1.0", ID: spdxPrefix + "DOCUMENT", Name: text(d.Subject.Name),
		Creation: spdxCreation{Created: w.time(), Creators: []string{w.tool()}},
	}
	root := w.subject()
	w.relate(w.out.ID, "DESCRIBES", root)
	if d.System.ID != "" {
		system := w.add(spdxPackage{Name: text(d.System.ID), Version: text(d.System.Version), Purpose: spdxSystem}, "system", d.System.ID)
		w.relate(root, "CONTAINS", system)
	}
	for i := range d.Packages {
		w.relate(root, "CONTAINS", w.pkg(&d.Packages[i]))
	}
	body, err := encode(w.out)
	if err != nil {
		return nil, err
	}
	w.out.Namespace = "https://spdx.org/spdxdocs/chunkah-" + digest.FromBytes(body).Encoded()
	return encode(w.out)
}

func (w *spdxWriter) time() string { return w.Created.UTC().Format(time.RFC3339) }

func (w *spdxWriter) tool() string { return "Tool: chunkah-" + w.Version }

func (w *spdxWriter) relate(from, kind, to string) {
	w.out.Relationships = append(w.out.Relationships, spdxRelationship{from, kind, to})
}

// add adds a package and returns its identifier.
func (w *spdxWriter) add(p spdxPackage, words ...string) string {
	p.ID = spdxPrefix + w.ids.next(words...)
	p.Location, p.Concluded, p.Copyright = noClaim, noClaim, noClaim
	p.Declared = cmp.Or(p.Declared, noClaim)
	w.out.Packages = append(w.out.Packages, p)
	return p.ID
}

func (w *spdxWriter) subject() string {
	p := spdxPackage{Name: text(w.Subject.Name), Purpose: spdxSystem}
	if sum := w.Subject.Digest; sum != "" {
		p.Purpose, p.Version = "CONTAINER", sum.String()
		p.Checksums = []spdxChecksum{{"SHA256", sum.Encoded()}}
	}
	return w.add(p, "subject")
}

func (w *spdxWriter) pkg(p *Package) string {
	out := spdxPackage{
		Name: text(p.Name), Version: text(p.Version), Declared: w.license(p.License),
		References: []spdxReference{{"PACKAGE-MANAGER", "purl", p.purl(w.System)}},
	}
	if source := p.upstream(); source != "" {
		out.SourceInfo = "built from " + text(source)
	}
	for _, said := range p.properties() {
		out.Annotations = append(out.Annotations, spdxAnnotation{w.time(), "OTHER", w.tool(), said.Name + ": " + said.Value})
	}
	return w.add(out, p.Type, p.Name, p.Version, p.Arch)
}

// license returns an SPDX expression. For any other text it adds a licence to the document.
func (w *spdxWriter) license(said string) string {
	if said == "" || isExpression(said) {
		return said
	}
	id, found := w.licenseID[said]
	if !found {
		id = w.ids.next("LicenseRef", said[:min(len(said), 64)])
		w.licenseID[said] = id
		w.out.Licenses = append(w.out.Licenses, spdxLicense{ID: id, Name: text(said), Text: text(said)})
	}
	return id
}
