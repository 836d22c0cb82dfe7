package oci

import (
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"
)

// EditLabels changes the labels in the given order: "K=V" sets a label, "K-" removes the label K,
// and "-" removes all labels. If it fails, nothing is changed.
func (c *Config) EditLabels(edits []string) error {
	labels, err := edit(c.Labels, "label", edits)
	if err == nil {
		c.Labels = labels
	}
	return err
}

// EditAnnotations changes the image's annotations, like EditLabels.
func (c *Config) EditAnnotations(edits []string) error {
	annotations, err := edit(c.Annotations, "annotation", edits)
	if err == nil {
		c.Annotations = annotations
	}
	return err
}

func edit(old map[string]string, what string, edits []string) (map[string]string, error) {
	m := maps.Clone(old)
	if m == nil {
		m = map[string]string{}
	}
	for _, e := range edits {
		key, value, set := strings.Cut(e, "=")
		switch {
		case !utf8.ValidString(e):
			return nil, fmt.Errorf("%s %q is not UTF-8", what, e)
		case set && key == "":
			return nil, fmt.Errorf("%s %q has no key: expected KEY=VALUE, KEY- or -", what, e)
		case set:
			m[key] = value
		case e == "-":
			clear(m)
		case strings.HasSuffix(e, "-"):
			delete(m, strings.TrimSuffix(e, "-"))
		default:
			return nil, fmt.Errorf("%s %q is invalid: expected KEY=VALUE, KEY- or -", what, e)
		}
	}
	return m, nil
}
