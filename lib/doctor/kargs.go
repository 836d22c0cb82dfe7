package doctor

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"chunkah/format"
)

// maxKargs bounds a file with kernel arguments, in bytes. Real ones have some hundred.
const maxKargs = 1 << 20

// badKargs reports whether bootc refuses a file of kernel arguments: TOML with the array of strings
// kargs, optionally the array match-architectures, and nothing else.
func badKargs(e *Examiner, f *format.File) (bad bool, err error) {
	if f.Type != format.TypeFile {
		return false, nil
	}
	file, err := e.opt.Root.OpenFile(f.Path)
	if err != nil {
		return false, err
	}
	defer file.Close() // it was only read
	text, err := io.ReadAll(io.LimitReader(file, maxKargs+1))
	if err != nil {
		return false, err
	}
	return len(text) > maxKargs || checkKargs(string(text)) != nil, nil
}

func adviseKargs(*Examiner, *collection) (string, []string) {
	return `write it as: kargs = ["console=ttyS0", "quiet"], optionally with match-architectures = ["x86_64"], and nothing else`, nil
}

// checkKargs checks the text of a file of kernel arguments.
func checkKargs(text string) error {
	if !utf8.ValidString(text) {
		return errors.New("is not UTF-8")
	}
	lists, err := parseLists(text)
	if err != nil {
		return err
	}
	for key := range lists {
		if key != "kargs" && key != "match-architectures" {
			return fmt.Errorf("unknown key %q", key)
		}
	}
	if _, found := lists["kargs"]; !found {
		return errors.New("has no key kargs")
	}
	return nil
}

// toml is a reader of the part of TOML that kernel arguments use: keys at the top with arrays of
// strings. A module for all of TOML would be larger than this check is worth.
type toml struct{ rest string }

// parseLists parses a document of such keys.
func parseLists(text string) (map[string][]string, error) {
	t := &toml{strings.ReplaceAll(text, "\r\n", "\n")}
	lists := make(map[string][]string)
	for {
		t.skip(true)
		if t.rest == "" {
			return lists, nil
		}
		key, err := t.key()
		if err != nil {
			return nil, err
		}
		if t.skip(false); !t.take("=") {
			return nil, fmt.Errorf("key %q: there is no =", key)
		}
		list, err := t.array()
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", key, err)
		}
		if _, twice := lists[key]; twice {
			return nil, fmt.Errorf("key %q occurs twice", key)
		}
		lists[key] = list
		if t.skip(false); t.rest != "" && t.rest[0] != '\n' && t.rest[0] != '#' {
			return nil, fmt.Errorf("key %q: there is text after the array", key)
		}
	}
}

// skip skips spaces; with lines also comments and line ends.
func (t *toml) skip(lines bool) {
	for {
		t.rest = strings.TrimLeft(t.rest, " \t")
		switch {
		case lines && strings.HasPrefix(t.rest, "#"):
			_, t.rest, _ = strings.Cut(t.rest, "\n")
		case lines && strings.HasPrefix(t.rest, "\n"):
			t.rest = t.rest[1:]
		default:
			return
		}
	}
}

func (t *toml) take(prefix string) (found bool) {
	t.rest, found = strings.CutPrefix(t.rest, prefix)
	return found
}

// key reads a bare or quoted key.
func (t *toml) key() (string, error) {
	if strings.HasPrefix(t.rest, `"`) || strings.HasPrefix(t.rest, "'") {
		return t.text()
	}
	n := strings.IndexFunc(t.rest, func(r rune) bool {
		return !(r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z')
	})
	if n <= 0 {
		return "", errors.New("a key is expected")
	}
	key := t.rest[:n]
	t.rest = t.rest[n:]
	return key, nil
}

// array reads an array of strings. It can have several lines, and a comma at its end.
func (t *toml) array() ([]string, error) {
	if t.skip(false); !t.take("[") {
		return nil, errors.New("the value is not an array")
	}
	list := []string{}
	for {
		if t.skip(true); t.take("]") {
			return list, nil
		}
		s, err := t.text()
		if err != nil {
			return nil, err
		}
		list = append(list, s)
		if t.skip(true); !t.take(",") && !strings.HasPrefix(t.rest, "]") {
			return nil, errors.New("the array has no comma or end")
		}
	}
}

var errString = errors.New("a string in quotes is expected")

// text reads a string in one of TOML's four forms.
func (t *toml) text() (string, error) {
	for _, quote := range []string{`"""`, "'''"} {
		if t.take(quote) {
			t.take("\n")
			return t.until(quote, true)
		}
	}
	for _, quote := range []string{`"`, "'"} {
		if t.take(quote) {
			return t.until(quote, false)
		}
	}
	return "", errString
}

// until reads a string up to its end. In double quotes, a backslash begins an escape.
func (t *toml) until(quote string, lines bool) (string, error) {
	var out strings.Builder
	for t.rest != "" {
		r, size := utf8.DecodeRuneInString(t.rest)
		switch {
		case t.take(quote):
			return out.String(), nil
		case r == '\n' && !lines, r < ' ' && r != '\t' && r != '\n', r == 0x7f:
			return "", errors.New("a string has a control character or no end")
		case r == '\\' && quote[0] == '"':
			if err := t.escape(&out, lines); err != nil {
				return "", err
			}
		default:
			out.WriteRune(r)
			t.rest = t.rest[size:]
		}
	}
	return "", errors.New("a string has no end")
}

// escape reads an escape.
func (t *toml) escape(out *strings.Builder, lines bool) error {
	t.rest = t.rest[1:]
	if after := strings.TrimLeft(t.rest, " \t"); lines && strings.HasPrefix(after, "\n") {
		t.rest = strings.TrimLeft(after, " \t\n") // a line that continues
		return nil
	}
	if t.rest == "" {
		return errString
	}
	c := t.rest[0]
	t.rest = t.rest[1:]
	if i := strings.IndexByte(`btnfr"\`, c); i >= 0 {
		out.WriteByte("\b\t\n\f\r\"\\"[i])
		return nil
	}
	digits := map[byte]int{'u': 4, 'U': 8}[c]
	if digits == 0 || len(t.rest) < digits {
		return fmt.Errorf("unknown escape %q", c)
	}
	code, err := strconv.ParseUint(t.rest[:digits], 16, 32)
	if err != nil || !utf8.ValidRune(rune(code)) {
		return fmt.Errorf("unknown character %q", t.rest[:digits])
	}
	out.WriteRune(rune(code))
	t.rest = t.rest[digits:]
	return nil
}
