package tests

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// decoding matches code that decodes external data.
var decoding = regexp.MustCompile(`\b((json|toml)\.(Unmarshal|NewDecoder)|tar\.NewReader|(gzip|zstd|flate|zip)\.NewReader|gzip\.Reader|buildinfo\.Read|` +
	`sql\.Open|binary\.(Big|Little)Endian\.Uint|pkgdb\.NewLines|bufio\.New(Reader|Scanner)|strconv\.(Parse|Atoi)|fmt\.Sscan|http\.NewRequest)`)

// unfuzzed maps packages that decode data but have no fuzz target to the reason.
var unfuzzed = map[string]string{
	"lib/cli":     "options are the user's own; what they name is read by others",
	"lib/metrics": "/proc is the kernel's",
	"lib/source":  "the number of layers to keep is the user's own",
}

// Every package that decodes external data has a fuzz target, and every target has memory limits.
func TestDecodersAreFuzzed(t *testing.T) {
	decodes, fuzzed := map[string]string{}, map[string]bool{}
	for _, top := range []string{"format", "lib"} {
		err := filepath.WalkDir(filepath.Join("..", top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			pkg, _ := filepath.Rel("..", filepath.Dir(path))
			isTest, target := strings.HasSuffix(path, "_test.go"), strings.Contains(string(text), "\nfunc Fuzz")
			switch {
			case target && !strings.Contains(string(text), `"chunkah/tests/bound"`):
				t.Errorf("%s has a fuzz target without bounds: see tests/bound", path)
			case target:
				fuzzed[pkg] = true
			case !isTest && decoding.Match(text):
				decodes[pkg] = path
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(decodes) < 15 {
		t.Errorf("only %d packages decode: %v", len(decodes), decodes)
	}
	for pkg, path := range decodes {
		if why := unfuzzed[pkg]; fuzzed[pkg] == (why != "") {
			t.Errorf("%s decodes: it has a fuzz target (%t) or a reason (%q), and not both", path, fuzzed[pkg], why)
		}
	}
	for pkg := range unfuzzed {
		if decodes[pkg] == "" {
			t.Errorf("%s needs no reason", pkg)
		}
	}
}
