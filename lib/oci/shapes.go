package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// These variables describe the structures of image configs that ParseConfig accepts.
var (
	// imageKeys are the keys of a complete image config, as printed by `skopeo inspect --raw
	// --config`. All other keys are docker's and do not affect how the image runs.
	imageKeys = map[string]bool{
		"created": true, "author": true, "architecture": true, "variant": true, "os": true, "os.version": true,
		"os.features": true, "config": true, "container_config": true, "rootfs": true, "history": true,
	}

	// inspectKeys are the keys that are read from the output of `podman inspect` and `docker
	// inspect`.
	inspectKeys = map[string]bool{
		"Config": true, "ContainerConfig": true, "Created": true, "Author": true, "Architecture": true, "Variant": true,
		"Os": true, "OsVersion": true, "Annotations": true, "HealthCheck": true,
	}

	// inspectToo lists keys of an execution config that podman repeats outside Config.
	inspectToo = []string{"User", "Labels", "Healthcheck"}

	// foreign lists documents that contain keys of an execution config, or resemble a config, but
	// are not configs. If they were read as configs, settings would be lost.
	foreign = []struct{ key, is string }{
		{"schemaVersion", "an image manifest or index: use skopeo inspect --raw --config"},
		{"OCIv1", "the output of buildah inspect: use podman inspect, or buildah inspect --type image --format '{{.Config}}'"},
		{"HostConfig", "a container, not an image: inspect its image"},
		{"State", "a container, not an image: inspect its image"},
		{"RepoTags", "the output of skopeo inspect without --config: use skopeo inspect --raw --config"},
		{"Layers", "the output of skopeo inspect without --config: use skopeo inspect --raw --config"},
	}
)

const expectedShapes = "expected an execution config, a whole image config, or the output of podman or docker inspect"

// ParseConfig reads an image config with one of these structures:
//
//   - only an execution config: {"Env":[…],"Cmd":[…],…};
//   - a whole image config: {"architecture":…,"os":…,"config":{…},…};
//   - the output of `podman inspect` or `docker inspect` for one image, with or without the array.
//
// Unknown keys of the execution config are kept. Anything else is an error and never an empty
// config; `{}` is the empty config.
func ParseConfig(data []byte) (*Config, error) {
	c, err := parseConfig(data)
	if err != nil {
		return nil, fmt.Errorf("reading image config: %w", err)
	}
	return c, nil
}

func parseConfig(data []byte) (*Config, error) {
	if err := CheckJSON(data); err != nil {
		return nil, err
	}
	object, err := oneObject(data)
	if err != nil {
		return nil, err
	}
	c := &Config{}
	switch shape, err := shapeOf(object); {
	case err != nil:
		return nil, err
	case shape == shapeImage:
		return c, c.fromImage(object)
	case shape == shapeInspect:
		return c, c.fromInspect(object)
	default:
		return c, c.setExec(object)
	}
}

// oneObject returns the object in data, which can also be an array with this single element.
func oneObject(data []byte) (map[string]json.RawMessage, error) {
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		return nil, err
	}
	raw := json.RawMessage(data)
	if list, ok := value.([]any); ok {
		if len(list) != 1 {
			return nil, fmt.Errorf("is an array of %d images: expected one image", len(list))
		}
		var elements []json.RawMessage
		if err := json.Unmarshal(data, &elements); err != nil {
			return nil, err
		}
		raw, value = elements[0], list[0]
	}
	if _, ok := value.(map[string]any); !ok {
		return nil, fmt.Errorf("unknown format: %s", expectedShapes)
	}
	var object map[string]json.RawMessage
	return object, json.Unmarshal(raw, &object)
}

type shape int

const (
	shapeExec shape = iota
	shapeImage
	shapeInspect
)

