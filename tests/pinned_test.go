package tests

import (
	"bufio"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chunkah/tests/clients"
)

var updatePins = flag.Bool("update", false, "pin the digests anew")

// pinsFile contains the digests of the archives of the pinned root, one per line.
const pinsFile = "testdata/pinned"

// readPins returns the pinned digests by output name.
func readPins(t *testing.T) map[string]string {
	t.Helper()
	f, err := os.Open(pinsFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	pins := map[string]string{}
	for s := bufio.NewScanner(f); s.Scan(); {
		name, digest, _ := strings.Cut(s.Text(), " ")
		pins[name] = strings.TrimSpace(digest)
	}
	return pins
}

// The same input produces the same bytes as with the previous version, unless the changelog
// announces a change: see TestPinsAreInTheChangelog.
func TestLaw3PinnedDigests(t *testing.T) {
	m := thisMachine(t)
	var made strings.Builder
	for _, o := range outputs {
		archive := m.run(t, o, "build")
		fmt.Fprintf(&made, "%-14s %s\n", o.name, fileDigest(t, archive))
	}
	if *updatePins {
		if err := os.WriteFile(pinsFile, []byte(made.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(pinsFile)
	if err != nil {
		t.Fatal(err)
	}
	if made.String() != string(want) {
		t.Errorf("all users will download their images again; if that is intended, pin the digests with -update\ngot\n%s\nwant\n%s", &made, want)
	}
	// A layout is a directory, so it has no digest of its own, but it must contain the same image.
	layout := filepath.Join(t.TempDir(), "layout")
	m.run(t, output{source: fromRoot}, "build -o oci:"+layout)
	index, err := os.ReadFile(filepath.Join(layout, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	if digest := clients.ReadImage(t, m.run(t, outputs[0], "build")).ManifestDigest; !strings.Contains(string(index), digest) {
		t.Errorf("the archive's image is %s, the layout's another: %s", digest, index)
	}
}

// The pins and the changelog can only be changed together, because the newest Digests line in the
// changelog contains the digest of the pins file.
func TestPinsAreInTheChangelog(t *testing.T) {
	text, err := os.ReadFile("../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	_, newest, _ := strings.Cut(string(text), "\n### Digests\n")
	newest, _, _ = strings.Cut(newest, "\n## ")
	newest, _, _ = strings.Cut(newest, "\n### ")
	want := "tests/" + pinsFile + "` is " + fileDigest(t, pinsFile)
	if strings.Count(newest, want) != 1 || strings.Count(newest, "sha256:") != 1 {
		t.Errorf("under Digests CHANGELOG.md does not say, once: `%s", want)
	}
}

// fileDigest returns the SHA-256 of a file.
func fileDigest(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("sha256:%x", h.Sum(nil))
}
