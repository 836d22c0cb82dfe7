package oci

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

var errWrongType = errors.New("wrong type")

// CheckJSON checks that data is a single JSON value in UTF-8 without duplicate keys. Otherwise
// encoding/json could interpret it differently than its author intended.
func CheckJSON(data []byte) error {
	if !utf8.Valid(data) {
		return errors.New("not UTF-8")
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return errors.New("is empty: expected JSON")
	}
	if err := json.Unmarshal(data, new(json.RawMessage)); err != nil { // limits the nesting depth and refuses trailing data
		return syntaxError(data, err)
	}
	return checkDuplicates(data)
}

// syntaxError adds the line number to a syntax error.
func syntaxError(data []byte, err error) error {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return err
	}
	at := min(max(syntax.Offset-1, 0), int64(len(data)))
	return fmt.Errorf("line %d: %w", 1+bytes.Count(data[:at], []byte("\n")), err)
}

// checkDuplicates walks the tokens of valid JSON.
func checkDuplicates(data []byte) error {
	type object struct {
		keys  map[string]bool // keys seen in the object; nil for an array
		value bool            // the next token is a value
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var stack []object
	for {
		token, err := dec.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if token == json.Delim('}') || token == json.Delim(']') {
			stack = stack[:len(stack)-1]
			continue
		}
		if n := len(stack); n > 0 && stack[n-1].keys != nil {
			top := &stack[n-1]
			if key, _ := token.(string); !top.value {
				if top.keys[key] {
					return fmt.Errorf("key %q occurs twice in one object", key)
				}
				top.keys[key] = true
			}
			top.value = !top.value
		}
		switch token {
		case json.Delim('{'):
			stack = append(stack, object{keys: map[string]bool{}})
		case json.Delim('['):
			stack = append(stack, object{})
		}
	}
}

// canonical encodes a value as this package writes JSON: sorted keys, no spaces, no HTML escapes,
// numbers unchanged.
func canonical(value any) ([]byte, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var generic any
	if err := dec.Decode(&generic); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(generic); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// nearMiss refuses a key that differs from a known key only in case. Go's decoders, and therefore
// most clients, treat such a key as the known key, but other clients do not.
func nearMiss[V any](key string, known map[string]V) error {
	for _, k := range sortedKeys(known) {
		if k != key && strings.EqualFold(k, key) {
			return fmt.Errorf("unknown key %q: use %q", key, k)
		}
	}
	return nil
}

func allStrings(values iter.Seq[json.RawMessage]) error {
	for v := range values {
		if v[0] != '"' {
			return errWrongType
		}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func isNull(value json.RawMessage) bool { return len(value) == 0 || string(value) == "null" }

// excerpt shortens a JSON value for use in a message.
func excerpt(value json.RawMessage) string {
	const limit = 60 // bytes that fit on one line with the message
	text := strings.ToValidUTF8(string(value[:min(len(value), limit)]), "")
	if len(value) > limit {
		text += "…"
	}
	return strings.Join(strings.Fields(text), " ")
}
