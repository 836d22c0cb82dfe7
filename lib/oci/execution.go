package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Execution contains changes to the execution config. An empty field changes nothing. "-" removes
// the setting.
type Execution struct {
	User, WorkDir, StopSignal string
	// Entrypoint and Cmd are JSON arrays, or words separated by spaces.
	Entrypoint, Cmd string
	// Env, Ports and Volumes are lists of edits. K=V, PORT[/PROTOCOL] or PATH adds or replaces a
	// value. K-, PORT[/PROTOCOL]- or PATH- removes it.
	Env, Ports, Volumes []string
}

// portForm and signalForm match valid ports and signals.
var (
	portForm   = regexp.MustCompile(`^[0-9]{1,5}(-[0-9]{1,5})?(/(tcp|udp|sctp))?$`)
	signalForm = regexp.MustCompile(`^([A-Z][A-Z0-9]*([+-][0-9]+)?|[0-9]{1,2})$`)
)

// EditExecution changes the execution config. If it fails, nothing is changed.
func (c *Config) EditExecution(e Execution) error {
	exec := maps.Clone(c.exec)
	if exec == nil {
		exec = map[string]json.RawMessage{}
	}
	set := func(key string, value any) error {
		data, err := canonical(value)
		exec[key] = data
		return err
	}
	text := func(option, key, value string, check func(string) error) error {
		switch {
		case value == "":
			return nil
		case value == "-":
			delete(exec, key)
			return nil
		case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
			return fmt.Errorf("--%s %q is not UTF-8, or contains a NUL", option, value)
		}
		if err := check(value); err != nil {
			return fmt.Errorf("--%s %q: %w", option, value, err)
		}
		return set(key, value)
	}
	words := func(option, key, value string) error {
		if value == "" {
			return nil
		}
		if value == "-" {
			delete(exec, key)
			return nil
		}
		list, err := commandWords(value)
		if err != nil {
			return fmt.Errorf("--%s %q: %w", option, value, err)
		}
		return set(key, list)
	}
	for _, edit := range []func() error{
		func() error { return text("user", "User", e.User, func(string) error { return nil }) },
		func() error { return text("workdir", "WorkingDir", e.WorkDir, checkAbsolute) },
		func() error {
			return text("stop-signal", "StopSignal", e.StopSignal, checkForm(signalForm, "a signal such as SIGTERM or 15"))
		},
		func() error { return words("entrypoint", "Entrypoint", e.Entrypoint) },
		func() error { return words("cmd", "Cmd", e.Cmd) },
		func() error { return editEnv(exec, e.Env) },
		func() error {
			return editSet(exec, "expose", "ExposedPorts", withProtocol(e.Ports), checkForm(portForm, "a port such as 80, 80/tcp or 8000-8080"))
		},
		func() error { return editSet(exec, "volume", "Volumes", e.Volumes, checkAbsolute) },
	} {
		if err := edit(); err != nil {
			return err
		}
	}
	c.exec = exec
	return nil
}

func checkAbsolute(path string) error {
	if !strings.HasPrefix(path, "/") {
		return errors.New("must be an absolute path")
	}
	return nil
}

func checkForm(form *regexp.Regexp, what string) func(string) error {
	return func(s string) error {
		if !form.MatchString(s) {
			return errors.New("must be " + what)
		}
		return nil
	}
}

// commandWords reads a command: words separated by spaces. If a shell would do more than split the
// text at spaces, the command must be given as JSON.
func commandWords(value string) ([]string, error) {
	if !strings.HasPrefix(strings.TrimSpace(value), "[") {
		if strings.ContainsAny(value, "\"'\\$`\x00") || !utf8.ValidString(value) {
			return nil, errors.New(`must be words separated by spaces, or a JSON array such as ["/bin/sh","-c","exec app"]`)
		}
		return strings.Fields(value), nil
	}
	list := []string{}
	if err := json.Unmarshal([]byte(value), &list); err != nil {
		return nil, fmt.Errorf("must be a JSON array of strings: %w", err)
	}
	return list, nil
}

// editEnv edits the variables. If a variable exists already, it is replaced at its position.
func editEnv(exec map[string]json.RawMessage, edits []string) error {
	if len(edits) == 0 {
		return nil
	}
	env := []string{}
	if old, found := exec["Env"]; found {
		if err := json.Unmarshal(old, &env); err != nil {
			return err
		}
	}
	is := func(name string) func(string) bool {
		return func(pair string) bool { return pair == name || strings.HasPrefix(pair, name+"=") }
	}
	for _, e := range edits {
		name, _, set := strings.Cut(e, "=")
		switch {
		case !utf8.ValidString(e) || strings.ContainsRune(e, 0):
			return fmt.Errorf("--env %q is not UTF-8, or contains a NUL", e)
		case e == "-":
			env = []string{}
		case set && name == "" || !set && !strings.HasSuffix(e, "-"):
			return fmt.Errorf("--env %q is invalid: expected NAME=VALUE, NAME- or -", e)
		case !set:
			env = slices.DeleteFunc(env, is(strings.TrimSuffix(e, "-")))
		default:
			if i := slices.IndexFunc(env, is(name)); i >= 0 {
				env[i] = e
			} else {
				env = append(env, e)
			}
		}
	}
	return store(exec, "Env", env, len(env))
}

// editSet edits ports or volumes.
func editSet(exec map[string]json.RawMessage, option, key string, edits []string, check func(string) error) error {
	if len(edits) == 0 {
		return nil
	}
	members := map[string]json.RawMessage{}
	if old, found := exec[key]; found {
		if err := json.Unmarshal(old, &members); err != nil {
			return err
		}
	}
	for _, e := range edits {
		member, remove := strings.CutSuffix(e, "-")
		switch {
		case e == "-":
			clear(members)
			continue
		case !utf8.ValidString(e) || strings.ContainsRune(e, 0):
			return fmt.Errorf("--%s %q is not UTF-8, or contains a NUL", option, e)
		}
		if err := check(member); err != nil {
			return fmt.Errorf("--%s %q: %w", option, e, err)
		}
		delete(members, member)
		if !remove {
			members[member] = json.RawMessage("{}")
		}
	}
	return store(exec, key, members, len(members))
}

// store sets a key to a list or a set, or removes the key if the value is empty.
func store(exec map[string]json.RawMessage, key string, value any, length int) error {
	if length == 0 {
		delete(exec, key)
		return nil
	}
	data, err := canonical(value)
	exec[key] = data
	return err
}

// withProtocol adds the default protocol to ports, as docker and podman do.
func withProtocol(ports []string) []string {
	list := slices.Clone(ports)
	for i, p := range list {
		port, remove := strings.CutSuffix(p, "-")
		if port == "" || strings.Contains(p, "/") {
			continue
		}
		if list[i] = port + "/tcp"; remove {
			list[i] += "-"
		}
	}
	return list
}
