package compress

import (
	"os"
	"strings"
	"testing"
)

func TestParseAlgorithm(t *testing.T) {
	for _, a := range []Algorithm{None, Gzip, Zstd} {
		got, err := ParseAlgorithm(string(a))
		if err != nil || got != a {
			t.Errorf("ParseAlgorithm(%q) = %q, %v", a, got, err)
		}
	}
	for _, s := range []string{"", "gz", "GZIP", "lz4", "zstd:chunked"} {
		if got, err := ParseAlgorithm(s); err == nil {
			t.Errorf("ParseAlgorithm(%q) = %q, want an error", s, got)
		}
	}
}

func TestMediaTypeSuffix(t *testing.T) {
	for a, want := range map[Algorithm]string{None: "", Gzip: "+gzip", Zstd: "+zstd"} {
		if got := a.MediaTypeSuffix(); got != want {
			t.Errorf("%q: got %q, want %q", a, got, want)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		s    Settings
		want string // error text; empty for none
	}{
		{Settings{None, 0}, ""},
		{Settings{Gzip, 0}, ""},
		{Settings{Gzip, 1}, ""},
		{Settings{Gzip, 9}, ""},
		{Settings{Zstd, 0}, ""},
		{Settings{Zstd, 1}, ""},
		{Settings{Zstd, 22}, ""},
		{Settings{None, 1}, `compression level 1: "none" has no levels`},
		{Settings{Gzip, Stored}, ""},
		{Settings{Zstd, Stored}, "compression level -1: zstd has levels 1 to 22"},
		{Settings{Gzip, -2}, "compression level -2: gzip has levels 1 to 9"},
		{Settings{Gzip, 10}, "compression level 10: gzip has levels 1 to 9"},
		{Settings{Zstd, -5}, "compression level -5: zstd has levels 1 to 22"},
		{Settings{Zstd, 23}, "compression level 23: zstd has levels 1 to 22"},
		{Settings{}, `unknown compression "": expected none, gzip or zstd`},
		{Settings{"lz4", 1}, `unknown compression "lz4": expected none, gzip or zstd`},
	} {
		err := c.s.Validate()
		if got := errorText(err); got != c.want {
			t.Errorf("%v: got %q, want %q", c.s, got, c.want)
		}
		if _, err := new(Pool).NewWriter(t.Context(), nil, c.s, 0); errorText(err) != c.want {
			t.Errorf("NewWriter with %v: got %v, want %q", c.s, err, c.want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestKey pins the keys. A changed key makes every cache useless. If a key should have changed but
// did not, images contain blobs that this version would not write.
func TestKey(t *testing.T) {
	for _, c := range []struct {
		s    Settings
		want string
	}{
		{Settings{None, 0}, "none"},
		{Settings{Gzip, 0}, "gzip-6-block1048560-own-1"},
		{Settings{Gzip, 6}, "gzip-6-block1048560-own-1"},
		{Settings{Gzip, 5}, "gzip-5-block1048560-klauspost-v1.20.3"},
		{Settings{Gzip, 9}, "gzip-9-block1048560-own-1"},
		{Settings{Zstd, 1}, "zstd-fastest-frame-block4194304-klauspost-v1.20.3"},
		{Settings{Zstd, 0}, "zstd-default-frame-block4194304-klauspost-v1.20.3"},
		{Settings{Zstd, 5}, "zstd-default-frame-block4194304-klauspost-v1.20.3"},
		{Settings{Zstd, 6}, "zstd-better-frame-block4194304-klauspost-v1.20.3"},
		{Settings{Zstd, 9}, "zstd-better-frame-block4194304-klauspost-v1.20.3"},
		{Settings{Zstd, 10}, "zstd-best-frame-block4194304-klauspost-v1.20.3"},
		{Settings{Zstd, 22}, "zstd-best-frame-block4194304-klauspost-v1.20.3"},
	} {
		if got := c.s.Key(); got != c.want {
			t.Errorf("%v: got %q, want %q", c.s, got, c.want)
		}
	}
}

// TestLibraryVersion fails if go.mod lists a library version that differs from the one in the keys.
// In that case run TestGolden. If it also fails, digests change and the changelog must mention it.
func TestLibraryVersion(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(mod)) {
		f := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(f) >= 2 && f[0] == libraryPath {
			found = append(found, f[1])
		}
		if strings.Contains(line, libraryPath+" ") && strings.Contains(line, "=>") {
			t.Errorf("go.mod replaces the library: %s", line)
		}
	}
	if len(found) != 1 || found[0] != libraryVersion {
		t.Errorf("go.mod requires %s %v, this package pins %s", libraryPath, found, libraryVersion)
	}
}
