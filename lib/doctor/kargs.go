package doctor

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/BurntSushi/toml"

	"chunkah/format"
)

// maxKargs is the largest size of a kernel-argument file, in bytes. Real files contain a few
// hundred.
const maxKargs = 1 << 20

// badKargs reports whether bootc refuses a kernel-argument file. The file must be TOML and contain
// the string array kargs, optionally the array match-architectures, and nothing else.
func badKargs(e *Examiner, f *format.File) (bad bool, err error) {
	if f.Type != format.TypeFile {
		return false, nil
	}
	text, err := e.head(f, maxKargs+1)
	if err != nil {
		return false, err
	}
	return len(text) > maxKargs || checkKargs(string(text)) != nil, nil
}

func adviseKargs(*Examiner, *collection) (string, []string) {
	return `write it as: kargs = ["console=ttyS0", "quiet"], optionally with match-architectures = ["x86_64"], and nothing else`, nil
}

// checkKargs checks the text of a kernel-argument file.
func checkKargs(text string) error {
	if !utf8.ValidString(text) {
		return errors.New("is not UTF-8")
	}
	var doc map[string]any // the keys of a struct would match regardless of case
	if _, err := toml.Decode(text, &doc); err != nil {
		return err
	}
	for key, value := range doc {
		if key != "kargs" && key != "match-architectures" {
			return fmt.Errorf("unknown key %q", key)
		}
		list, ok := value.([]any)
		if !ok || slices.ContainsFunc(list, func(v any) bool { _, ok := v.(string); return !ok }) {
			return fmt.Errorf("key %q is not an array of strings", key)
		}
	}
	if _, ok := doc["kargs"]; !ok {
		return errors.New("does not contain the key kargs")
	}
	return nil
}