// shapeOf recognises the structure of an object by its keys. A key that belongs to a different
// structure is an error, because it would be ignored.
func shapeOf(object map[string]json.RawMessage) (shape, error) {
	image := common(object, imageKeys)
	inspect := common(object, inspectKeys)
	exec := common(object, execKeys)
	has := func(key string) bool { _, ok := object[key]; return ok }
	isInspect := has("Config") || has("ContainerConfig")
	for _, f := range foreign {
		podman := isInspect && (f.key == "RepoTags" || f.key == "Layers")
		if has(f.key) && !podman {
			return 0, fmt.Errorf("key %q identifies this as %s", f.key, f.is)
		}
	}
	switch {
	case len(object) == 0:
		return shapeExec, nil
	case isInspect:
		exec = slices.DeleteFunc(exec, func(key string) bool { return slices.Contains(inspectToo, key) })
		return shapeInspect, mixed("Config", append(image, exec...))
	case len(image) > 0:
		return shapeImage, mixed(image[0], append(inspect, exec...))
	case len(exec) > 0:
		return shapeExec, mixed(exec[0], inspect)
	}
	for _, key := range sortedKeys(object) {
		if err := errors.Join(nearMiss(key, execKeys), nearMiss(key, inspectKeys)); err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("unknown format with the keys %s: %s", quoteSome(sortedKeys(object)), expectedShapes)
}

// mixed returns the error for an object that contains keys of two structures.
func mixed(key string, others []string) error {
	if len(others) == 0 {
		return nil
	}
	return fmt.Errorf("unknown format: keys %q and %q cannot be in one object: %s", key, others[0], expectedShapes)
}

// common returns the keys of object that are in known, sorted.
func common[V any](object map[string]json.RawMessage, known map[string]V) []string {
	var keys []string
	for _, key := range sortedKeys(object) {
		if _, ok := known[key]; ok {
			keys = append(keys, key)
		}
	}
	return keys
}

// fields lists the keys that one structure uses for everything except the execution config.
type fields struct {
	config, containerConfig, created, author, architecture, variant, os, osVersion, osFeatures, annotations string
}

func (c *Config) fromImage(object map[string]json.RawMessage) error {
	c.OfImage = !isNull(object["rootfs"])
	return c.fromFields(object, fields{
		config: "config", containerConfig: "container_config", created: "created", author: "author",
		architecture: "architecture", variant: "variant", os: "os", osVersion: "os.version", osFeatures: "os.features",
	})
}

func (c *Config) fromInspect(object map[string]json.RawMessage) error {
	c.OfImage = !isNull(object["RootFS"])
	err := c.fromFields(object, fields{
		config: "Config", containerConfig: "ContainerConfig", created: "Created", author: "Author",
		architecture: "Architecture", variant: "Variant", os: "Os", osVersion: "OsVersion", annotations: "Annotations",
	})
	if err != nil {
		return err
	}
	// podman's Config contains only the keys of the OCI specification. The health check is printed
	// outside Config.
	for _, key := range []string{"Healthcheck", "HealthCheck"} {
		value := object[key]
		if _, ok := c.exec["Healthcheck"]; ok || isNull(value) {
			continue
		}
		if c.exec["Healthcheck"], err = checkKind(key, kindObject, value); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) fromFields(object map[string]json.RawMessage, names fields) error {
	get := func(key string, into any, want string) error {
		if value := object[key]; !isNull(value) {
			if err := json.Unmarshal(value, into); err != nil {
				return fmt.Errorf("key %q is %s: expected %s", key, excerpt(value), want)
			}
		}
		return nil
	}
	var created, arch string
	var wrong faults
	wrong.add(get(names.created, &created, "a time"))
	wrong.add(get(names.author, &c.Author, "a string"))
	wrong.add(get(names.architecture, &arch, "a string"))
	wrong.add(get(names.variant, &c.Platform.Variant, "a string"))
	wrong.add(get(names.os, &c.Platform.OS, "a string"))
	wrong.add(get(names.osVersion, &c.Platform.OSVersion, "a string"))
	wrong.add(get(names.osFeatures, &c.Platform.OSFeatures, "an array of strings"))
	wrong.add(get(names.annotations, &c.Annotations, "an object of strings"))
	var err error
	c.Created, err = parseCreated(names.created, created)
	wrong.add(err)
	wrong.add(c.setPlatform(arch))
	wrong.add(c.setConfigOf(object, names))
	return wrong.err()
}

// setConfigOf sets the execution config. It uses docker's second copy if the first is missing.
func (c *Config) setConfigOf(object map[string]json.RawMessage, names fields) error {
	key := names.config
	if isNull(object[key]) && !isNull(object[names.containerConfig]) {
		key = names.containerConfig
	}
	exec := map[string]json.RawMessage{}
	if value := object[key]; !isNull(value) {
		if err := json.Unmarshal(value, &exec); err != nil {
			return fmt.Errorf("key %q is %s: expected an object", key, excerpt(value))
		}
	}
	var wrong faults
	for _, err := range each(c.setExec(exec)) {
		wrong.add(fmt.Errorf("in %q: %w", key, err))
	}
	if err := wrong.err(); err != nil {
		return err
	}
	if key == names.containerConfig {
		c.dropBuildStep()
	}
	return nil
}

// dropBuildStep removes the Cmd from docker's ContainerConfig if it is only the last step of the
// build: ["/bin/sh","-c","#(nop) ",…].
func (c *Config) dropBuildStep() {
	var cmd []string
	if json.Unmarshal(c.exec["Cmd"], &cmd) == nil && len(cmd) > 2 && strings.HasPrefix(cmd[2], "#(nop)") {
		delete(c.exec, "Cmd")
	}
}

// setPlatform checks the config's platform.
func (c *Config) setPlatform(arch string) error {
	if c.Platform.OS != "" && c.Platform.OS != "linux" {
		return fmt.Errorf("the image is for the operating system %q: expected \"linux\"", c.Platform.OS)
	}
	c.Platform.Architecture = arch // an unknown name is kept
	if name, variant, err := ParseArch(arch); err == nil {
		c.Platform.Architecture = name
		if c.Platform.Variant == "" {
			c.Platform.Variant = variant
		}
	}
	return nil
}

// parseCreated parses a creation time. If an image has no creation time, docker writes an empty
// text or a time in the year 1.
func parseCreated(key, text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return nil, fmt.Errorf("key %q is %q: expected a time such as 2006-01-02T15:04:05Z", key, text)
	}
	if t = t.UTC(); t.Year() <= 1 {
		return nil, nil
	}
	return &t, nil
}

// quoteSome quotes the first few keys of an object.
func quoteSome(keys []string) string {
	const limit = 5
	var quoted []string
	for _, key := range keys[:min(len(keys), limit)] {
		quoted = append(quoted, fmt.Sprintf("%q", key))
	}
	if len(keys) > limit {
		quoted = append(quoted, "…")
	}
	return strings.Join(quoted, ", ")
}
