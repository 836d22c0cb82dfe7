package python

import (
	"strings"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/places"
)

// maxMetadata is the largest size of a metadata file, in bytes. Such a file ends with the project's
// whole README.
const maxMetadata = 4 << 20

// describe fills in the remaining fields of a package from the distribution's metadata (PyPA, "Core
// metadata specifications"), or else from the name of its record. It does not open zip files.
func (l *loader) describe(d *dist, p *assign.Package) error {
	p.Type, p.Version = "pypi", d.version()
	record := d.marker
	switch d.kind {
	case eggFile:
		return nil
	case distInfo:
		i, found := l.tree.Lookup(format.Join(d.info, "METADATA"))
		if !found {
			return nil
		}
		record = i
	}
	raw, fault, err := places.ReadRecord(l.tree, record, maxMetadata)
	if fault != nil || err != nil {
		return err
	}
	version, license := parseMetadata(string(raw))
	p.License = license
	if version != "" {
		p.Version = version
	}
	return nil
}

// parseMetadata reads the fields before the first empty line. A licence field with several lines
// contains the full licence text and is ignored.
func parseMetadata(text string) (version, license string) {
	last := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			if last == "license" {
				license = ""
			}
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if last = strings.ToLower(name); len(value) > format.MaxName || assign.HasControl(value) {
			continue
		}
		switch {
		case last == "version" && version == "":
			version = value
		case last == "license-expression", last == "license" && license == "" && !strings.EqualFold(value, "UNKNOWN"):
			license = value
		}
	}
	return version, license
}

// version returns VERSION from NAME-VERSION or NAME-VERSION-pyX.Y.
func (d *dist) version() string {
	stem := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(format.Base(d.info), ".dist-info"), ".egg-info"), ".egg")
	_, version, _ := strings.Cut(stem, "-")
	if d.kind == distInfo {
		version = stem[strings.LastIndexByte(stem, '-')+1:]
		if version == stem {
			version = ""
		}
	}
	version, _, _ = strings.Cut(version, "-py")
	return version
}
