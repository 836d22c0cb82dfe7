package registries

import (
	"errors"
	"fmt"
	"strings"

	"chunkah/lib/regular"

	"github.com/BurntSushi/toml"
)

// maxFile is the largest size of a file, in bytes. The longest file that distributions ship is 20
// kB.
const maxFile = 1 << 20

// maxDepth is the deepest nesting that a file may use. Valid files need 2.
const maxDepth = 64

// The values of pull-from-mirror.
const (
	pullAll    = "all"
	pullDigest = "digest-only"
	pullTag    = "tag-only"
)

// document is one file. The keys are the keys of registries.conf(5). Like podman, chunkah ignores
// other keys.
type document struct {
	Registries []registryTable   `toml:"registry"`
	Search     []string          `toml:"unqualified-search-registries"`
	Helpers    []string          `toml:"credential-helpers"`
	Aliases    map[string]string `toml:"aliases"`
	Old        struct {          // version 1
		Search, Insecure, Block struct {
			Registries []string `toml:"registries"`
		}
	} `toml:"registries"`
}

type registryTable struct {
	mirrorTable
	Prefix       string        `toml:"prefix"`
	Blocked      bool          `toml:"blocked"`
	OnlyByDigest bool          `toml:"mirror-by-digest-only"`
	Mirrors      []mirrorTable `toml:"mirror"`

	file string // for messages
}

type mirrorTable struct {
	Location string `toml:"location"`
	Insecure bool   `toml:"insecure"`
	Pull     string `toml:"pull-from-mirror"`
}

// readFile reads a file.
func readFile(path string) (*document, error) {
	data, err := regular.ReadConfig(path, maxFile)
	if err != nil {
		return nil, err
	}
	doc, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", path, err)
	}
	for i := range doc.Registries {
		doc.Registries[i].file = path
	}
	return doc, nil
}

// parse parses and checks a file.
func parse(data []byte) (*document, error) {
	if tooDeep(data) {
		return nil, fmt.Errorf("arrays are nested more than %d deep", maxDepth)
	}
	var doc document
	if err := toml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("not TOML in the format of registries.conf: %s", strings.TrimPrefix(err.Error(), "toml: "))
	}
	doc.convert()
	for i := range doc.Registries {
		if err := doc.Registries[i].check(); err != nil {
			return nil, err
		}
	}
	for i, host := range doc.Search {
		doc.Search[i] = strings.TrimRight(host, "/")
	}
	return &doc, nil
}

// tooDeep reports whether the parser would recurse too deeply. Brackets in comments and in
// single-line strings are not counted.
func tooDeep(data []byte) bool {
	depth, in := 0, byte(0) // the quote or # that is open
	for i, b := range data {
		switch {
		case b == '\n':
			in = 0
		case in == '#', in == '"' && i > 0 && data[i-1] == '\\':
		case in != 0:
			if b == in {
				in = 0
			}
		case b == '#', b == '"', b == '\'':
			in = b
		case b == '[', b == '{':
			if depth++; depth > maxDepth {
				return true
			}
		case b == ']', b == '}':
			depth = max(depth-1, 0)
		}
	}
	return false
}

// convert adds the lists of version 1.
func (d *document) convert() {
	d.Search = append(d.Search, d.Old.Search.Registries...)
	tables := map[string]int{}
	table := func(location string) *registryTable {
		i, known := tables[location]
		if !known {
			i = len(d.Registries)
			tables[location] = i
			d.Registries = append(d.Registries, registryTable{mirrorTable: mirrorTable{Location: location}})
		}
		return &d.Registries[i]
	}
	for _, location := range d.Old.Block.Registries {
		table(location).Blocked = true
	}
	for _, location := range d.Old.Insecure.Registries {
		table(location).Insecure = true
	}
}

// check completes a registry, and refuses a registry that podman would refuse.
func (t *registryTable) check() error {
	var err error
	if t.Prefix, err = trim("prefix", t.Prefix); err != nil {
		return err
	}
	if t.Location, err = trim("location", t.Location); err != nil {
		return err
	}
	wild := strings.HasPrefix(t.Prefix, "*.")
	switch {
	case t.Prefix == "" && t.Location == "":
		return errors.New("a [[registry]] has neither prefix nor location")
	case t.Location == "" && !wild:
		return fmt.Errorf("the registry with the prefix %q has no location", t.Prefix)
	case wild && strings.ContainsAny(t.Prefix, "/@:"):
		return fmt.Errorf("the prefix %q has more than a host after \"*.\"", t.Prefix)
	case t.Prefix == "":
		t.Prefix = t.Location
	}
	if t.Pull != "" {
		return fmt.Errorf("the registry with the prefix %q has pull-from-mirror, which only a mirror can have", t.Prefix)
	}
	for i := range t.Mirrors {
		m := &t.Mirrors[i]
		if m.Location, err = trim("location", m.Location); err != nil {
			return err
		}
		switch {
		case m.Location == "":
			return fmt.Errorf("a mirror of %q has no location", t.Prefix)
		case m.Pull != "" && t.OnlyByDigest:
			return fmt.Errorf("%q has mirror-by-digest-only, and its mirror %q has pull-from-mirror: only one of the two is allowed", t.Prefix, m.Location)
		case m.Pull != "" && m.Pull != pullAll && m.Pull != pullDigest && m.Pull != pullTag:
			return fmt.Errorf("the mirror %q has pull-from-mirror %q: expected %s, %s or %s", m.Location, m.Pull, pullAll, pullDigest, pullTag)
		}
	}
	return nil
}

// trim removes slashes at the end of a name, and refuses a URL.
func trim(key, name string) (string, error) {
	if strings.HasPrefix(name, "http://") || strings.HasPrefix(name, "https://") {
		return "", fmt.Errorf("%s %q has a scheme: expected HOST[:PORT][/PATH]", key, name)
	}
	return strings.TrimRight(name, "/"), nil
}
