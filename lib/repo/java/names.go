package java

import (
	"slices"
	"strings"

	"chunkah/lib/assign"
)

// names are the candidates for an archive's name.
type names struct {
	artifacts []string // of each pom.properties
	title     string   // Implementation-Title
}

// name chooses a name. base is the file's name.
func (n *names) name(base string) string {
	switch {
	case len(n.artifacts) == 1:
		return n.artifacts[0]
	case slices.Contains(n.artifacts, base):
		return base
	case n.title != "":
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

// artifactID returns the artifactId in a pom.properties.
func artifactID(raw []byte) string {
	for line := range strings.Lines(string(raw)) {
		key, value, found := strings.Cut(strings.TrimLeft(line, " \t"), "=")
		if found && strings.TrimRight(key, " \t") == "artifactId" {
			return usable(value)
		}
	}
	return ""
}

// implementationTitle returns Implementation-Title in a manifest's main section, which ends with an
// empty line. A line that begins with a blank continues the previous one.
func implementationTitle(raw []byte) string {
	const attribute = "implementation-title:"
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
