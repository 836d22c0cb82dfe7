package java

import (
	"slices"
	"strings"

	"chunkah/lib/assign"
)

// names are what an archive may be called after.
type names struct {
	artifacts []string // of each pom.properties
	title     string   // Implementation-Title
}

// name chooses; base is that of the file.
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

// usable returns a name without blanks around it, "" for what should be none: a
// placeholder that nobody filled in, or text that is no name.
func usable(name string) string {
	name = strings.TrimSpace(name)
	if len(name) > maxName || strings.Contains(name, "${") || assign.HasControl(name) {
		return ""
	}
	return name
}

// artifactID returns the artifactId of a pom.properties.
func artifactID(raw []byte) string {
	for line := range strings.Lines(string(raw)) {
		key, value, found := strings.Cut(strings.TrimLeft(line, " \t"), "=")
		if found && strings.TrimRight(key, " \t") == "artifactId" {
			return usable(value)
		}
	}
	return ""
}

// implementationTitle returns the attribute of a manifest's main section, which an
// empty line ends. A line that begins with a blank goes on with the one before.
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
