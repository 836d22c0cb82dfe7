package doctor

import (
	"encoding/json"
	"unicode/utf8"

	"chunkah/format"
)

// MarshalJSON encodes a finding as documented in docs/doctor.md. Paths that are not UTF-8 are
// encoded as in the stream (format/SPEC.md, section 3).
func (f Finding) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID      ID       `json:"id"`
		Harm    Harm     `json:"spoils"`
		What    string   `json:"what"`
		Files   int64    `json:"files"`
		Bytes   int64    `json:"bytes"`
		Paths   []Place  `json:"paths"`
		Advice  string   `json:"advice"`
		Options []string `json:"options,omitempty"`
	}{f.ID, f.Harm, f.What, f.Files, f.Bytes, f.Places, f.Advice, f.Options})
}

// MarshalJSON encodes a place.
func (p Place) MarshalJSON() ([]byte, error) {
	object := struct {
		Path    string `json:"path"`
		PathRaw []byte `json:"path_raw,omitempty"`
		Files   int64  `json:"files"`
		Bytes   int64  `json:"bytes"`
	}{Path: p.Path, Files: p.Files, Bytes: p.Bytes}
	if !utf8.ValidString(p.Path) {
		object.Path, object.PathRaw = format.Text(p.Path), []byte(p.Path)
	}
	return json.Marshal(object)
}
