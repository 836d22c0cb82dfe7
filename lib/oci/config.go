package oci

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Config is the part of an image's config that specifies how to run the image. ParseConfig lists
// the supported input structures. Config does not contain the description of layers (rootfs,
// history). The zero value is an empty config.
type Config struct {
	Platform    v1.Platform // OS is empty or "linux"
	Author      string
	Created     *time.Time // nil if the config contains no time
	Annotations map[string]string
	Labels      map[string]string
	// OfImage is set if the config comes from an image with layers. It is not set if the config was
	// written for a new image.
	OfImage bool

	// exec is the execution config without its labels. Known keys are checked, unknown keys are
	// kept unchanged.
	exec map[string]json.RawMessage
}

// kind is the JSON type that a known key must have.
type kind int

const (
	kindString kind = iota
	kindBool
	kindNumber
	kindObject
	kindStrings   // array of strings
	kindObjectMap // object of objects: the schema uses it as a set
	kindStringMap // object of strings
)

func (k kind) String() string {
	return [...]string{
		"a string", "true or false", "a number", "an object", "an array of strings", "an object of objects",
		"an object of strings",
	}[k]
}

// execKeys are the keys of an execution config: the keys in the OCI specification, keys that docker
// adds and uses, and keys that docker only fills in.
var execKeys = map[string]kind{
	"User": kindString, "ExposedPorts": kindObjectMap, "Env": kindStrings, "Entrypoint": kindStrings, "Cmd": kindStrings,
	"Volumes": kindObjectMap, "WorkingDir": kindString, "Labels": kindStringMap, "StopSignal": kindString,
	"ArgsEscaped": kindBool, workDir: kindString,

	"Healthcheck": kindObject, "OnBuild": kindStrings, "Shell": kindStrings, "StopTimeout": kindNumber,

	"Hostname": kindString, "Domainname": kindString, "Image": kindString, "MacAddress": kindString,
	"AttachStdin": kindBool, "AttachStdout": kindBool, "AttachStderr": kindBool, "Tty": kindBool, "OpenStdin": kindBool,
	"StdinOnce": kindBool, "NetworkDisabled": kindBool,
}

// workDir is not in the specification, but some documentation uses it for WorkingDir.
const workDir = "WorkDir"

// setExec sets the execution config.
func (c *Config) setExec(keys map[string]json.RawMessage) error {
	exec, err := checkExec(keys)
	if err != nil {
		return err
	}
	if raw, ok := exec["Labels"]; ok {
		if err := json.Unmarshal(raw, &c.Labels); err != nil {
			return fmt.Errorf("reading key %q: %w", "Labels", err)
		}
		delete(exec, "Labels")
	}
	c.exec = exec
	return nil
}

// CheckExecution returns all faults in an execution config, which is the value of "config" in an
// image config.
func CheckExecution(keys map[string]json.RawMessage) []error {
	_, err := checkExec(keys)
	return each(err)
}

// checkExec returns an execution config in the form in which it is written. Known keys must have
// the right type. A null is left out, because all clients treat it like a missing key. Unknown keys
// are kept.
func checkExec(keys map[string]json.RawMessage) (map[string]json.RawMessage, error) {
	exec := make(map[string]json.RawMessage, len(keys))
	var wrong faults
	for _, key := range sortedKeys(keys) {
		value := keys[key]
		k, known := execKeys[key]
		var err error
		switch {
		case !known:
			err = nearMiss(key, execKeys)
		case isNull(value):
			continue
		default:
			value, err = checkKind(key, k, value)
		}
		if key == workDir && err == nil {
			err = sameWorkingDir(keys)
			key = "WorkingDir"
		}
		wrong.add(err)
		exec[key] = value
	}
	return exec, wrong.err()
}

// sameWorkingDir checks that both spellings have the same value if both are given.
func sameWorkingDir(keys map[string]json.RawMessage) error {
	full, ok := keys["WorkingDir"]
	if !ok || isNull(full) || isNull(keys[workDir]) {
		return nil
	}
	var a, b any
	if err := json.Unmarshal(full, &a); err != nil {
		return err
	}
	if err := json.Unmarshal(keys[workDir], &b); err != nil {
		return err
	}
	if a, ok := a.(string); ok && any(a) == b {
		return nil
	}
	return fmt.Errorf("keys %q (%s) and %q (%s) differ: remove one of them", "WorkingDir", full, workDir, keys[workDir])
}

