package java

import (
	"slices"
	"strings"
	"time"

	"chunkah/lib/assign"
)

// names are the candidates for an archive's name.
type names struct {
	artifacts []artifact // one for each pom.properties
	title     string     // Implementation-Title
	version   string     // Implementation-Version
	released  time.Time  // newest date in the archive, zero if there is none
}

// artifact is an artifact as Maven describes it.
type artifact struct{ group, id, version string }

// packages returns the packages in the archive. The first is the archive's own package, which is
// named after its artifact, its title or its file.
func (n *names) packages(stem string) []assign.Package {
	base := unversioned(stem)
	version := strings.TrimPrefix(stem[len(base):], "-")
	own := n.name(base, version)
	if own == "" {
		return nil
	}
	first := assign.Package{Name: own, Type: "maven", Version: n.version}
	if first.Version == "" {
		first.Version = version
	}
	list := []assign.Package{first}
	for _, a := range n.artifacts {
		p := assign.Package{Name: a.id, Type: "maven", Namespace: a.group, Version: a.version}
		if a.id == own && list[0].Namespace == "" {
			list[0] = p
		} else {
			list = append(list, p)
		}
	}
	return list
}

// name chooses the archive's name. base and version are from the file name. A single artifact whose
// version differs from the version in the file name was merged into the archive, so its name is not
// used. A title that contains a version is not used, because the component would have another name
// in each version.
func (n *names) name(base, version string) string {
	isOwn := func(a artifact) bool {
		return version == "" || a.version == "" || strings.HasPrefix(version, a.version)
	}
	titled := func(version string) bool { return version != "" && strings.Contains(n.title, version) }
	switch {
	case len(n.artifacts) == 1 && isOwn(n.artifacts[0]):
		return n.artifacts[0].id
	case slices.ContainsFunc(n.artifacts, func(a artifact) bool { return a.id == base }):
		return base
	case n.title != "" && !titled(version) && !titled(n.version):
		return n.title
	}
	return base
}

// usable returns a name without surrounding blanks. It returns "" for placeholders that were not
// filled in, and for other invalid names.
func usable(name string) string {
	name = strings.TrimSpace(name)
	if len(name) > maxName || strings.Contains(name, "${") || assign.HasControl(name) {
		return ""
	}
	return name
}

// parseArtifact parses a pom.properties. The result is empty if the artifactId is missing.
func parseArtifact(raw []byte) (a artifact) {
	for line := range strings.Lines(string(raw)) {
		key, value, _ := strings.Cut(strings.TrimLeft(line, " \t"), "=")
		switch strings.TrimRight(key, " \t") {
		case "artifactId":
			a.id = usable(value)
		case "groupId":
			a.group = usable(value)
		case "version":
			a.version = usable(value)
		}
	}
	return a
}

// These are the manifest attributes that are used, in lower case.
const (
	titleAttribute   = "implementation-title:"
	versionAttribute = "implementation-version:"
)

// attribute returns an attribute from a manifest's main section, which ends at an empty line. A
// line that begins with a blank continues the previous one.
func attribute(raw []byte, attribute string) string {
	var title strings.Builder
	inside := false
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case line == "":
			return usable(title.String())
		case line[0] == ' ':
			if inside {
				title.WriteString(line[1:])
			}
		case inside:
			return usable(title.String())
		case len(line) > len(attribute) && strings.EqualFold(line[:len(attribute)], attribute):
			inside = true
			title.WriteString(line[len(attribute):])
		}
	}
	return usable(title.String())
}
