package pathmap

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"chunkah/format"
	"chunkah/lib/assign"
)

const (
	// maxPath is the longest path, in bytes, as in the kernel (PATH_MAX).
	maxPath = 4096
	// maxShown is the largest part of an entry that an error shows, in bytes.
	maxShown = 100
)

// parser reads a map into a repo.
type parser struct {
	repo  *Repo
	index map[string]int // component name -> index
}

// item is an entry as it is in the map.
type item struct {
	label     string // name shown in errors
	component string
	paths     []string
	interval  int64 // in days, 0 for unknown
}

func (p *parser) parse(data []byte) error {
	if !utf8.Valid(data) {
		return errors.New("is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	token, err := dec.Token()
	if err != nil {
		return syntax(data, dec, err)
	}
	switch token {
	case json.Delim('{'):
		err = p.parseObject(dec)
	case json.Delim('['):
		err = p.parseList(dec)
	default:
		return errors.New("is neither an object nor a list")
	}
	if err == nil {
		_, err = dec.Token() // the closing bracket
	}
	if err == nil {
		if _, err = dec.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = errors.New("has text after its end")
		}
	}
	return syntax(data, dec, err)
}

// syntax adds the line number to a JSON error.
func syntax(data []byte, dec *json.Decoder, err error) error {
	if _, ok := errors.AsType[*entryError](err); ok {
		return err
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("line %d: %w", 1+bytes.Count(data[:dec.InputOffset()], []byte{'\n'}), err)
}

// entryError is an error in one entry of a valid JSON map.
type entryError struct {
	label string
	err   error
}

func (e *entryError) Error() string { return "entry " + e.label + ": " + e.err.Error() }
func (e *entryError) Unwrap() error { return e.err }

func (p *parser) parseObject(dec *json.Decoder) error {
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		key := token.(string) // keys are always strings
		var value any
		if err := dec.Decode(&value); err != nil {
			return err
		}
		it, err := keyed(key, value)
		if err == nil {
			err = p.add(it)
		}
		if err != nil {
			return &entryError{it.label, err}
		}
	}
	return nil
}

func (p *parser) parseList(dec *json.Decoder) error {
	for number := 1; dec.More(); number++ {
		var value any
		if err := dec.Decode(&value); err != nil {
			return err
		}
		label := fmt.Sprint(number)
		it := item{label: label}
		fields, isObject := value.(map[string]any)
		err := errors.New("is not an object")
		if isObject {
			err = it.setFields(fields)
		}
		if err == nil {
			err = p.add(it)
		}
		if err != nil {
			return &entryError{label, err}
		}
	}
	return nil
}

// keyed makes an item from a key, which is a path or a component name, and from its value.
func keyed(key string, value any) (item, error) {
	it := item{label: shown(key)}
	isPath := strings.HasPrefix(key, "/")
	if isPath {
		it.paths = []string{key}
	} else {
		it.component = key
	}
	switch value := value.(type) {
	case map[string]any:
		return it, it.setFields(value)
	case string:
		if isPath {
			it.component = value
			if strings.HasPrefix(value, "/") {
				return it, fmt.Errorf("%s is a path too, not a component", shown(value))
			}
			return it, nil
		}
		if !strings.HasPrefix(value, "/") {
			return it, fmt.Errorf("neither this nor %s begins with a slash, so it is unclear which is the path", shown(value))
		}
	case []any:
		if isPath {
			return it, errors.New("a path belongs to one component, not to a list")
		}
	default:
		return it, fmt.Errorf("maps to %s, which is neither a component nor a path", shown(value))
	}
	var err error
	it.paths, err = texts(value)
	return it, err
}

// setFields parses the fields of an entry that is an object.
func (it *item) setFields(fields map[string]any) (err error) {
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		value := fields[field]
		switch field {
		case "component":
			name, isText := value.(string)
			if !isText || it.component != "" {
				return errors.New("needs one component, as a string")
			}
			it.component = name
		case "files", "paths", "path", "prefix":
			if it.paths != nil {
				return fmt.Errorf("lists paths twice, the second time as %q", field)
			}
			it.paths, err = texts(value)
		case "interval":
			it.interval, err = days(value)
		default:
			err = fmt.Errorf("has the unknown field %s", shown(field))
		}
		if err != nil {
			return err
		}
	}
	if it.component == "" {
		return errors.New("has no component")
	}
	if it.paths == nil && it.interval == 0 {
		return errors.New("has neither paths nor an interval")
	}
	return nil
}

// texts returns the strings in value, which is a string or a list of strings. The result is nil
// only if an error is returned.
func texts(value any) ([]string, error) {
	list, isList := value.([]any)
	if !isList {
		list = []any{value}
	}
	found := make([]string, 0, len(list))
	for _, value := range list {
		text, isText := value.(string)
		if !isText {
			return nil, fmt.Errorf("%s is not a path", shown(value))
		}
		found = append(found, text)
	}
	return found, nil
}

func days(value any) (int64, error) {
	text, isText := value.(string)
	if number, is := value.(json.Number); is {
		text, isText = number.String(), true
	}
	if !isText {
		text = ""
	}
	days, err := assign.ParseInterval(text)
	if err != nil {
		return 0, fmt.Errorf("interval %s: %w", shown(value), err)
	}
	return days, nil
}

// shown formats a value for an error message.
func shown(value any) string {
	if text, isText := value.(string); isText {
		return fmt.Sprintf("%.*q", maxShown, text)
	}
	raw, _ := json.Marshal(value) // values from JSON can always be encoded
	return fmt.Sprintf("%.*s", maxShown, raw)
}

// add adds an item to the repo.
func (p *parser) add(it item) error {
	if it.component == "" || len(it.component) > format.MaxText-len(repoName+"/") {
		return errors.New("is not a component name")
	}
	name := it.component
	if !strings.Contains(name, "/") {
		name = repoName + "/" + name
	}
	i, known := p.index[name]
	if !known {
		i = len(p.repo.components)
		p.index[name] = i
		p.repo.components = append(p.repo.components, component{name: name})
	}
	c := &p.repo.components[i]
	if it.interval != 0 {
		if c.interval != 0 && c.interval != it.interval {
			return fmt.Errorf("the interval of component %q is %d days here and %d in entry %s", name, it.interval, c.interval, c.setBy)
		}
		c.interval, c.setBy = it.interval, it.label
	}
	for _, path := range it.paths {
		clean, err := cleanPath(path)
		if err != nil {
			return err
		}
		p.repo.entries = append(p.repo.entries, entry{path: clean, component: i})
	}
	return nil
}

// cleanPath returns a path in the form that is used for matching.
func cleanPath(path string) (string, error) {
	var b strings.Builder
	for name := range strings.SplitSeq(path, "/") {
		switch name {
		case "", ".":
			continue
		case "..":
			return "", fmt.Errorf("path %s contains %q", shown(path), "..")
		}
		b.WriteString("/" + name)
	}
	if path == "" || b.Len() > maxPath || strings.IndexByte(path, 0) >= 0 {
		return "", fmt.Errorf("%s is not a path", shown(path))
	}
	if b.Len() == 0 {
		return "/", nil
	}
	return b.String(), nil
}
