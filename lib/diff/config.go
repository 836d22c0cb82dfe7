package diff

import (
	"maps"
	"slices"

	"chunkah/lib/oci"
)

// Configs compares the execution settings and annotations of two images. It ignores the division
// into layers, diffIDs and history.
func Configs(a, b *oci.Config) ([]Difference, error) {
	fieldsA, err := a.Fields()
	if err != nil {
		return nil, err
	}
	fieldsB, err := b.Fields()
	if err != nil {
		return nil, err
	}
	return append(texts(FieldConfig, fieldsA, fieldsB), texts(FieldAnnotation, a.Annotations, b.Annotations)...), nil
}

// texts compares two maps of strings.
func texts(field Field, a, b map[string]string) []Difference {
	names := slices.Concat(slices.Collect(maps.Keys(a)), slices.Collect(maps.Keys(b)))
	slices.Sort(names)
	var found []Difference
	for _, name := range slices.Compact(names) {
		x, inA := a[name]
		y, inB := b[name]
		if inA && inB && x == y {
			continue
		}
		d := Difference{Field: field, Name: name}
		if inA {
			d.A = &x
		}
		if inB {
			d.B = &y
		}
		found = append(found, d)
	}
	return found
}
