package sbom

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/rootfs"
)

var debian = System{ID: "debian", Version: "12"}

func TestPURL(t *testing.T) {
	for want, p := range map[string]assign.Package{
		"pkg:deb/debian/libstdc%2B%2B6@1:12.2.0-14~x%2Bb1?arch=amd64&distro=debian-12&upstream=gcc%401:12": {
			Type: "deb", Name: "libstdc++6", Version: "1:12.2.0-14~x+b1", Arch: "amd64", Source: "gcc", SourceVersion: "1:12"},
		"pkg:deb/debian/own@2?distro=debian-12&upstream=own%401": {Type: "deb", Name: "own", Version: "2", SourceVersion: "1"},
		"pkg:rpm/debian/bind@9.3-1?arch=x86_64&distro=debian-12&epoch=30&upstream=bind-9.3-1.src.rpm": {
			Type: "rpm", Name: "bind", Version: "30:9.3-1", Arch: "x86_64", Source: "bind-9.3-1.src.rpm"},
		"pkg:apk/debian/musl@1.2-r3?distro=debian-12": {Type: "apk", Name: "musl", Version: "1.2-r3"},
		"pkg:npm/%40s/x@1.0.0":                        {Type: "npm", Name: "@s/x", Version: "1.0.0"},
		"pkg:golang/github.com/x/y/v2@v2.0.0":         {Type: "golang", Name: "github.com/x/y/v2", Version: "v2.0.0"},
		"pkg:golang/stdlib@1.22":                      {Type: "golang", Name: "stdlib", Version: "1.22"},
		"pkg:maven/org.x/a%20b@1":                     {Type: "maven", Namespace: "org.x", Name: "a b", Version: "1"},
		"pkg:pypi/x":                                  {Type: "pypi", Name: "x"},
		"pkg:generic/n%C3%A9%3F%23@%40":               {Type: "generic", Name: "né?#", Version: "@"},
	} {
		if got := (&Package{Package: &p}).purl(debian); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	p := Package{Package: &assign.Package{Type: "deb", Name: "x"}}
	if got := p.purl(System{}); got != "pkg:deb/x" {
		t.Errorf("unknown system: %s", got)
	}
}

func TestExpressions(t *testing.T) {
	for said, want := range map[string]bool{
		"MIT": true, "GPL-2.0-or-later AND (MIT OR Apache-2.0)": true, "GPL-2.0-only WITH Classpath-exception-2.0": true, "Apache-2.0+": true,
		"": false, "GPLv2+ and MIT": false, "MIT OR": false, "(MIT": false, "MIT)": false, "MIT WITH MIT": false, "MIT MIT": false, "()": false,
		"AND": false, strings.Repeat("(", 300): false, "mit": false,
	} {
		if got := isExpression(said); got != want {
			t.Errorf("%q: %v", said, got)
		}
	}
}

func TestRelease(t *testing.T) {
	if got := parseRelease("NAME=x\nID=\"fedora\"\nVERSION_ID='35'\n#ID=no\n"); got != (System{"fedora", "35"}) {
		t.Errorf("got %+v", got)
	}
	if got := parseRelease("ID=arch\nBUILD_ID=rolling\n"); got.distro() != "arch-rolling" {
		t.Errorf("got %+v", got)
	}
	dir := t.TempDir()
	for _, path := range []string{"etc", "usr/lib"} {
		if err := os.MkdirAll(filepath.Join(dir, path), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if got, err := ReadSystem(root); err != nil || got != (System{}) {
		t.Errorf("no os-release: %+v, %v", got, err)
	}
	err = os.WriteFile(filepath.Join(dir, "usr/lib/os-release"), []byte("ID=arch\n"), 0o644)
	if err == nil {
		err = os.Symlink("../usr/lib/os-release", filepath.Join(dir, "etc/os-release"))
	}
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ReadSystem(root); err != nil || got.distro() != "arch" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// document returns packages with unusual values.
func document() *Document {
	layer := digest.FromString("layer")
	libc := &format.Component{Name: "dpkg/glibc"}
	list := []*assign.Package{
		{Type: "deb", Name: "libc6", Version: "2", Arch: "i386", Source: "glibc", Component: libc},
		{Type: "deb", Name: "libc6", Version: "2", Arch: "amd64", Source: "glibc", Component: libc},
		{Type: "rpm", Name: "x\xff\n", Version: "1:2~3^4", License: "GPLv2+ and <odd>"},
		{Type: "rpm", Name: "x", License: "GPLv2+ and <odd>"},
		{Type: "rpm", Name: "y", License: "MIT AND ISC"},
		{Type: "npm", Name: "@s/x", Version: "1"},
		{Type: "npm", Name: "@s/x", Version: "1"},
		{Type: "npm", Name: "-s-x", Version: "1"},
		{Name: "removed"},
	}
	return &Document{
		Subject: Subject{Name: "oci:app:1", Digest: digest.FromString("manifest")}, Created: time.Unix(1700000000, 0), Version: "1.0",
		System: debian, Packages: Packages(list, map[string][]digest.Digest{"dpkg/glibc": {layer}}),
	}
}

func TestDocuments(t *testing.T) {
	for _, f := range formats {
		data, err := f.Write(document())
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(data) {
			t.Fatalf("%s is not JSON", f.Name)
		}
		if n := strings.Count(string(data), "pkg:"); n != 7 {
			t.Errorf("%s: %d package URLs, want 7: copies are one, and the removed package is none", f.Name, n)
		}
		for _, want := range []string{"2023-11-14T22:13:20Z", "dpkg/glibc", digest.FromString("layer").String(), digest.FromString("manifest").Encoded(), "GPLv2+ and <odd>", "MIT AND ISC"} {
			if !bytes.Contains(data, []byte(want)) {
				t.Errorf("%s lacks %s", f.Name, want)
			}
		}
		other := document()
		slices.Reverse(other.Packages)
		list := make([]*assign.Package, 0, len(other.Packages))
		for _, p := range other.Packages {
			list = append(list, p.Package)
		}
		other.Packages = Packages(list, map[string][]digest.Digest{"dpkg/glibc": {digest.FromString("layer")}})
		if again, err := f.Write(other); err != nil || !bytes.Equal(data, again) {
			t.Errorf("%s depends on the order of packages: %v", f.Name, err)
		}
		empty, err := f.Write(&Document{Subject: Subject{Name: "root"}, Version: "1.0"})
		if err != nil {
			t.Fatal(err)
		}
		for _, doc := range [][]byte{data, empty} {
			if f.Name == "spdx" {
				checkSPDXValues(t, doc)
			}
		}
	}
}

// spdxValues lists those of the values allowed by the JSON schema of SPDX 2.3 that chunkah uses.
// TestSBOMIsValid checks documents against the complete schemas.
var spdxValues = map[string][]string{
	"primaryPackagePurpose": {"CONTAINER", "OPERATING_SYSTEM"},
	"referenceCategory":     {"PACKAGE-MANAGER", "PACKAGE_MANAGER"},
	"annotationType":        {"OTHER"},
	"algorithm":             {"SHA256"},
	"relationshipType":      {"CONTAINS", "DESCRIBES"},
}

// checkSPDXValues checks that fields with a fixed set of values contain one of them, and that
// identifiers are unique and consist of the allowed characters.
func checkSPDXValues(t *testing.T, data []byte) {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	id, seen := regexp.MustCompile(`^(SPDXRef|LicenseRef)-[a-zA-Z0-9.-]+$`), make(map[string]bool)
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for key, value := range v {
				if allowed, fixed := spdxValues[key]; fixed && !slices.Contains(allowed, value.(string)) {
					t.Errorf("%s has the value %q, want one of %q", key, value, allowed)
				}
				if said, _ := value.(string); (key == "SPDXID" || key == "licenseId") && (!id.MatchString(said) || seen[said]) {
					t.Errorf("the identifier %q is wrong or not unique", said)
				} else if key == "SPDXID" || key == "licenseId" {
					seen[said] = true
				}
				walk(value)
			}
		}
	}
	walk(doc)
	if len(seen) < 2 {
		t.Errorf("%d identifiers", len(seen))
	}
}

// stream is a source of records.
type stream []format.Record

func (s *stream) Next() (format.Record, error) {
	if len(*s) == 0 {
		return nil, io.EOF
	}
	rec := (*s)[0]
	*s = (*s)[1:]
	return rec, nil
}

// A component is in the layers of its files. Directories can be in several layers.
func TestPlacement(t *testing.T) {
	a, b := digest.FromString("a"), digest.FromString("b")
	in := &stream{
		&format.Header{},
		&format.File{Path: "/d", Type: format.TypeDir, Components: []string{"x", "only-dir"}},
		&format.File{Path: "/d/2", Type: format.TypeFile, MTime: 7, Components: []string{"x"}},
		&format.File{Path: "/d/1", Type: format.TypeFile, MTime: 5, Components: []string{"x"}},
		&format.File{Path: "/l", Type: format.TypeSymlink, MTime: 9, Components: []string{"y"}},
	}
	p := &Placement{Digests: []digest.Digest{a, b}, LayerOf: func(path string) (int, error) {
		if strings.HasSuffix(path, "1") {
			return 0, nil
		}
		return 1, nil
	}}
	if err := p.Read(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	want := map[string][]digest.Digest{"x": {a, b}, "y": {b}, "only-dir": nil}
	if got := p.Layers(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	created := time.Unix(3, 0)
	if got := p.Time(nil); got.Unix() != 7 {
		t.Errorf("newest file: %v", got)
	}
	if got := p.Time(&created); got.Unix() != 3 {
		t.Errorf("image: %v", got)
	}
	p.header.SourceDate, p.header.HasSourceDate = 1, true
	if got := p.Time(&created); got.Unix() != 1 {
		t.Errorf("SOURCE_DATE_EPOCH: %v", got)
	}
}

func TestParseFormat(t *testing.T) {
	if f, err := ParseFormat(""); err != nil || f.Name != "spdx" {
		t.Errorf("got %v, %v", f.Name, err)
	}
	if _, err := ParseFormat("xml"); err == nil {
		t.Error("xml is a format")
	}
}
