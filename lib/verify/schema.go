package verify

import (
	_ "crypto/sha256" // for go-digest
	_ "crypto/sha512" // for go-digest
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/lib/oci"
	"chunkah/lib/plan"
)

// kind is the JSON type of a value.
type kind string

const (
	text    kind = "a string"
	number  kind = "a number"
	boolean kind = "true or false"
	object  kind = "an object"
	list    kind = "an array"
	texts   kind = "an array of strings"
	textMap kind = "an object of strings"
)

// field describes a key of the image specification's schemas.
type field struct {
	kind     kind
	required bool
	in       map[string]field // keys of the object, or of each element of an array
}

// The parts of the image specification's schemas that clients rely on. Other keys are not checked.
var (
	platformKeys = map[string]field{
		"architecture": {kind: text, required: true}, "os": {kind: text, required: true}, "variant": {kind: text},
		"os.version": {kind: text}, "os.features": {kind: texts},
	}
	descriptorKeys = map[string]field{
		"mediaType": {kind: text, required: true}, "digest": {kind: text, required: true}, "size": {kind: number, required: true},
		"urls": {kind: texts}, "annotations": {kind: textMap}, "platform": {kind: object, in: platformKeys}, "data": {kind: text},
	}
	indexKeys = map[string]field{
		"schemaVersion": {kind: number, required: true}, "mediaType": {kind: text},
		"manifests": {kind: list, required: true, in: descriptorKeys}, "annotations": {kind: textMap},
	}
	manifestKeys = map[string]field{
		"schemaVersion": {kind: number, required: true}, "mediaType": {kind: text},
		"config": {kind: object, required: true, in: descriptorKeys}, "layers": {kind: list, required: true, in: descriptorKeys},
		"annotations": {kind: textMap},
	}
	configKeys = map[string]field{
		"architecture": {kind: text, required: true}, "os": {kind: text, required: true}, "variant": {kind: text},
		"os.version": {kind: text}, "os.features": {kind: texts},
		"created": {kind: text}, "author": {kind: text}, "config": {kind: object},
		"rootfs": {kind: object, required: true, in: map[string]field{
			"type": {kind: text, required: true}, "diff_ids": {kind: texts}, // missing in an image without layers
		}},
		"history": {kind: list, in: map[string]field{
			"created": {kind: text}, "created_by": {kind: text}, "author": {kind: text}, "comment": {kind: text}, "empty_layer": {kind: boolean},
		}},
	}
)

// checkObject returns all errors in the keys of an object.
func checkObject(name string, data json.RawMessage, keys map[string]field) (errs []error) {
	var values map[string]json.RawMessage
	if err := json.Unmarshal(data, &values); err != nil || values == nil {
		return []error{fmt.Errorf("%s is not an object", name)}
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		f, value := keys[key], values[key]
		at := name + "." + key
		switch {
		case value == nil && f.required:
			errs = append(errs, fmt.Errorf("%s is missing", at))
		case value == nil:
		case string(value) == "null" && !f.required: // clients treat it as missing; Nix writes "config": null
		case string(value) == "null":
			errs = append(errs, fmt.Errorf("%s is null: expected %s", at, f.kind))
		default:
			errs = append(errs, checkValue(at, value, f)...)
		}
	}
	return errs
}

func checkValue(at string, value json.RawMessage, f field) (errs []error) {
	var err error
	switch f.kind {
	case text:
		err = json.Unmarshal(value, new(string))
	case number:
		err = json.Unmarshal(value, new(int64))
	case boolean:
		err = json.Unmarshal(value, new(bool))
	case object:
		if f.in != nil {
			return checkObject(at, value, f.in)
		}
		err = json.Unmarshal(value, new(map[string]json.RawMessage))
	case texts:
		var l []*string
		if err = json.Unmarshal(value, &l); err == nil && slices.Contains(l, nil) {
			err = errors.New("a null")
		}
	case textMap:
		var m map[string]*string
		err = json.Unmarshal(value, &m)
		for _, v := range m {
			if v == nil {
				err = errors.New("a null")
			}
		}
	case list:
		var l []json.RawMessage
		if err = json.Unmarshal(value, &l); err == nil {
			for i, element := range l {
				errs = append(errs, checkObject(fmt.Sprintf("%s[%d]", at, i), element, f.in)...)
			}
			return errs
		}
	}
	if err != nil {
		return []error{fmt.Errorf("%s is not %s", at, f.kind)}
	}
	return nil
}

// checkDocument decodes a document and returns all errors in its structure. ok is false if the
// document cannot be read.
func checkDocument(name string, data []byte, keys map[string]field, into any) (ok bool, errs []error) {
	if err := oci.CheckJSON(data); err != nil {
		errs = append(errs, err)
	}
	if json.Unmarshal(data, new(json.RawMessage)) != nil {
		return false, errs
	}
	errs = append(errs, checkObject(name, data, keys)...)
	if err := json.Unmarshal(data, into); err != nil {
		if len(errs) == 0 {
			errs = append(errs, err)
		}
		return false, errs
	}
	return true, errs
}

func parseIndex(data []byte) (*v1.Index, []error) {
	var index v1.Index
	ok, errs := checkDocument("index", data, indexKeys, &index)
	if !ok {
		return nil, errs
	}
	errs = append(errs, checkVersion(index.SchemaVersion)...)
	for i, d := range index.Manifests {
		errs = append(errs, checkListed(fmt.Sprintf("manifests[%d]", i), d)...)
	}
	return &index, errs
}