// checkKind returns the value of a known key. In a set, it replaces nulls that the schema does not
// allow.
func checkKind(key string, k kind, value json.RawMessage) (json.RawMessage, error) {
	var err error
	switch k {
	case kindString:
		err = json.Unmarshal(value, new(string))
	case kindBool:
		err = json.Unmarshal(value, new(bool))
	case kindNumber:
		err = json.Unmarshal(value, new(json.Number))
		if value[0] == '"' {
			err = errWrongType
		}
	case kindObject:
		err = json.Unmarshal(value, new(map[string]json.RawMessage))
	case kindStrings:
		var list []json.RawMessage
		if err = json.Unmarshal(value, &list); err == nil {
			err = allStrings(slices.Values(list))
		}
	case kindStringMap:
		var m map[string]json.RawMessage
		if err = json.Unmarshal(value, &m); err == nil {
			err = allStrings(maps.Values(m))
		}
	case kindObjectMap:
		value, err = objectMap(value)
	}
	if err != nil {
		return nil, fmt.Errorf("key %q is %s: expected %v", key, excerpt(value), k)
	}
	return value, nil
}

// objectMap checks a set such as {"/data":{}} and replaces nulls in it with {}.
func objectMap(value json.RawMessage) (json.RawMessage, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(value, &m); err != nil {
		return value, err
	}
	for key, v := range m {
		switch {
		case isNull(v):
			m[key] = json.RawMessage("{}")
		case v[0] != '{':
			return value, errWrongType
		}
	}
	return json.Marshal(m)
}

// Check refuses variables without a name, because verify would report them as faults in an image
// with this config. A variable without a value is accepted, as clients accept it too.
func (c *Config) Check() error {
	var wrong faults
	unnamed, _ := CheckEnv(c.exec["Env"])
	for _, err := range unnamed {
		wrong.add(fmt.Errorf("key %w", err))
	}
	return wrong.err()
}

// CheckEnv looks for elements in an Env array, given as JSON, that are not NAME=VALUE (image
// specification, config). An empty name is a fault. A name without a value is only a note: clients
// accept it, but interpret it in different ways.
func CheckEnv(data json.RawMessage) (faults, notes []error) {
	var env []string
	if json.Unmarshal(data, &env) != nil {
		return nil, nil // the check of its type reports the error
	}
	for i, pair := range env {
		err := fmt.Errorf("Env[%d] is %q: expected NAME=VALUE", i, pair) //nolint:staticcheck // the field's name
		switch strings.Index(pair, "=") {
		case -1:
			notes = append(notes, err)
		case 0:
			faults = append(faults, err)
		}
	}
	return faults, notes
}

// Missing lists, as Containerfile instructions, the settings for containers that the config does
// not contain.
func (c *Config) Missing() []string {
	var missing []string
	for _, k := range []struct{ key, word string }{{"User", "USER"}, {"Env", "ENV"}, {"Entrypoint", "ENTRYPOINT"}, {"Cmd", "CMD"}, {"WorkingDir", "WORKDIR"}} {
		if _, ok := c.exec[k.key]; !ok {
			missing = append(missing, k.word)
		}
	}
	if len(c.Labels) == 0 {
		missing = append(missing, "LABEL")
	}
	return missing
}

// HasHealthcheck reports whether the config has a health check.
func (c *Config) HasHealthcheck() bool {
	var check struct{ Test []string }
	return json.Unmarshal(c.exec["Healthcheck"], &check) == nil && len(check.Test) > 0 && check.Test[0] != "NONE"
}

// execution returns the execution config as it is written, with its labels.
func (c *Config) execution() map[string]any {
	exec := make(map[string]any, len(c.exec)+1)
	for key, value := range c.exec {
		exec[key] = value
	}
	if len(c.Labels) > 0 {
		exec["Labels"] = c.Labels
	}
	return exec
}
