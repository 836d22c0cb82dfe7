// Package sbom writes bills of materials: the packages that the component repos found, as an SPDX
// 2.3 or a CycloneDX 1.6 document in JSON.
//
// A document depends only on its input. Packages are sorted, the document's time is taken from the
// image, and identifiers are made from names and checksums instead of random numbers.
//
// Packages have a package URL (purl) with the qualifiers that vulnerability scanners read: arch,
// distro, epoch and upstream (the source package).
package sbom

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"chunkah/format"
	"chunkah/lib/assign"
)

// Document is a bill of materials.
type Document struct {
	Subject  Subject
	Created  time.Time
	Version  string // of chunkah
	System   System
	Packages []Package
}

// Subject is the image or directory that contains the packages.
type Subject struct {
	Name string
	// Digest is the image's manifest digest. It is empty for a directory.
	Digest digest.Digest
}

// Package is one package of a document.
type Package struct {
	*assign.Package
	// Component is the name of the package's component. It is empty if the component has no files.
	Component string
	// Layers lists the digests of the layers that contain files of the component, from the bottom
	// up.
	Layers []digest.Digest
}

// Packages converts the packages that the repos found. layers maps each component that has files to
// its layers.
func Packages(list []*assign.Package, layers map[string][]digest.Digest) []Package {
	var out []Package
	for _, p := range list {
		if p.Type == "" || p.Name == "" {
			continue
		}
		said := Package{Package: p}
		if p.Component != nil {
			if in, has := layers[p.Component.Name]; has {
				said.Component, said.Layers = p.Component.Name, in
			}
		}
		out = append(out, said)
	}
	slices.SortFunc(out, compare)
	// Copies of a package in one component, for example in node_modules, are listed once.
	return slices.CompactFunc(out, func(a, b Package) bool { return compare(a, b) == 0 })
}

func compare(a, b Package) int {
	return cmp.Or(
		strings.Compare(a.Type, b.Type), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name),
		strings.Compare(a.Version, b.Version), strings.Compare(a.Arch, b.Arch), strings.Compare(a.Component, b.Component),
		strings.Compare(a.Source, b.Source), strings.Compare(a.SourceVersion, b.SourceVersion), strings.Compare(a.License, b.License),
	)
}

// Format is a document format.
type Format struct {
	Name, MediaType string
	// File is the file name of a document that is stored in a registry.
	File  string
	Write func(*Document) ([]byte, error)
}

// formats lists all formats. The first is the default.
var formats = []Format{
	{"spdx", "application/spdx+json", "sbom.spdx.json", (*Document).spdx},
	{"cyclonedx", "application/vnd.cyclonedx+json", "sbom.cdx.json", (*Document).cycloneDX},
}

// ParseFormat returns the format with the given name. An empty name stands for the default.
func ParseFormat(name string) (Format, error) {
	if name == "" {
		return formats[0], nil
	}
	for _, f := range formats {
		if f.Name == name {
			return f, nil
		}
	}
	return Format{}, fmt.Errorf("unknown SBOM format %q: expected spdx or cyclonedx", name)
}

// encode writes indented JSON without HTML escapes.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	err := enc.Encode(v)
	return b.Bytes(), err
}

// text converts a string from a package database to valid JSON text.
func text(s string) string { return format.Text(s) }

// identifiers makes names that are unique in a document, from letters, digits, dots and dashes.
type identifiers map[string]bool

func (ids identifiers) next(words ...string) string {
	id := strings.Map(func(r rune) rune {
		if r < 0x80 && (unreserved(byte(r)) && r != '_' && r != '~') {
			return r
		}
		return '-'
	}, strings.Join(words, "-"))
	unique := id
	for n := 2; ids[unique]; n++ {
		unique = fmt.Sprintf("%s-%d", id, n)
	}
	ids[unique] = true
	return unique
}