func parseManifest(data []byte) (*v1.Manifest, []error) {
	var m v1.Manifest
	ok, errs := checkDocument("manifest", data, manifestKeys, &m)
	if !ok {
		return nil, errs
	}
	errs = append(errs, checkVersion(m.SchemaVersion)...)
	errs = append(errs, checkListed("config", m.Config)...)
	for i, d := range m.Layers {
		errs = append(errs, checkListed(fmt.Sprintf("layers[%d]", i), d)...)
	}
	return &m, errs
}

func withPrefix(name string, err error) []error {
	if err == nil {
		return nil
	}
	return []error{fmt.Errorf("%s: %w", name, err)}
}

// checkListed returns all errors in a descriptor.
func checkListed(name string, d v1.Descriptor) []error {
	return withPrefix(name, errors.Join(oci.CheckDescriptor(d), checkData(d), checkURLs(d)))
}

func checkVersion(version int) []error {
	if version == 2 || version == 0 { // 0 is reported as missing
		return nil
	}
	return []error{fmt.Errorf("schemaVersion is %d: expected 2", version)}
}

// checkData checks the copy of a blob that is embedded in its descriptor, because some clients use
// the copy instead of the blob.
func checkData(d v1.Descriptor) error {
	described := oci.CheckDescriptor(d) == nil // otherwise the error is already reported
	if d.Data == nil || !described {
		return nil
	}
	if got := d.Digest.Algorithm().FromBytes(d.Data); got != d.Digest {
		return fmt.Errorf("digest %q: the embedded data has the digest %q", d.Digest, got)
	}
	if n := int64(len(d.Data)); n != d.Size {
		return fmt.Errorf("digest %q: the embedded data has %d bytes, but the size is %d", d.Digest, n, d.Size)
	}
	return nil
}

// notURI matches characters that RFC 3986 does not allow.
var notURI = regexp.MustCompile(`[^A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]`)

// checkURLs makes sure that the URLs of a blob are absolute URIs.
func checkURLs(d v1.Descriptor) error {
	var errs []error
	for _, s := range d.URLs {
		if u, err := url.Parse(s); err != nil || !u.IsAbs() || notURI.MatchString(s) {
			errs = append(errs, fmt.Errorf("%q in urls is not a URI", s))
		}
	}
	return errors.Join(errs...)
}

// config contains the verified parts of an image's config.
type config struct {
	v1.Platform
	Created *string `json:"created"`
	RootFS  struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
	History []history `json:"history"`
}

type history struct {
	Created    *string `json:"created"`
	CreatedBy  string  `json:"created_by"`
	Author     string  `json:"author"`
	Comment    string  `json:"comment"`
	EmptyLayer bool    `json:"empty_layer"`
}

// parseConfig checks the config of an image; layers is the image's number of layers. Notes are
// problems that affect no client.
func parseConfig(data []byte, layers int) (_ *config, errs, notes []error) {
	var c config
	ok, errs := checkDocument("config", data, configKeys, &c)
	var doc struct {
		Config map[string]json.RawMessage `json:"config"`
	}
	if json.Unmarshal(data, &doc) == nil { // otherwise the error is already reported
		for _, err := range oci.CheckExecution(doc.Config) {
			errs = append(errs, withPrefix("config.config", err)...)
		}
		unnamed, odd := oci.CheckEnv(doc.Config["Env"])
		for _, err := range unnamed {
			errs = append(errs, fmt.Errorf("config.config.%w", err))
		}
		for _, err := range odd {
			notes = append(notes, fmt.Errorf("config.config.%w", err))
		}
	}
	if !ok {
		return nil, errs, notes
	}
	if c.RootFS.Type != "" && c.RootFS.Type != "layers" {
		errs = append(errs, fmt.Errorf("config.rootfs.type is %q: expected \"layers\"", c.RootFS.Type))
	}
	if n := len(c.RootFS.DiffIDs); n != layers {
		errs = append(errs, fmt.Errorf("%d layers in the manifest, but %d diff_ids in the config", layers, n))
	}
	errs = append(errs, checkTime("config.created", c.Created)...)
	for i, h := range c.History {
		errs = append(errs, checkTime(fmt.Sprintf("config.history[%d].created", i), h.Created)...)
	}
	if n := len(c.ofLayers()); c.History != nil && n != layers {
		err := fmt.Errorf("%d layers in the manifest, but %d in the config's history", layers, n)
		if c.isOwn() {
			errs = append(errs, err)
		} else {
			notes = append(notes, err) // some tools squash layers or write no history
		}
	}
	if _, err := oci.ParseConfig(data); err != nil && len(errs) == 0 && (c.OS == "" || c.OS == "linux") {
		errs = append(errs, err)
	}
	return &c, errs, notes
}

// isOwn reports whether chunkah made at least one layer of the image.
func (c *config) isOwn() bool {
	return slices.ContainsFunc(c.History, func(h history) bool { return h.CreatedBy == plan.Author })
}

func checkTime(at string, value *string) []error {
	if value == nil || *value == "" {
		return nil
	}
	if _, err := time.Parse(time.RFC3339Nano, *value); err != nil {
		return []error{fmt.Errorf("%s is %q: expected a time such as 2006-01-02T15:04:05Z", at, *value)}
	}
	return nil
}

// ofLayers returns the history entries that describe a layer.
func (c *config) ofLayers() []history {
	return slices.DeleteFunc(slices.Clone(c.History), func(h history) bool { return h.EmptyLayer })
}
