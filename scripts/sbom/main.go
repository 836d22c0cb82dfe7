// Sbom prints a bill of materials for Go programs, in CycloneDX 1.5. It lists the programs with
// their SHA-256 sums, and the modules in their build information. The document's time is
// SOURCE_DATE_EPOCH.
//
//	sbom VERSION PROGRAM...
package main

import (
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: sbom VERSION PROGRAM...")
		os.Exit(2)
	}
	if err := run(os.Stdout, os.Args[1], os.Args[2:], os.Getenv("SOURCE_DATE_EPOCH")); err != nil {
		fmt.Fprintf(os.Stderr, "sbom: %v\n", err)
		os.Exit(1)
	}
}

// bom is a document (CycloneDX 1.5, JSON). It contains no serial number, because that would be
// different each time.
type bom struct {
	Schema       string       `json:"$schema"`
	Format       string       `json:"bomFormat"`
	SpecVersion  string       `json:"specVersion"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Timestamp string    `json:"timestamp"`
	Component component `json:"component"`
}

type component struct {
	Ref        string     `json:"bom-ref"`
	Type       string     `json:"type"`
	Name       string     `json:"name"`
	Version    string     `json:"version,omitempty"`
	Hashes     []hash     `json:"hashes,omitempty"`
	Licenses   []license  `json:"licenses,omitempty"`
	PURL       string     `json:"purl,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type hash struct {
	Alg     string `json:"alg"`
	Content string `json:"content"`
}

type license struct {
	License struct {
		ID string `json:"id"`
	} `json:"license"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn,omitempty"`
}

func run(w io.Writer, version string, programs []string, epoch string) error {
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return errors.New("SOURCE_DATE_EPOCH is not a number of seconds: set it")
	}
	modules := make(map[string]component)
	var files []component
	for _, name := range programs {
		info, err := buildinfo.ReadFile(name)
		if err != nil {
			return fmt.Errorf("reading the build info: %w", err)
		}
		file, err := fileOf(name, info)
		if err != nil {
			return err
		}
		files = append(files, file)
		for _, m := range modulesOf(info) {
			modules[m.Ref] = m
		}
	}
	product := component{Ref: "chunkah", Type: "application", Name: "chunkah", Version: version, Licenses: make([]license, 1)}
	product.Licenses[0].License.ID = "Apache-2.0"
	doc := bom{
		Schema: "http://cyclonedx.org/schema/bom-1.5.schema.json", Format: "CycloneDX", SpecVersion: "1.5", Version: 1,
		Metadata:     metadata{time.Unix(seconds, 0).UTC().Format(time.RFC3339), product},
		Components:   slices.SortedFunc(maps.Values(modules), func(a, b component) int { return cmp.Compare(a.Ref, b.Ref) }),
		Dependencies: []dependency{{Ref: product.Ref, DependsOn: slices.Sorted(maps.Keys(modules))}},
	}
	doc.Components = append(doc.Components, files...)
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(doc)
}

// fileOf returns the component that describes a program.
func fileOf(name string, info *debug.BuildInfo) (component, error) {
	f, err := os.Open(name)
	if err != nil {
		return component{}, err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return component{}, fmt.Errorf("reading %q: %w", name, err)
	}
	base := filepath.Base(name)
	c := component{Ref: "file:" + base, Type: "file", Name: base, Hashes: []hash{{"SHA-256", hex.EncodeToString(sum.Sum(nil))}}}
	for _, s := range info.Settings {
		if s.Key == "GOOS" || s.Key == "GOARCH" {
			c.Properties = append(c.Properties, property{"go:" + s.Key, s.Value})
		}
	}
	return c, nil
}

// modulesOf returns the modules from which a program is built, and Go's own packages.
func modulesOf(info *debug.BuildInfo) []component {
	list := []component{module(&debug.Module{Path: "std", Version: strings.TrimPrefix(info.GoVersion, "go")})}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		list = append(list, module(m))
	}
	return list
}

// module returns the component that describes a module. Its name in the package URL follows the
// purl specification for the type golang.
func module(m *debug.Module) component {
	purl := "pkg:golang/" + m.Path + "@" + url.QueryEscape(m.Version)
	c := component{Ref: purl, Type: "library", Name: m.Path, Version: m.Version, PURL: purl}
	if m.Sum != "" {
		c.Properties = []property{{"go:sum", m.Sum}}
	}
	return c
}
