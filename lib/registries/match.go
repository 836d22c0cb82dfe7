package registries

import (
	"fmt"
	"strings"

	"chunkah/lib/registry"
)

// Endpoint is one location from which an image can be read.
type Endpoint struct {
	// Ref is the image's name at this endpoint.
	Ref registry.Ref
	// Insecure allows plain HTTP and untrusted certificates.
	Insecure bool
}

// blockedError names the file that forbids a registry.
type blockedError struct{ name, file string }

func (e *blockedError) Error() string {
	return fmt.Sprintf("%q is blocked in %q", e.name, e.file)
}

// Pull returns the endpoints from which an image can be read, in the order in which to try them.
func (c *Config) Pull(ref registry.Ref) ([]Endpoint, error) {
	t := c.find(ref)
	if t == nil {
		return []Endpoint{{Ref: ref}}, nil
	}
	var list []Endpoint
	for _, m := range t.Mirrors {
		if !m.has(ref, t.OnlyByDigest) {
			continue
		}
		to, err := t.rewrite(ref, m.Location)
		if err != nil {
			return nil, err
		}
		if other := c.find(to); other == nil || !other.Blocked {
			list = append(list, Endpoint{Ref: to, Insecure: m.Insecure})
		}
	}
	own, err := t.rewrite(ref, t.Location)
	if err != nil {
		return nil, err
	}
	err = c.blocked(own)
	if t.Blocked {
		err = &blockedError{nameOf(ref), t.file}
	}
	if err == nil {
		list = append(list, Endpoint{Ref: own, Insecure: t.Insecure})
	}
	if len(list) == 0 {
		return nil, err
	}
	return list, nil
}

// Push returns the endpoint to which an image is pushed.
func (c *Config) Push(ref registry.Ref) (Endpoint, error) {
	t := c.find(ref)
	return Endpoint{Ref: ref, Insecure: t != nil && t.Insecure}, c.blocked(ref)
}

func (c *Config) blocked(ref registry.Ref) error {
	if t := c.find(ref); t != nil && t.Blocked {
		return &blockedError{nameOf(ref), t.file}
	}
	return nil
}

// find returns the registry with the longest prefix of a name, or nil.
func (c *Config) find(ref registry.Ref) *registryTable {
	var found *registryTable
	for i := range c.registries {
		t := &c.registries[i]
		if matched(nameOf(ref), t.Prefix) >= 0 && (found == nil || len(t.Prefix) > len(found.Prefix)) {
			found = t
		}
	}
	return found
}

// nameOf returns the name to which prefixes apply, without tag and digest.
func nameOf(ref registry.Ref) string { return ref.Registry + "/" + ref.Name }

// matched returns how many bytes of a name match a prefix, or -1.
func matched(name, prefix string) int {
	end := len(prefix)
	if host, wild := strings.CutPrefix(prefix, "*"); wild && strings.HasPrefix(host, ".") {
		at := strings.Index(name, host)
		if at < 0 || strings.Contains(name[:at], "/") {
			return -1
		}
		end = at + len(host)
	} else if !strings.HasPrefix(name, prefix) {
		return -1
	}
	if end < len(name) && name[end] != '/' && name[end] != ':' {
		return -1
	}
	return end
}

// rewrite replaces the prefix in an image's name with a location. If the location is empty, rewrite
// replaces nothing.
func (t *registryTable) rewrite(ref registry.Ref, location string) (registry.Ref, error) {
	if location == "" || location == t.Prefix {
		return ref, nil
	}
	name := nameOf(ref)
	at := location + name[matched(name, t.Prefix):]
	if registry.IsShort(at) {
		return registry.Ref{}, fmt.Errorf("%q: the location %q of %q does not begin with a registry's host", t.file, location, t.Prefix)
	}
	to, err := registry.ParseRef(at)
	if err != nil {
		return registry.Ref{}, fmt.Errorf("%q: the location %q of %q: %w", t.file, location, t.Prefix, err)
	}
	to.Tag, to.Digest = ref.Tag, ref.Digest
	return to, nil
}

// has reports whether a mirror is to be used for a reference by tag or by digest.
func (m *mirrorTable) has(ref registry.Ref, onlyByDigest bool) bool {
	switch byDigest := ref.Digest != ""; {
	case onlyByDigest, m.Pull == pullDigest:
		return byDigest
	case m.Pull == pullTag:
		return !byDigest
	}
	return true
}

// hub is the registry for names without a registry.
const hub = "docker.io"

// CheckShort refuses a name without a registry unless podman would also read it as an image in
// docker.io, as chunkah does.
func (c *Config) CheckShort(text string) error {
	if !registry.IsShort(text) {
		return nil
	}
	ref, err := registry.ParseRef(text)
	if err != nil {
		return err
	}
	name, _, _ := strings.Cut(text, "@")
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		name = name[:colon]
	}
	if a, ok := c.aliases[name]; ok {
		to, err := registry.ParseRef(a.name)
		if err != nil || nameOf(to) == nameOf(ref) {
			return nil //nolint:nilerr // an alias that names nothing makes no name ambiguous
		}
		return fmt.Errorf("image reference %q has no registry: use %s, as podman does (%q), or %s", text, a.name, a.file, nameOf(ref))
	}
	if len(c.search) == 0 || c.search[0] == hub {
		return nil
	}
	return fmt.Errorf("image reference %q has no registry: use %s/%s, where podman looks first (%q), or %s", text, c.search[0], name, c.searchFile, nameOf(ref))
}
