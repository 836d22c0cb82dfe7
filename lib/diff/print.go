package diff

import (
	"encoding/json"
	"fmt"

	"chunkah/format"
)

// String formats the difference as one line. Everything but plain numbers and words is quoted as in
// Go.
func (d Difference) String() string {
	subject := string(d.Field)
	switch {
	case d.Path == "" && d.Name != "":
		return fmt.Sprintf("%s %q: %s and %s", d.Field, d.Name, d.show(d.A), d.show(d.B))
	case d.Field == FieldType && d.B == nil:
		return fmt.Sprintf("%q: only on the first side (%s)", d.Path, *d.A)
	case d.Field == FieldType && d.A == nil:
		return fmt.Sprintf("%q: only on the second side (%s)", d.Path, *d.B)
	case d.Field == FieldContents:
		return fmt.Sprintf("%q: contents differ", d.Path)
	case d.Field == FieldXattr:
		subject = fmt.Sprintf("xattr %q", d.Name)
	}
	return fmt.Sprintf("%q: %s: %s and %s", d.Path, subject, d.show(d.A), d.show(d.B))
}

func (d Difference) show(value *string) string {
	switch {
	case value == nil:
		return "none"
	case d.Field == FieldTarget, d.Field == FieldHardlink, d.Field == FieldXattr, d.Field == FieldAnnotation:
		return fmt.Sprintf("%q", *value)
	}
	return *value
}

// MarshalJSON encodes path, field, name, a and b if they are set. Strings that are not UTF-8 are
// encoded as in the stream (format/SPEC.md, section 3): each invalid byte becomes U+FFFD, and a
// second key with the suffix _raw contains the bytes in base64.
func (d Difference) MarshalJSON() ([]byte, error) {
	object := struct {
		Path    string  `json:"path,omitempty"`
		PathRaw []byte  `json:"path_raw,omitempty"`
		Field   Field   `json:"field"`
		Name    string  `json:"name,omitempty"`
		A       *string `json:"a,omitempty"`
		ARaw    []byte  `json:"a_raw,omitempty"`
		B       *string `json:"b,omitempty"`
		BRaw    []byte  `json:"b_raw,omitempty"`
	}{Field: d.Field, Name: d.Name}
	object.Path, object.PathRaw = format.TextRaw(d.Path)
	if d.A != nil {
		s, raw := format.TextRaw(*d.A)
		object.A, object.ARaw = &s, raw
	}
	if d.B != nil {
		s, raw := format.TextRaw(*d.B)
		object.B, object.BRaw = &s, raw
	}
	return json.Marshal(object)
}
