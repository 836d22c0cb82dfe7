package registry

import (
	"strings"
	"testing"

	"chunkah/tests/bound"
)

const zeros = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

func TestParseRef(t *testing.T) {
	for _, test := range []struct{ in, full, identifier string }{
		{"registry.example/app", "registry.example/app:latest", "latest"},
		{"registry.example/team/app:1", "registry.example/team/app:1", "1"},
		{"registry.example:5000/app:1", "registry.example:5000/app:1", "1"},
		{"[::1]:5000/app:1", "[::1]:5000/app:1", "1"},
		{"localhost/app", "localhost/app:latest", "latest"},
		{"registry.example/app@" + zeros, "registry.example/app@" + zeros, zeros},
		{"registry.example/app:1@" + zeros, "registry.example/app:1@" + zeros, zeros},
		{"app", "docker.io/library/app:latest", "latest"},
		{"team/app:1", "docker.io/team/app:1", "1"},
		{"docker.io/app:1", "docker.io/library/app:1", "1"},
		{"index.docker.io/app:1", "docker.io/library/app:1", "1"},
	} {
		ref, err := ParseRef(test.in)
		if err != nil || ref.String() != test.full || ref.Identifier() != test.identifier {
			t.Errorf("ParseRef(%q) = %q, %q, %v, want %q, %q", test.in, ref, ref.Identifier(), err, test.full, test.identifier)
		}
	}
	for in, words := range map[string]string{
		"":                               "is empty",
		"docker://registry.example/app":  "has a scheme",
		"https://registry.example/app":   "has a scheme",
		"localhost:5000":                 "no image name: use localhost:5000/NAME",
		"registry.example":               "no image",
		"registry.example/":              `has the part ""`,
		"registry.example/App":           "upper-case",
		"registry.example/app:":          `has the tag ""`,
		"registry.example/a:b:c":         "has the part",
		"registry.example/app@":          `the digest ""`,
		"registry.example/app@sha256:12": "expected sha256:",
		"registry.example/app@sha512:" + strings.Repeat("0", 128): "expected sha256:",
		"[:]:1/app":   "which is not a host",
		"[::g]:1/app": "has the part",
		"../app":      "has the part",
		"registry.example/app@" + zeros + "@" + zeros: "the digest",
	} {
		if ref, err := ParseRef(in); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("ParseRef(%q) = %q, %v, want an error that says %q", in, ref, err, words)
		}
	}
}

// A full reference that String returns is parsed as the same reference.
func FuzzParseRef(f *testing.F) {
	for _, s := range []string{"app", "registry.example:5000/team/app:1@" + zeros, "[::1]:1/a", "localhost/a__b.c:x", "docker.io/library/a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		bound.Input(t, len(s))
		ref, err := ParseRef(s)
		if err != nil {
			return
		}
		again, err := ParseRef(ref.String())
		if err != nil || again != ref {
			t.Errorf("%q is read as %q, and that as %q, %v", s, ref, again, err)
		}
		if repo, err := Open(ref, Options{}); err != nil {
			t.Errorf("opening %q: %v", ref, err)
		} else if u := repo.url("manifests", ref.Identifier()); u.Host == "" || strings.Contains(u.Path, "..") {
			t.Errorf("%q has the URL %q", ref, u)
		}
	})
}
